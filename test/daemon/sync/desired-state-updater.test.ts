import { DesiredState } from '../../../src/plan/desired-state.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isBound } from '../../../src/model/settings/vip-binding.js';
import { silentLogger, type Logger } from '../../../src/base/log.js';
import { silentRecorder } from '../../../src/daemon/events/event-recorder.js';
import { DesiredStateUpdater } from '../../../src/daemon/sync/desired-state-updater.js';
import type { VirtualServerKey } from '../../../src/model/virtual-server.js';
import { ClusterStore } from '../../../src/watch/store/cluster-store.js';
import { dirtyKeys, type DirtyKeys } from '../../../src/plan/operations/diff.js';
import { apiServerService, reservedAddresses } from '../../../src/plan/render/reserved-addresses.js';
import { ip, local, nodeFacts, ready, service, settings, slice } from '../../support/objects.js';

/** Wanted state over a store, with the Services that it warned of. */
const setUp = (held: () => DirtyKeys = dirtyKeys) => {
  const warned: string[] = [];
  const log: Logger = {
    ...silentLogger,
    warn: (fields) => void warned.push(String(fields['service'])),
  };
  const store = new ClusterStore(() => {});
  const facts = nodeFacts();
  const wanted = new DesiredStateUpdater({
    desired: new DesiredState(),
    store,
    settings: () => settings(),
    nodeFacts: () => facts,
    retainedKeys: held,
    events: silentRecorder,
    log,
  });
  const put = (name: string, createdAt: string, ports: readonly string[]): void => {
    const value = service(name, {
      clusterIP: `10.96.0.${name.slice(1)}`,
      externalIPs: ['203.0.113.1'],
      createdAt,
      ports,
    });
    store.apply([{ kind: 'service', key: value.key, value }]);
  };
  return { warned, wanted, store, put };
};

const older = '2020-01-01T00:00:00Z';
const newer = '2021-01-01T00:00:00Z';

test('a clash is told of once, again when its winner changes, and anew after it was over', () => {
  const { warned, wanted, put } = setUp();
  put('s1', older, [':80']);
  put('s2', newer, [':80']);
  wanted.update();
  put('s3', newer, [':81']);
  wanted.update();
  assert.deepEqual(warned, ['default/s2']);
  put('s1', older, [':90']);
  wanted.update();
  put('s1', older, [':80']);
  wanted.update();
  assert.deepEqual(warned, ['default/s2', 'default/s2']);
  put('s2', '2019-01-01T00:00:00Z', [':80']);
  wanted.update();
  assert.deepEqual(warned, ['default/s2', 'default/s2', 'default/s1']);
});

test('all that is wrong now can be asked for: problems of Services and clashes between them', () => {
  const { wanted, put } = setUp();
  put('s1', older, [':80']);
  put('s2', newer, [':80']);
  wanted.update();
  const now = (): readonly string[] =>
    [...wanted.problemEvents()].map(({ regarding, reason }) => `${regarding.name} ${reason}`);
  assert.deepEqual(now(), ['s2 AddressInUse']);
  put('s2', newer, [':81']);
  wanted.update();
  assert.deepEqual(now(), []);
});

test('what the kernel holds is looked at when the settings change, and at no other time', () => {
  const left = 'TCP 10.96.9.9:80' as VirtualServerKey;
  const { wanted, put } = setUp(() => dirtyKeys({ virtualServers: new Set([left]) }));
  put('s1', older, [':80']);
  assert.ok(wanted.update().virtualServers.has(left));
  put('s1', older, [':81']);
  assert.ok(!wanted.update().virtualServers.has(left));
  wanted.nodeChanged();
  assert.ok(wanted.update().virtualServers.has(left));
});

test('a change looks at no clash but its own', (context) => {
  const { wanted, put } = setUp();
  for (let port = 1; port <= 100; port += 1) put(`s${port}`, older, ['web:80', `own:${1_000 + port}`]);
  wanted.update();
  const all = context.mock.method(wanted.desired, 'clashes');
  const one = context.mock.method(wanted.desired, 'clashesAt');
  put('s200', newer, [':7']);
  wanted.update();
  assert.equal(all.mock.callCount(), 0);
  assert.equal(one.mock.callCount(), 2);
});

test('an endpoint of the API server is never bound: those who have its address are rendered again when it comes and goes', () => {
  const store = new ClusterStore(() => {});
  const wanted = new DesiredStateUpdater({
    desired: new DesiredState(),
    store,
    settings: () => settings(),
    nodeFacts: () => ({
      ...nodeFacts(),
      reserved: reservedAddresses({
        gateways: [],
        service: store.service(apiServerService),
        slices: store.slicesOf(apiServerService),
        apiServerHost: store.apiServerHost,
      }),
    }),
    retainedKeys: dirtyKeys,
    events: silentRecorder,
    log: silentLogger,
  });
  const web = service('web', { clusterIP: '10.96.0.9', externalIPs: ['203.0.113.1'] });
  const put = (address: string): void => {
    const value = slice('kubernetes', [ready(address)]);
    store.apply([{ kind: 'endpointSlice', key: value.key, value }]);
  };
  store.apply([{ kind: 'service', key: web.key, value: web }]);
  wanted.update();
  assert.ok(isBound(wanted.desired, ip('203.0.113.1')));
  put('203.0.113.1');
  assert.ok(wanted.update().addresses.has(ip('203.0.113.1')));
  assert.ok(!isBound(wanted.desired, ip('203.0.113.1')));
  put('203.0.113.2');
  assert.ok(wanted.update().addresses.has(ip('203.0.113.1')));
  assert.ok(isBound(wanted.desired, ip('203.0.113.1')));
});

test('health checks are given once, when what they tell has changed', () => {
  const { wanted, store } = setUp();
  const put = (port: number | undefined): void => {
    const value = service('web', {
      clusterIP: '10.96.0.1',
      ...(port !== undefined && {
        type: 'LoadBalancer',
        externalTrafficPolicy: 'Local',
        healthCheckNodePort: port,
      }),
    });
    store.apply([{ kind: 'service', key: value.key, value }]);
    wanted.update();
  };
  const putEndpoints = (...addresses: readonly string[]): void => {
    const value = slice(
      'web',
      addresses.map((address) => local(ready(address))),
    );
    store.apply([{ kind: 'endpointSlice', key: value.key, value }]);
    wanted.update();
  };
  const taken = (): readonly unknown[] => [...wanted.takeHealthChecks()].map(([, check]) => check);
  put(32_010);
  putEndpoints('10.1.0.1');
  assert.deepEqual(taken(), [{ port: 32_010, localEndpoints: { IPv4: 1 } }]);
  putEndpoints('10.1.0.2');
  wanted.nodeChanged();
  wanted.update();
  assert.deepEqual(taken(), []);
  putEndpoints();
  assert.deepEqual(taken(), [{ port: 32_010, localEndpoints: { IPv4: 0 } }]);
  put(undefined);
  assert.deepEqual(taken(), [undefined]);
});

test('a Service that breaks the rendering keeps what it had, and the others go on', () => {
  const { wanted, store, put } = setUp();
  put('s1', older, [':80']);
  wanted.update();
  const slicesOf = store.slicesOf.bind(store);
  store.slicesOf = (key) => {
    if (key === 'default/s1') throw new Error('poison');
    return slicesOf(key);
  };
  put('s1', older, [':81']);
  put('s2', older, [':82']);
  wanted.update();
  const keys = [...wanted.desired.keys().virtualServers].filter((key) => key.includes('10.96'));
  assert.deepEqual(keys.toSorted(), ['TCP 10.96.0.1:80', 'TCP 10.96.0.2:82']);
  store.slicesOf = slicesOf;
  put('s1', older, [':83']);
  wanted.update();
  assert.ok(wanted.desired.keys().virtualServers.has('TCP 10.96.0.1:83' as VirtualServerKey));
});

test('the last valid value of an annotation stays when everything is rendered again', () => {
  const { warned, wanted, store } = setUp();
  const put = (scheduler: string): void => {
    const annotations = { 'ipvs.kube-ipvs.dev/scheduler': scheduler };
    const value = service('s1', { clusterIP: '10.96.0.1', annotations });
    store.apply([{ kind: 'service', key: value.key, value }]);
    wanted.update();
  };
  const scheduler = (): string | undefined =>
    wanted.desired.virtualServer('TCP 10.96.0.1:80' as VirtualServerKey)?.server.scheduler;
  put('sh');
  put('S H');
  wanted.nodeChanged();
  wanted.update();
  assert.equal(scheduler(), 'sh');
  put('lc');
  assert.equal(scheduler(), 'lc');
  put('L C');
  assert.equal(scheduler(), 'lc');
  assert.deepEqual(warned, ['default/s1', 'default/s1'], 'once for each wrong value');
});
