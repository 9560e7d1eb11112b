import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Sample } from '../../../src/daemon/metrics/catalogue.js';
import { ServiceTraffic, type VirtualServerStatistics } from '../../../src/daemon/metrics/service-traffic.js';
import { serviceKey } from '../../../src/model/service.js';
import { virtualServerKey, type VirtualServerKey } from '../../../src/model/virtual-server.js';
import { ip } from '../../support/objects.js';

const at = (address: string, port = 80): VirtualServerKey =>
  virtualServerKey({ by: 'address', protocol: 'TCP', address: ip(address), port });

/** Of a virtual server; packets and bytes are multiples of the connections. */
const statistics = (key: VirtualServerKey, connections: number, rate = 0): VirtualServerStatistics => ({
  key,
  statistics: {
    connections: BigInt(connections),
    inPackets: BigInt(connections * 2),
    outPackets: BigInt(connections * 3),
    inBytes: BigInt(connections * 4),
    outBytes: BigInt(connections * 5),
    connectionsPerSecond: BigInt(rate),
    inPacketsPerSecond: 0n,
    outPacketsPerSecond: 0n,
    inBytesPerSecond: 0n,
    outBytesPerSecond: BigInt(rate * 5),
  },
});

const samplesOf = async (traffic: ServiceTraffic): Promise<readonly Sample[]> => {
  const table = await traffic.table();
  return table.metrics.flatMap((metric) => [...table.samplesOf(metric)]);
};

/** A kernel whose virtual servers belong to Services by their addresses. */
const setUp = (owners: Readonly<Record<string, string>>, maximum = 10) => {
  const state = { enabled: true, maximum, kernel: [] as VirtualServerStatistics[], reads: 0, now: 0 };
  const served = new Map(Object.entries(owners).map(([address, name]) => [at(address), name]));
  const traffic = new ServiceTraffic({
    settings: () => state,
    read: async () => {
      state.reads += 1;
      return state.kernel;
    },
    portOf: (key) => {
      const name = served.get(key);
      return name === undefined ? undefined : { service: serviceKey('app', name), port: 80, protocol: 'TCP' };
    },
    now: () => state.now,
  });
  /** By `name metric direction`, of those that are not 0. */
  const read = async (): Promise<Readonly<Record<string, number>>> => {
    state.now += 1_000;
    return Object.fromEntries(
      (await samplesOf(traffic))
        .filter(({ value }) => value !== 0)
        .map(({ metric, labels, value }) => [
          [labels?.['service_name'], metric, labels?.['direction']].filter(Boolean).join(' '),
          value,
        ]),
    );
  };
  return { state, served, read, traffic };
};

test('a port served on several addresses has one sum', async () => {
  const { state, read, traffic } = setUp({ '10.96.0.1': 'web', '192.0.2.1': 'web' });
  state.kernel = [
    statistics(at('10.96.0.1'), 10, 2),
    statistics(at('192.0.2.1'), 1, 3),
    statistics(at('10.9.9.9'), 7),
  ];
  assert.deepEqual(await read(), {
    'web serviceConnections': 11,
    'web servicePackets in': 22,
    'web servicePackets out': 33,
    'web serviceBytes in': 44,
    'web serviceBytes out': 55,
    'web serviceConnectionRate': 5,
    'web serviceByteRate out': 25,
  });
  const [, first] = await samplesOf(traffic);
  assert.deepEqual(first?.labels, {
    service_namespace: 'app',
    service_name: 'web',
    service_port: '80',
    protocol: 'TCP',
  });
});

test('a sum never falls: virtual servers begin anew, go, and are missed by a dump', async () => {
  const { state, served, read } = setUp({ '10.96.0.1': 'web', '192.0.2.1': 'web' });
  const connections = async (): Promise<number | undefined> => (await read())['web serviceConnections'];
  const [one, other] = [at('10.96.0.1'), at('192.0.2.1')];
  state.kernel = [statistics(one, 10), statistics(other, 100)];
  assert.equal(await connections(), 110);
  state.kernel = [statistics(one, 3), statistics(other, 100)];
  assert.equal(await connections(), 113);
  state.kernel = [statistics(one, 4)];
  assert.equal(await connections(), 114);
  state.kernel = [statistics(one, 4), statistics(other, 101), statistics(other, 101)];
  assert.equal(await connections(), 115);
  state.kernel = [];
  assert.equal(await connections(), undefined);
  state.kernel = [statistics(one, 5), statistics(other, 101)];
  assert.equal(await connections(), 116);
  served.delete(other);
  state.kernel = [statistics(one, 6)];
  assert.equal(await connections(), 117);
});

test('of more ports than allowed the busiest have series, and keep them until they go', async () => {
  const { state, served, read } = setUp({ '10.96.0.1': 'a', '10.96.0.2': 'b', '10.96.0.3': 'c' }, 2);
  const names = async (): Promise<readonly string[]> => [
    ...new Set(Object.keys(await read()).map((key) => key.split(' ')[0] ?? '')),
  ];
  state.kernel = [
    statistics(at('10.96.0.1'), 1),
    statistics(at('10.96.0.2'), 5),
    statistics(at('10.96.0.3'), 3),
  ];
  assert.deepEqual(await names(), ['servicePortsLeftOut', 'b', 'c']);
  state.kernel = [
    statistics(at('10.96.0.1'), 99),
    statistics(at('10.96.0.2'), 5),
    statistics(at('10.96.0.3'), 3),
  ];
  assert.deepEqual(await names(), ['servicePortsLeftOut', 'b', 'c']);
  served.delete(at('10.96.0.2'));
  state.kernel = state.kernel.filter(({ key }) => key !== at('10.96.0.2'));
  assert.deepEqual(await names(), ['c', 'a']);
  state.maximum = 1;
  assert.deepEqual(await names(), ['servicePortsLeftOut', 'c']);
});

test('the kernel is asked once a second at most, and not at all where they are turned off', async () => {
  const { state, read, traffic } = setUp({ '10.96.0.1': 'web' });
  state.kernel = [statistics(at('10.96.0.1'), 1)];
  await Promise.all([traffic.table(), traffic.table()]);
  await traffic.table();
  assert.equal(state.reads, 1);
  await read();
  assert.equal(state.reads, 2);
  state.enabled = false;
  assert.deepEqual(await read(), {});
  assert.equal(state.reads, 2);
});
