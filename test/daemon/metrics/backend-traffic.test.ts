import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BackendTraffic, type ServedVirtualServer } from '../../../src/daemon/metrics/backend-traffic.js';
import type { Endpoint } from '../../../src/model/endpoint.js';
import { serviceKey, type ServiceKey } from '../../../src/model/service.js';
import {
  realServerKey,
  virtualServerKey,
  type RealServerKey,
  type RealServerObservation,
  type VirtualServerKey,
} from '../../../src/model/virtual-server.js';
import { ip } from '../../support/objects.js';

/** A real server whose packets and bytes are multiples of its connections. */
const observation = (address: string, connections: number, weight = 1): RealServerObservation => ({
  key: realServerKey(ip(address), 80),
  address: ip(address),
  port: 80,
  weight,
  forwarding: 'masquerade',
  upperThreshold: 0,
  lowerThreshold: 0,
  activeConnections: connections,
  inactiveConnections: 1,
  persistentConnections: 0,
  statistics: {
    connections: BigInt(connections),
    inPackets: BigInt(connections * 2),
    outPackets: BigInt(connections * 3),
    inBytes: BigInt(connections * 4),
    outBytes: BigInt(connections * 5),
    connectionsPerSecond: 0n,
    inPacketsPerSecond: 0n,
    outPacketsPerSecond: 0n,
    inBytesPerSecond: 0n,
    outBytesPerSecond: 0n,
  },
});

/** The kernel: by VIP, a Service of namespace `app` and its real servers. */
type Kernel = Readonly<Record<string, readonly [service: string, servers: readonly RealServerObservation[]]>>;

const setUp = (maximumSeries = 9_000, services: readonly string[] = ['*/*']) => {
  const state = { enabled: true, maximumSeries, services, kernel: {} as Kernel, reads: 0, now: 0 };
  const pods = new Map<RealServerKey, string>();
  const draining = new Set<RealServerKey>();
  function* served(isSelected: (service: ServiceKey) => boolean): Iterable<readonly ServedVirtualServer[]> {
    const all = Object.entries(state.kernel);
    for (const service of new Set(all.map(([, [name]]) => serviceKey('app', name))))
      if (isSelected(service))
        yield all
          .filter(([, [name]]) => serviceKey('app', name) === service)
          .map(([address, [, realServers]]) => {
            const identity = { by: 'address', protocol: 'TCP', address: ip(address), port: 80 } as const;
            return {
              key: virtualServerKey(identity),
              identity,
              port: { service, port: 80, protocol: 'TCP' },
              realServers: new Map(realServers.map((server) => [server.key, server])),
            };
          });
  }
  const traffic = new BackendTraffic({
    settings: () => state,
    virtualServers: served,
    read: async (of) => {
      state.reads += 1;
      return of.by === 'address' ? (state.kernel[of.address]?.[1] ?? []) : [];
    },
    endpointOf: (_: VirtualServerKey, realServer): Endpoint => ({
      address: ip(realServer.replace(/:80$/, '')),
      nodeName: 'n2',
      zone: '',
      ready: true,
      serving: true,
      terminating: false,
      zoneHints: [],
      nodeHints: [],
      pod: pods.get(realServer) ?? 'web-1',
    }),
    isDraining: (_, realServer) => draining.has(realServer),
    now: () => state.now,
  });
  /** By `service address metric direction`. */
  const read = async (): Promise<Readonly<Record<string, number>>> => {
    state.now += 1_000;
    const table = await traffic.table();
    const samples = table.metrics.flatMap((metric) => [...table.samplesOf(metric)]);
    return Object.fromEntries(
      samples.map(({ metric, labels = {}, value }) => [
        [labels['service_name'], labels['endpoint_address'], metric, labels['direction']]
          .filter(Boolean)
          .join(' '),
        value,
      ]),
    );
  };
  return { state, pods, draining, traffic, read };
};

test('an endpoint has one sum over the addresses of its Service, with its pod and node', async () => {
  const { state, draining, traffic, read } = setUp();
  state.kernel = {
    '10.96.0.1': ['web', [observation('10.1.0.1', 10), observation('10.1.0.2', 1, 0)]],
    '192.0.2.1': ['web', [observation('10.1.0.1', 5)]],
  };
  draining.add(realServerKey(ip('10.1.0.2'), 80));
  assert.deepEqual(await read(), {
    backendsLeftOut: 0,
    'web 10.1.0.1:80 backendConnections': 15,
    'web 10.1.0.1:80 backendPackets in': 30,
    'web 10.1.0.1:80 backendPackets out': 45,
    'web 10.1.0.1:80 backendBytes in': 60,
    'web 10.1.0.1:80 backendBytes out': 75,
    'web 10.1.0.1:80 backendActive': 15,
    'web 10.1.0.1:80 backendInactive': 2,
    'web 10.1.0.1:80 backendWeight': 1,
    'web 10.1.0.1:80 backendDraining': 0,
    'web 10.1.0.2:80 backendConnections': 1,
    'web 10.1.0.2:80 backendPackets in': 2,
    'web 10.1.0.2:80 backendPackets out': 3,
    'web 10.1.0.2:80 backendBytes in': 4,
    'web 10.1.0.2:80 backendBytes out': 5,
    'web 10.1.0.2:80 backendActive': 1,
    'web 10.1.0.2:80 backendInactive': 1,
    'web 10.1.0.2:80 backendWeight': 0,
    'web 10.1.0.2:80 backendDraining': 1,
  });
  assert.equal(state.reads, 2, 'each virtual server is read once');
  const [first] = (await traffic.table()).samplesOf('backendConnections');
  assert.deepEqual(first?.labels, {
    service_namespace: 'app',
    service_name: 'web',
    service_port: '80',
    protocol: 'TCP',
    endpoint_address: '10.1.0.1:80',
    endpoint_pod: 'web-1',
    endpoint_node: 'n2',
  });
});

test('a sum does not fall when a virtual server begins anew; another pod with the address begins at 0', async () => {
  const { state, pods, read } = setUp();
  const connections = async (): Promise<number | undefined> =>
    (await read())['web 10.1.0.1:80 backendConnections'];
  state.kernel = { '10.96.0.1': ['web', [observation('10.1.0.1', 10)]] };
  assert.equal(await connections(), 10);
  state.kernel = { '10.96.0.1': ['web', [observation('10.1.0.1', 3)]] };
  assert.equal(await connections(), 13);
  pods.set(realServerKey(ip('10.1.0.1'), 80), 'web-2');
  assert.equal(await connections(), 3);
  state.kernel = { '10.96.0.1': ['web', []] };
  assert.equal(await connections(), undefined);
});

test('beyond the maximum the first backends keep their series until they go, and the others are counted', async () => {
  const { state, read } = setUp(2 * 9 + 8);
  const shown = async (): Promise<readonly (string | number)[]> => {
    const values = await read();
    const names = Object.keys(values).filter((key) => key.endsWith('backendWeight'));
    return [...names.map((key) => key.split(' ')[1] ?? ''), values['backendsLeftOut'] ?? 0];
  };
  const [one, two, three] = [
    observation('10.1.0.1', 1),
    observation('10.1.0.2', 1),
    observation('10.1.0.3', 1),
  ];
  state.kernel = { '10.96.0.1': ['web', [two, three]], '10.96.0.2': ['api', [one]] };
  assert.deepEqual(await shown(), ['10.1.0.2:80', '10.1.0.3:80', 1]);
  state.kernel = { '10.96.0.1': ['web', [one, two, three]], '10.96.0.2': ['api', [one]] };
  assert.deepEqual(await shown(), ['10.1.0.2:80', '10.1.0.3:80', 2]);
  state.kernel = { '10.96.0.1': ['web', [one, three]], '10.96.0.2': ['api', [one]] };
  assert.deepEqual(await shown(), ['10.1.0.3:80', '10.1.0.1:80', 1]);
  state.maximumSeries = 9;
  assert.deepEqual(await shown(), ['10.1.0.3:80', 2]);
});

test('only the Services that match have series, and without the feature the kernel is not read', async () => {
  const { state, read } = setUp(9_000, ['app/w*', 'other/api']);
  state.kernel = {
    '10.96.0.1': ['web', [observation('10.1.0.1', 1)]],
    '10.96.0.2': ['api', [observation('10.1.0.2', 1)]],
  };
  assert.deepEqual(
    [...new Set(Object.keys(await read()).map((key) => key.split(' ')[0]))],
    ['backendsLeftOut', 'web'],
  );
  assert.equal(state.reads, 1);
  state.enabled = false;
  assert.deepEqual(await read(), {});
  assert.equal(state.reads, 1);
});
