// virtual time: what is tested waits, gives up and tries again.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { ServiceKey } from '../../../src/model/service.js';
import type { Fault, Verb } from '../../support/api-faults.js';
import { sampleNode, sampleService, sampleSlice } from '../../support/api-samples.js';
import { RecordingLog } from '../../support/recording-log.js';
import { ApiServer, type ApiServerOptions } from '../../support/api-server.js';
import { converged, follow, plainCredentials, until, type FollowOptions } from '../follower.js';
import { elapse } from '../../support/virtual-clock.js';

const key = (name: string): ServiceKey => `default/${name}` as ServiceKey;

const filledServer = async (options: ApiServerOptions = {}): Promise<ApiServer> => {
  const server = await ApiServer.start(options);
  for (const name of ['a', 'b', 'c', 'd', 'e'])
    server.put(sampleService(name), sampleSlice(name, ['10.244.0.1', '10.244.0.2']));
  server.put(sampleNode('node-1', 'zone-a'), sampleNode('node-2', 'zone-b'));
  return server;
};

/** Changes of every sort, the last of which is about a new object. */
const changeMuch = (server: ApiServer): void => {
  server.delete('Service', 'default/a');
  server.delete('EndpointSlice', 'default/a-x');
  server.put(sampleService('b', { sessionAffinity: 'ClientIP' }), sampleSlice('b', ['10.244.0.9']));
  server.put(sampleService('c', { clusterIP: 'None', clusterIPs: ['None'] }));
  server.put(sampleService('f'), sampleSlice('f', ['10.244.0.7']));
};

/** A busy machine takes its time over the first request of a process; silence is not what these are about. */
const unhurried: FollowOptions = { timing: { response: 4_000, initialIdle: 4_000 } };

test('the store follows additions, changes, deletions and what leaves the selectors', async () => {
  await using server = await filledServer();
  await using follower = follow(server, unhurried);
  await converged(follower, server);
  assert.equal(follower.store.service(key('a'))?.clusterIps.IPv4, '10.96.0.10');
  await until('the Node', () => follower.store.node?.zone === 'zone-a');
  changeMuch(server);
  const labels = { 'service.kubernetes.io/service-proxy-name': 'other' };
  server.put({ ...sampleService('d'), metadata: { name: 'd', namespace: 'default', labels } });
  server.put(sampleNode('node-1', 'zone-c'));
  await converged(follower, server);
  await until('the zone', () => follower.store.node?.zone === 'zone-c');
  assert.deepEqual([...follower.store.serviceKeys()].toSorted(), ['default/b', 'default/e', 'default/f']);
  assert.deepEqual(server.requests.map(({ resource, verb }) => `${verb} ${resource}`).toSorted(), [
    'watchlist endpointslices',
    'watchlist nodes',
    'watchlist services',
  ]);
  assert.equal(follower.source.health().lastError, undefined);
});

test('the server is asked as kube-proxy asks it', async () => {
  await using server = await filledServer();
  await using follower = follow(server, unhurried);
  await converged(follower, server);
  const asked = new Map(server.requests.map(({ resource, query }) => [resource, Object.fromEntries(query)]));
  const { timeoutSeconds, ...services } = asked.get('services') ?? {};
  assert.ok(Number(timeoutSeconds) >= 300 && Number(timeoutSeconds) <= 600);
  assert.deepEqual(services, {
    labelSelector: '!service.kubernetes.io/service-proxy-name',
    fieldSelector: 'spec.clusterIP!=None',
    watch: 'true',
    allowWatchBookmarks: 'true',
    sendInitialEvents: 'true',
    resourceVersionMatch: 'NotOlderThan',
  });
  assert.equal(asked.get('endpointslices')?.['labelSelector'], '!service.kubernetes.io/headless');
  assert.equal(asked.get('nodes')?.['fieldSelector'], 'metadata.name=node-1');
});

test('with a serviceProxyName only the Services and EndpointSlices with it in their label are asked for', async () => {
  await using server = await filledServer();
  const labels = { 'service.kubernetes.io/service-proxy-name': 'trial' };
  const metadata = { name: 'd', namespace: 'default', labels };
  server.put({ ...sampleService('d'), metadata });
  await using follower = follow(server, { ...unhurried, serviceProxyName: 'trial' });
  await until('the labelled Service', () => follower.store.service(key('d')) !== undefined);
  assert.deepEqual([...follower.store.serviceKeys()], ['default/d']);
  const asked = (resource: string) =>
    server.requests.find((request) => request.resource === resource)?.query.get('labelSelector');
  assert.equal(asked('services'), 'service.kubernetes.io/service-proxy-name=trial');
  assert.equal(
    asked('endpointslices'),
    'service.kubernetes.io/service-proxy-name=trial,!service.kubernetes.io/headless',
  );
  server.put({
    ...sampleService('d'),
    metadata: { ...metadata, labels: { [Object.keys(labels)[0] ?? '']: 'other' } },
  });
  await until('it left', () => follower.store.service(key('d')) === undefined);
});

test('a change that leaves what we use as it was makes nothing dirty', async () => {
  await using server = await filledServer();
  await using follower = follow(server);
  await converged(follower, server);
  await until('the Node', () => follower.store.node !== undefined);
  const before = follower.notifications.length;
  const annotations = { 'endpoints.kubernetes.io/last-change-trigger-time': '2026-11-22T18:00:00Z' };
  const slice = sampleSlice('a', ['10.244.0.1', '10.244.0.2']);
  server.put({ ...slice, metadata: { ...slice.metadata, annotations } }, sampleService('a'));
  server.put(sampleService('last'));
  await converged(follower, server);
  assert.deepEqual(
    follower.notifications.slice(before).map(({ dirty }) => dirty),
    [['default/last']],
  );
});

const faults: readonly Fault[] = [
  { fault: 'status', status: 500 },
  { fault: 'status', status: 502, html: true },
  { fault: 'status', status: 503, retryAfterSeconds: 0 },
  { fault: 'status', status: 403, reason: 'Forbidden' },
  { fault: 'status', status: 404, reason: 'NotFound' },
  { fault: 'status', status: 410, reason: 'Expired' },
  { fault: 'status', status: 422, reason: 'Invalid' },
  { fault: 'status', status: 504, reason: 'Timeout', tooLargeVersion: true },
  { fault: 'refuse' },
  { fault: 'no-answer' },
  ...[0, 1, 3].flatMap((after): Fault[] => [
    { fault: 'cut', after },
    { fault: 'reset', after },
    { fault: 'garbage', after },
    { fault: 'half-and-end', after },
    { fault: 'end', after },
    { fault: 'error-event', after, status: 410, reason: 'Expired' },
    { fault: 'error-event', after, status: 500, reason: 'InternalError' },
    { fault: 'error-event', after, status: 504, reason: 'Timeout' },
  ]),
  { fault: 'twice' },
  { fault: 'slow', pieceBytes: 100, milliseconds: 1 },
  { fault: 'endless-line', after: 1, pieceBytes: 4 * 1024 * 1024 },
];

const withPages: ApiServerOptions = { watchList: 'refused' };

const situations: readonly [verb: Verb, options: ApiServerOptions][] = [
  ['watchlist', {}],
  ['watch', {}],
  ['list', withPages],
  ['watch', withPages],
];

for (const [verb, options] of situations)
  for (const fault of faults) {
    const name = JSON.stringify(fault).slice(1, -1).replaceAll('"', '');
    test(`${verb}${options === withPages ? ' after pages' : ''}: ${name}: the store converges, nothing is deleted that exists`, async () => {
      await using server = await filledServer(options);
      server.fail({ resource: 'services', verb, fault });
      server.fail({ resource: 'endpointslices', verb, fault });
      await using follower = follow(server);
      if (verb === 'watch' && options !== withPages) {
        await converged(follower, server);
        // A streaming list goes on as a watch of its own; only after it broke another one is begun.
        server.dropConnections();
      }
      await until('the fault has struck', () => server.pendingFaults === 0);
      changeMuch(server);
      await converged(follower, server);
      const existing = ['b', 'd', 'e'].map(key);
      const lost = follower.notifications
        // Before the Services are there a slice may speak of one that is yet to come.
        .filter(({ synced }) => synced)
        .flatMap(({ gone }) => gone.filter((service) => existing.includes(service)));
      assert.deepEqual(lost, []);
    });
  }

test('silence in the middle of a list or a watch is noticed by our own deadline', async () => {
  for (const verb of ['watchlist', 'list', 'watch'] as const) {
    await using server = await filledServer(verb === 'list' ? withPages : {});
    server.fail({ verb, resource: 'services', fault: { fault: 'silence', after: verb === 'watch' ? 1 : 2 } });
    await using follower = follow(server, { timing: { watchSeconds: [0, 0], slack: 300 } });
    changeMuch(server);
    await until('the fault has struck', () => server.pendingFaults === 0);
    await converged(follower, server);
    server.put(sampleService('later'));
    await converged(follower, server);
  }
});

for (const watchList of ['refused', 'ignored'] as const)
  test(`a server that has streaming lists ${watchList} is listed by pages`, async () => {
    await using server = await filledServer({ watchList });
    await using follower = follow(server);
    await converged(follower, server);
    changeMuch(server);
    await converged(follower, server);
    await until('the watches', () => server.openStreams === 3);
    const services = server.requests.filter(({ resource }) => resource === 'services');
    assert.deepEqual(
      services.map(({ verb }) => verb),
      ['watchlist', 'list', 'watch'],
    );
    assert.equal(services[1]?.query.get('resourceVersion'), '0');
    assert.equal(services[1]?.query.get('limit'), '500');
  });

test('a bookmark before the end mark means that the server ignores streaming lists', async () => {
  await using server = await filledServer({ watchList: 'ignored', bookmarkMilliseconds: 20 });
  await using follower = follow(server, { timing: { initialIdle: 5_000 } });
  await converged(follower, server);
  assert.ok(server.requests.some(({ verb }) => verb === 'list'));
});

const manyServices = async (count: number, options: ApiServerOptions): Promise<ApiServer> => {
  const server = await ApiServer.start(options);
  for (let index = 0; index < count; index += 1)
    server.put(sampleService(`s-${String(index).padStart(4, '0')}`));
  return server;
};

test('a list of several pages is one list', async () => {
  await using server = await manyServices(1_201, withPages);
  await using follower = follow(server);
  await converged(follower, server);
  await until('the watches', () => server.openStreams === 3);
  const verbs = server.requests.filter(({ resource }) => resource === 'services').map(({ verb }) => verb);
  assert.deepEqual(verbs, ['watchlist', 'list', 'page', 'page', 'watch']);
  assert.equal(follower.notifications.filter(({ dirty }) => dirty.length > 0).length, 1);
});

test('an expired or broken continue token starts the list anew, in one piece', async () => {
  for (const fault of [
    { fault: 'status', status: 410, reason: 'Expired' },
    { fault: 'status', status: 400, reason: 'BadRequest' },
  ] as const) {
    await using server = await manyServices(600, withPages);
    server.fail({ resource: 'services', verb: 'page', fault });
    await using follower = follow(server);
    await converged(follower, server);
    const lists = server.requests.filter(({ resource, verb }) => resource === 'services' && verb === 'list');
    assert.deepEqual(
      lists.map(({ query }) => [query.get('resourceVersion'), query.get('limit')]),
      [
        ['0', '500'],
        [null, null],
      ],
    );
  }
});

test('a version that is gone is listed anew: what vanished meanwhile is deleted, in one step', async () => {
  await using server = await filledServer();
  await using follower = follow(server);
  await converged(follower, server);
  const before = follower.notifications.length;
  server.fail({ verb: 'watch', times: 2, fault: { fault: 'status', status: 503 } });
  server.dropConnections();
  for (const name of ['a', 'b', 'c']) server.delete('Service', `default/${name}`);
  server.put(sampleService('new'));
  server.compact();
  await converged(follower, server);
  const changed = follower.notifications.slice(before).filter(({ dirty }) => dirty.length > 0);
  assert.deepEqual(changed, [
    {
      synced: true,
      dirty: ['default/a', 'default/b', 'default/c', 'default/new'],
      gone: ['default/a', 'default/b', 'default/c'],
    },
  ]);
});

test('a lost connection goes on from where it was: nothing is listed, nothing is lost', async () => {
  await using server = await filledServer();
  await using follower = follow(server);
  await converged(follower, server);
  for (let round = 0; round < 5; round += 1) {
    server.dropConnections();
    server.put(sampleService(`round-${round}`), sampleSlice(`round-${round}`, ['10.244.1.1']));
    await converged(follower, server);
  }
  const verbs = server.requests.map(({ verb }) => verb);
  assert.equal(verbs.filter((verb) => verb === 'watchlist').length, 3);
  assert.equal(verbs.filter((verb) => verb === 'list').length, 0);
});

test('a stream that is lost on a connection used before is taken up once, not sent again behind our back', async () => {
  await using server = await filledServer(withPages);
  await using follower = follow(server);
  await converged(follower, server);
  await until('the watches', () => server.openStreams === 3);
  server.dropConnections();
  server.put(sampleService('later'));
  await converged(follower, server);
  await until('the watches again', () => server.openStreams === 3);
  await elapse(50);
  const verbs = server.requests.filter(({ resource }) => resource === 'services').map(({ verb }) => verb);
  assert.deepEqual(verbs, ['watchlist', 'list', 'watch', 'watch']);
});

test('bookmarks move the version on, so that a compaction costs no list', async () => {
  await using server = await filledServer();
  await using follower = follow(server);
  await converged(follower, server);
  server.put(sampleNode('node-2', 'zone-z'));
  server.sendBookmarks();
  const current = (): boolean =>
    [...follower.source.counts().resources.values()].every(
      ({ version }) => version === String(server.version),
    );
  await until('the bookmark', current);
  server.compact();
  server.dropConnections();
  server.put(sampleService('later'));
  await converged(follower, server);
  assert.equal(follower.source.counts().resources.get('services')?.lists, 1);
});

test('a server whose versions went back is noticed by its silence and listed anew', async () => {
  await using server = await filledServer();
  await using follower = follow(server, { timing: { watchSeconds: [1, 1] } });
  await converged(follower, server);
  server.rewind(5);
  server.dropConnections();
  server.put(sampleService('after-restore'));
  await converged(follower, server);
});

test('a watch that ends in time is taken up at once and is no failure', async () => {
  await using server = await filledServer({ bookmarkMilliseconds: 100 });
  await using follower = follow(server, { timing: { watchSeconds: [1, 1] } });
  await converged(follower, server);
  await until(
    'the second watch',
    () => server.requests.filter(({ resource }) => resource === 'services').length > 1,
  );
  server.put(sampleService('later'));
  await converged(follower, server);
  const counters = follower.source.counts().resources.get('services');
  assert.deepEqual([counters?.failures, counters?.lists], [{}, 1]);
});

test('a line that is broken each time is got past by a list', async () => {
  await using server = await filledServer();
  await using follower = follow(server);
  await converged(follower, server);
  server.fail({ resource: 'services', verb: 'watch', times: 50, fault: { fault: 'garbage', after: 0 } });
  server.dropConnections();
  server.put(sampleService('behind-the-garbage'));
  await converged(follower, server);
});

test('an object that makes no sense is skipped and keeps what it was, also through a relist', async () => {
  await using server = await filledServer();
  await using follower = follow(server);
  await converged(follower, server);
  const before = follower.store.service(key('a'));
  const broken = sampleService('a', { ports: [{ name: 'http', port: 80_000 }] });
  server.put(broken, sampleService('after'));
  await until('the next object', () => follower.store.service(key('after')) !== undefined);
  assert.deepEqual(follower.store.service(key('a')), before);
  server.compact();
  server.fail({ resource: 'services', verb: 'watch', fault: { fault: 'status', status: 410 } });
  server.dropConnections();
  await until('the relist', () => (follower.source.counts().resources.get('services')?.lists ?? 0) > 1);
  server.put(sampleService('after-relist'));
  await until('the object after it', () => follower.store.service(key('after-relist')) !== undefined);
  assert.deepEqual(follower.store.service(key('a')), before);
  assert.equal(follower.source.counts().resources.get('services')?.malformed, 2);
  server.put(sampleService('a'));
  await converged(follower, server);
  server.put(broken);
  server.delete('Service', 'default/a');
  await until('the deletion', () => follower.store.service(key('a')) === undefined);
});

test('401 fetches credentials anew, and only a second one waits', async () => {
  let serverToken = 'first';
  await using server = await filledServer({ token: () => serverToken });
  let known = 'first';
  let refreshes = 0;
  const credentials: FollowOptions['credentials'] = {
    server: new URL(server.url),
    current: async () => ({ headers: { authorization: `Bearer ${known}` }, tls: {} }),
    refresh: async () => {
      refreshes += 1;
      known = serverToken;
    },
  };
  await using follower = follow(server, { credentials });
  await converged(follower, server);
  serverToken = 'second';
  server.dropConnections();
  server.put(sampleService('later'));
  await converged(follower, server);
  assert.ok(refreshes >= 1 && refreshes <= 3);
  assert.equal(follower.source.counts().resources.get('services')?.failures.refused, undefined);
});

test('without a right to anything it says so and goes on as soon as it has it', async () => {
  let wanted = 'unknown';
  await using server = await filledServer({ token: () => wanted });
  await using follower = follow(server, { credentials: plainCredentials(server.url, 'mine') });
  await until('the trouble', () => follower.source.health().lastError === 'Unauthorized');
  assert.equal(follower.source.health().delivered, false);
  wanted = 'mine';
  await converged(follower, server);
  await until('no trouble', () => follower.source.health().lastError === undefined);
});

test('429 and its Retry-After are obeyed', async () => {
  await using server = await filledServer();
  const fault = { fault: 'status', status: 429, reason: 'TooManyRequests', retryAfterSeconds: 1 } as const;
  server.fail({ resource: 'services', verb: 'watchlist', fault });
  const began = performance.now();
  await using follower = follow(server);
  await converged(follower, server);
  assert.ok(performance.now() - began >= 1_000);
  assert.equal(server.requests.filter(({ resource }) => resource === 'services').length, 2);
});

test('requests of one source share a pool of connections that stay open', async () => {
  await using server = await manyServices(2_600, withPages);
  await using follower = follow(server);
  await converged(follower, server);
  await until('all watches', () => server.openStreams === 3);
  assert.equal(server.requests.length, 14);
  assert.equal(server.connectionCount, 3);
});

test('a server that is down for a while is followed again when it is back', async () => {
  const first = await filledServer();
  const { port } = first;
  await using follower = follow(first);
  await converged(follower, first);
  await first[Symbol.asyncDispose]();
  await until('the trouble', () => follower.source.health().lastError !== undefined);
  assert.equal([...follower.store.serviceKeys()].length, 5);
  await using second = await ApiServer.start({ port });
  for (let index = 0; index < 30; index += 1) second.put(sampleService(`s-${index}`));
  second.compact();
  await converged(follower, second);
});

test('each state is logged once, not each time it is tried again', async () => {
  await using server = await filledServer();
  const lines: string[] = [];
  const note =
    (level: string) =>
    (fields: object): void => {
      const { event, resource, cause } = fields as { event?: string; resource?: string; cause?: string };
      if (resource === 'services') lines.push([level, event, cause].filter(Boolean).join(': '));
    };
  const logger = {
    debug: note('debug'),
    info: note('info'),
    warn: note('warn'),
    error: note('error'),
    child: () => logger,
  };
  await using follower = follow(server, { logger });
  await converged(follower, server);
  server.fail({ resource: 'services', verb: 'watch', times: 5, fault: { fault: 'status', status: 500 } });
  server.dropConnections();
  server.put(sampleService('later'));
  await converged(follower, server);
  assert.deepEqual(lines, [
    'info: resource-followed',
    'warn: resource-not-followed: connection',
    'warn: resource-not-followed: refused',
    'info: resource-followed',
  ]);
  assert.equal(follower.source.counts().resources.get('services')?.failures.refused, 5);
});

test('nothing is synced before the Node is known: its zone decides what is served', async () => {
  await using server = await filledServer();
  server.put(sampleNode('node-1', 'zone-a'));
  server.fail({ resource: 'nodes', verb: 'watchlist', fault: { fault: 'status', status: 503 } });
  await using follower = follow(server, { nodeTimeoutMilliseconds: 4_000 });
  await until('the store is synced', () => follower.store.synced);
  assert.equal(follower.store.node?.zone, 'zone-a');
});

test('where the Node may not be read, the rest is served after a while', async () => {
  await using server = await filledServer();
  server.fail({ resource: 'nodes', times: 1_000, fault: { fault: 'status', status: 403 } });
  await using follower = follow(server);
  await until('the store is synced', () => follower.store.synced);
  assert.equal(follower.store.node, undefined);
});

test('a Node that is deleted, and one that comes back bare, keep what was known', async () => {
  const log = new RecordingLog();
  await using server = await filledServer();
  const whole = { ...sampleNode('node-1', 'zone-a'), spec: { podCIDRs: ['10.244.1.0/24'] } };
  server.put(whole);
  await using follower = follow(server, { logger: log });
  const known = (): string =>
    JSON.stringify([
      follower.store.node?.zone,
      follower.store.node?.addresses,
      follower.store.node?.podCidrs,
    ]);
  await until('the Node', () => follower.store.node?.zone === 'zone-a');
  const before = known();
  server.delete('Node', 'node-1');
  const warnings = (): readonly unknown[] => log.at('warn').map(({ fields }) => fields['event']);
  await until('it is told', () => warnings().length === 1);
  assert.deepEqual(warnings(), ['node-deleted']);
  assert.equal(known(), before);
  server.put(sampleService('later'));
  server.compact();
  server.dropConnections();
  const lists = (): number =>
    server.requests.filter(({ resource, verb }) => resource === 'nodes' && verb === 'watchlist').length;
  await until('it is listed again', () => lists() === 2);
  await elapse(50);
  server.put({ ...sampleNode('node-1', 'zone-b'), status: {} });
  await until('the new zone', () => follower.store.node?.zone === 'zone-b');
  assert.equal(known(), before.replace('zone-a', 'zone-b'));
  server.put({ ...whole, spec: { podCIDRs: ['10.244.2.0/24'] } });
  await until('the new network', () => follower.store.node?.podCidrs[0]?.text === '10.244.2.0/24');
  assert.equal(warnings().filter((event) => event === 'node-deleted').length, 1);
});

test('disposing of a source ends its requests at once', async () => {
  await using server = await filledServer();
  server.fail({ resource: 'nodes', fault: { fault: 'no-answer' } });
  const timeout = 60_000;
  const follower = follow(server, { timing: { response: timeout, watchResponse: timeout } });
  await converged(follower, server);
  const began = performance.now();
  await follower[Symbol.asyncDispose]();
  assert.ok(performance.now() - began < timeout / 2);
  await until('no streams', () => server.openStreams === 0);
  const before = server.requests.length;
  server.put(sampleService('unseen'));
  await elapse(100);
  assert.equal(server.requests.length, before);
  assert.equal(follower.store.service(key('unseen')), undefined);
});

/** What may happen to a cluster and to the way to it. */
type Happening =
  | { readonly do: 'put' | 'hide' | 'delete'; readonly name: string }
  | { readonly do: 'drop' | 'compact' | 'bookmark' }
  | { readonly do: 'fail'; readonly fault: Fault };

const happenings: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom('put', 'hide', 'delete'),
      name: fc.constantFrom('a', 'b', 'c', 'x', 'y'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('drop', 'compact', 'bookmark') }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('fail' as const),
      fault: fc.constantFrom(...faults.filter(({ fault }) => fault !== 'endless-line')),
    }),
  },
);

const happen = (server: ApiServer, happening: Happening): void => {
  switch (happening.do) {
    case 'put': {
      const { name } = happening;
      return server.put(
        sampleService(name, { healthCheckNodePort: server.version }),
        sampleSlice(name, [`10.244.0.${server.version % 250}`]),
      );
    }
    case 'hide':
      return server.put(sampleService(happening.name, { clusterIP: 'None', clusterIPs: ['None'] }));
    case 'delete':
      for (const [kind, name] of [
        ['Service', happening.name],
        ['EndpointSlice', `${happening.name}-x`],
      ] as const)
        if (server.list(kind).some(({ metadata }) => metadata.name === name))
          server.delete(kind, `default/${name}`);
      return undefined;
    case 'drop':
      return server.dropConnections();
    case 'compact':
      return server.compact();
    case 'bookmark':
      return server.sendBookmarks();
    case 'fail':
      return server.fail({ fault: happening.fault });
  }
};

test('whatever happens, in whatever order, the store comes to equal the server', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(happenings, fc.integer({ min: 0, max: 8 })), { minLength: 5, maxLength: 30 }),
      fc.constantFrom<ApiServerOptions>({}, withPages, { bookmarkMilliseconds: 5 }),
      async (course, options) => {
        await using server = await filledServer(options);
        await using follower = follow(server, { timing: { response: 100, initialIdle: 100 } });
        for (const [happening, pause] of course) {
          happen(server, happening);
          await elapse(pause);
        }
        await converged(follower, server);
      },
    ),
    { numRuns: 25, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: false },
  );
});
