import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { wire } from '../support/api-objects.js';
import { sampleService, sampleSlice } from '../support/api-samples.js';
import { ApiServer } from '../support/api-server.js';
import { damagedObject, wholeObjects } from '../support/arbitrary-objects.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { savedTable } from '../support/lab-guest.js';
import { renderedTable } from '../support/rendered.js';
import { readManifest, type ManifestText } from '../../src/watch/manifests/manifests.js';
import { seed } from '../support/seed.js';

// The daemon and the kernel under objects of any shape: it lives, serves what `render` says, and all that is well among it.

/** Nearly right objects, each under a name of its own where it still has one. */
const samples = fc
  .sample(damagedObject, { seed, numRuns: 600 })
  .map(({ kind, object }) => ({ kind, object: JSON.parse(JSON.stringify(object) ?? 'null') as unknown }))
  .flatMap(({ kind, object }) => (kind === 'Node' ? [] : [{ kind, object }]));

const good = [
  { apiVersion: 'v1', ...sampleService('good', { clusterIP: '10.96.1.1', clusterIPs: ['10.96.1.1'] }) },
  { apiVersion: 'discovery.k8s.io/v1', ...sampleSlice('good', ['10.244.1.1']) },
];
const goodLines = ['-A -t 10.96.1.1:80 -s rr', '-a -t 10.96.1.1:80 -r 10.244.1.1:8080 -m -w 1'];

const assertServed = async (daemon: DaemonProcess): Promise<void> =>
  eventually(() => {
    const table = savedTable();
    assert.deepEqual(
      table.filter((line) => line.includes('10.96.1.1:')),
      goodLines,
      daemon.log.slice(-3_000),
    );
  });

test('from an API server', async () => {
  await using server = await ApiServer.start({ format: 'json' });
  for (const [index, { kind, object }] of samples.slice(0, 300).entries())
    server.put({ kind, metadata: { name: `hostile-${index}` }, [wire]: object });
  await using daemon = new DaemonProcess([
    `--master=${server.url}`,
    '--hostname-override=node-1',
    '--ipvs-min-sync-period=0s',
  ]);
  await eventually(() => assert.match(daemon.log, /"synced"|"resource-followed"/));
  for (const [index, { kind, object }] of samples.slice(300).entries())
    server.put({ kind, metadata: { name: `hostile-${300 + index}` }, [wire]: object });
  for (const object of good) server.put(object);
  await assertServed(daemon);
  assert.doesNotMatch(daemon.log, /rendering-failed|sync-failed|programming-error|TypeError|RangeError/);
  assert.equal(await daemon.stop(), 0, daemon.log.slice(-3_000));
});

/** With names of their own that belong together, and schedulers that the kernel has. */
const named = (kind: 'Service' | 'EndpointSlice', object: unknown, index: number): object => {
  const parts = typeof object === 'object' && object !== null ? object : {};
  const metadata =
    kind === 'Service'
      ? { name: `h${index}` }
      : { name: `h${index}-x`, labels: { 'kubernetes.io/service-name': `h${index}` } };
  return { ...parts, apiVersion: wholeObjects[kind].apiVersion, kind, metadata };
};

const isReadable = (manifest: ManifestText): boolean => {
  try {
    return readManifest(manifest).objects.length > 0;
  } catch {
    return false;
  }
};

test('from manifests: the table is what render says of those that can be read', async () => {
  const scratch = mkdtempSync(join(tmpdir(), 'hostile-'));
  const manifests = (['Service', 'EndpointSlice'] as const).flatMap((kind) =>
    samples
      .filter((sample) => sample.kind === kind)
      .map(({ object }, index) => ({
        name: join(scratch, `${kind}-${index}.json`),
        text: JSON.stringify(named(kind, object, index)),
      })),
  );
  const readable = manifests.filter(isReadable);
  for (const { name, text } of readable) writeFileSync(name, text);
  await using daemon = new DaemonProcess([
    `--source=${scratch}`,
    '--hostname-override=node-1',
    '--ipvs-min-sync-period=0s',
  ]);
  const serves = async (texts: readonly ManifestText[]): Promise<void> =>
    eventually(() =>
      assert.deepEqual(savedTable(), renderedTable(texts, 'node-1'), daemon.log.slice(-2_000)),
    );
  await serves(readable);
  const unreadable = manifests.filter((manifest) => !isReadable(manifest));
  for (const { name, text } of unreadable) writeFileSync(name, text);
  const last = {
    name: join(scratch, 'zz.json'),
    text: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: good }),
  };
  writeFileSync(last.name, last.text);
  await serves([...readable, last]);
  await eventually(() =>
    assert.deepEqual(
      unreadable.map(({ name }) => name).filter((name) => !daemon.log.includes(name)),
      [],
    ),
  );
  assert.doesNotMatch(daemon.log, /rendering-failed|sync-failed|programming-error|TypeError|RangeError/);
  assert.equal(await daemon.stop(), 0, daemon.log.slice(-3_000));
});
