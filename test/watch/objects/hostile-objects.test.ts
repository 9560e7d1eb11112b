import { dirtyKeys } from '../../../src/plan/operations/diff.js';
import { DesiredState } from '../../../src/plan/desired-state.js';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { shorten } from '../../../src/base/text.js';
import { manifestSource } from '../../../src/watch/manifests/manifest-source.js';
import { ClusterStore } from '../../../src/watch/store/cluster-store.js';
import type { ServiceKey } from '../../../src/model/service.js';
import { silentRecorder } from '../../../src/daemon/events/event-recorder.js';
import { DesiredStateUpdater } from '../../../src/daemon/sync/desired-state-updater.js';
import { toEndpointSlice, toNode, toService } from '../../../src/watch/objects/parse-objects.js';
import { MalformedObject, readWatchEvent } from '../../../src/watch/objects/schemas.js';
import { wire } from '../../support/api-objects.js';
import { sampleService, sampleSlice } from '../../support/api-samples.js';
import { ApiServer } from '../../support/api-server.js';
import { damagedObject, wholeObjects } from '../../support/arbitrary-objects.js';
import { nodeFacts, settings } from '../../support/objects.js';
import { RecordingLog } from '../../support/recording-log.js';
import { seed } from '../../support/seed.js';
import { follow, until } from '../follower.js';

// Objects of any shape: none brings the program down, each that is not used whole is told of by name, and the others go on.

const read = { Service: toService, EndpointSlice: toEndpointSlice, Node: toNode };
const nameOf = (object: unknown): unknown =>
  (object as { metadata?: { name?: unknown } } | null | undefined)?.metadata?.name;

test('an event of no known type is refused', () => {
  const object = sampleService('web');
  assert.deepEqual(readWatchEvent({ type: 'MODIFIED', object }), { type: 'MODIFIED', object });
  for (const type of ['RENAMED', 'added', '', undefined, null, 1, ['ADDED']])
    assert.throws(
      () => readWatchEvent({ type, object }),
      (error) => error instanceof MalformedObject && error.field === 'type',
      JSON.stringify(type),
    );
  for (const event of [undefined, null, 'ADDED', [], ['ADDED']])
    assert.throws(() => readWatchEvent(event), MalformedObject);
});

test('an object is read, or refused with its kind, its name and a field', () => {
  for (const kind of ['Service', 'EndpointSlice', 'Node'] as const)
    assert.deepEqual(read[kind](wholeObjects[kind]).problems, []);
  fc.assert(
    fc.property(damagedObject, ({ kind, object }) => {
      try {
        read[kind](object);
      } catch (error) {
        if (!(error instanceof MalformedObject)) throw error;
        assert.equal(error.kind, kind);
        const name = nameOf(object);
        if (typeof name === 'string' && name !== '' && error.object !== undefined)
          assert.ok(error.object.endsWith(name), error.message);
        assert.ok(error.message.length < 2_000, `${error.message.length} characters`);
      }
    }),
    { seed, numRuns: 5_000 },
  );
});

/** Reads what can be read into a store. */
const stored = (
  objects: readonly { readonly kind: 'Service' | 'EndpointSlice' | 'Node'; readonly object: unknown }[],
) => {
  const store = new ClusterStore(() => {});
  for (const { kind, object } of objects)
    try {
      if (kind === 'Service') store.apply([{ kind: 'service', ...toService(object) }]);
      else if (kind === 'EndpointSlice') store.apply([{ kind: 'endpointSlice', ...toEndpointSlice(object) }]);
      else store.apply([{ kind: 'node', value: toNode(object).value }]);
    } catch (error) {
      if (!(error instanceof MalformedObject)) throw error;
    }
  return store;
};

test('whatever can be read can be rendered', () => {
  fc.assert(
    fc.property(fc.array(damagedObject, { minLength: 1, maxLength: 8 }), (objects) => {
      const wanted = new DesiredStateUpdater({
        desired: new DesiredState(),
        retainedKeys: dirtyKeys,
        store: stored(objects),
        settings: () => settings(),
        nodeFacts: () => nodeFacts(['eth0 192.0.2.1/24', 'eth0 2001:db8::1/64']),
        events: silentRecorder,
        log: new RecordingLog(),
      });
      const touched = wanted.update();
      for (const key of touched.virtualServers) wanted.desired.virtualServer(key);
    }),
    { seed, numRuns: 1_000 },
  );
});

/** As they look once they have come over a wire. */
const samples = fc
  .sample(damagedObject, { seed, numRuns: 300 })
  .map(({ kind, object }) => ({ kind, object: JSON.parse(JSON.stringify(object) ?? 'null') as unknown }));

/** The names under which objects were told of. */
const told = (log: RecordingLog): ReadonlySet<string> =>
  new Set(log.at('warn').map(({ fields }) => String(fields['object'])));

for (const watchList of ['served', 'refused'] as const)
  test(`API server, streaming lists ${watchList}: every refused object is told of by name, all others are followed`, async () => {
    await using server = await ApiServer.start({ watchList, format: 'json' });
    const log = new RecordingLog();
    const put = (from: number, to: number): void => {
      for (const [index, { kind, object }] of samples.slice(from, to).entries())
        server.put({ kind, metadata: { name: `hostile-${from + index}` }, [wire]: object });
    };
    put(0, 150);
    server.put(sampleService('before'), sampleSlice('before', ['10.244.0.1']));
    await using follower = follow(server, { logger: log, timing: { response: 4_000, initialIdle: 4_000 } });
    await until('the first', () => follower.store.synced);
    put(150, 300);
    server.put(sampleService('after'), sampleSlice('after', ['10.244.0.2']));
    await until('the last', () => follower.store.service('default/after' as ServiceKey) !== undefined);
    await until('its slice', () => follower.store.slicesOf('default/after' as ServiceKey).length === 1);
    assert.notEqual(follower.store.service('default/before' as ServiceKey), undefined);
    const names = told(log);
    let refused = 0;
    // Of Nodes only our own is followed.
    for (const { kind, object } of samples.filter((sample) => sample.kind !== 'Node'))
      try {
        read[kind](object);
      } catch (error) {
        assert.ok(error instanceof MalformedObject);
        refused += 1;
        const collection = kind === 'Service' ? 'services' : 'endpointslices';
        assert.ok(names.has(shorten(`${collection} ${error.object ?? ''}`)), `${collection} ${error.object}`);
      }
    assert.ok(refused > 50, `${refused} of ${samples.length} are refused`);
  });

test('manifests: every refused file is told of with object and field, all others are followed', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kube-ipvs-hostile-'));
  const log = new RecordingLog();
  const store = new ClusterStore(() => {});
  const file = (name: string, object: unknown): void =>
    writeFileSync(join(folder, name), JSON.stringify(object) ?? '');
  const good = (name: string): object => ({ apiVersion: 'v1', ...sampleService(name) });
  file('a.json', good('before'));
  await using source = manifestSource({
    path: folder,
    nodeName: 'n',
    logger: log,
    settleMilliseconds: 5,
    pollMilliseconds: 50,
  });
  source.start(store);
  await until('the first', () => store.synced);
  for (const [index, { object }] of samples.entries()) file(`hostile-${index}.json`, object);
  file('z.json', good('after'));
  await until('the last', () => store.service('default/after' as ServiceKey) !== undefined);
  assert.notEqual(store.service('default/before' as ServiceKey), undefined);
  const names = told(log);
  await until('all are told of', () => [...told(log)].length >= names.size);
  for (const [index, { kind, object }] of samples.entries()) {
    const { apiVersion, kind: said } = (object ?? {}) as { apiVersion?: unknown; kind?: unknown };
    if (said !== kind || apiVersion !== wholeObjects[kind].apiVersion) continue;
    try {
      read[kind](object);
    } catch (error) {
      assert.ok(error instanceof MalformedObject);
      const problems = log
        .at('warn')
        .filter(({ fields }) => fields['object'] === join(folder, `hostile-${index}.json`))
        .flatMap(({ fields }) => fields['problems'] as readonly string[]);
      assert.ok(
        problems.some((problem) => problem.includes(error.message)),
        error.message,
      );
    }
  }
  rmSync(folder, { recursive: true });
});

const huge = 1_000_000;
const numbers = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index);

test('what is beyond all measure is told of in few words, and holds up nobody', async () => {
  await using server = await ApiServer.start({ format: 'json' });
  const log = new RecordingLog();
  const long = 'x'.repeat(huge);
  const ports = numbers(6_000).map((port) => ({ name: `p${port}`, protocol: 'TCP', port: port + 1 }));
  server.put(
    sampleService(long),
    sampleService('control\u0007'),
    sampleService('bad-ips', { externalIPs: numbers(20_000).map((index) => `10.0.0.256.${index}`) }),
    sampleService('long-ip', { externalIPs: [long] }),
    sampleService('long-policy', { internalTrafficPolicy: long }),
    sampleService('many-ports', { ports }),
    sampleSlice(
      'many-endpoints',
      numbers(20_000).map((index) => `10.244.${index >> 8}.${index & 255}`),
    ),
    {
      ...sampleSlice(
        'many-ports',
        numbers(50).map((index) => `10.245.0.${index}`),
      ),
      ports,
    },
    sampleService('last'),
  );
  await using follower = follow(server, { logger: log, timing: { response: 4_000, initialIdle: 4_000 } });
  await until('the last', () => follower.store.service('default/last' as ServiceKey) !== undefined);
  const manyEndpoints = () =>
    follower.store.slicesOf('default/many-endpoints' as ServiceKey)[0]?.endpoints.length;
  await until('its endpoints', () => manyEndpoints() === 20_000);
  assert.equal(follower.store.service('default/many-ports' as ServiceKey)?.ports.length, 6_000);
  const lines = log.at('warn');
  assert.deepEqual(lines.map(({ fields }) => String(fields['object']).slice(0, 30)).toSorted(), [
    'services default/bad-ips',
    'services default/control\u0007',
    'services default/long-ip',
    'services default/long-policy',
    'services default/xxxxxxxxxxxxx',
  ]);
  for (const { fields } of lines)
    assert.ok(JSON.stringify(fields).length < 8_000, JSON.stringify(fields).slice(0, 200));
  const of = (name: string): unknown =>
    lines.find(({ fields }) => fields['object'] === `services default/${name}`)?.fields['problems'];
  assert.deepEqual((of('bad-ips') as readonly string[]).slice(-2), [
    'spec.externalIPs[19]: "10.0.0.256.19" is not valid; skipped',
    '… and 19980 more',
  ]);
  assert.deepEqual(of('control\u0007'), [
    'Service default/control\u0007: metadata.name: no name of an object',
  ]);
});
