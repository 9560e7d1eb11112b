import { defaultInstance } from '../../src/model/instance-names.js';
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RtnetlinkClient } from '../../src/kernel/rtnetlink/client.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { addressesOf, run, runLine, savedTable } from '../support/lab-guest.js';
import { ready, serviceObject, sliceObject } from '../support/objects.js';

// Gateways of the node, and Services that want their addresses.

const route = RtnetlinkClient.open(defaultInstance);
before(() => {
  run('scripts/kernel-lab/network', 'up', '--pods', '1');
  runLine('ip link add uplink type dummy');
  runLine('ip address add 198.51.100.2/24 dev uplink');
  runLine('ip address add 2001:db8:100::2/64 dev uplink nodad');
  runLine('ip link set uplink up');
});
after(() => {
  route.close();
  run('scripts/kernel-lab/network', 'down');
});

const gateways = async (): Promise<readonly string[]> =>
  [...(await route.gateways(['IPv4', 'IPv6']))].toSorted();

test('gateways are found in every table, on every path, of both families', async () => {
  assert.deepEqual(await gateways(), []);
  runLine('ip route add default via 198.51.100.1');
  assert.deepEqual(await gateways(), ['198.51.100.1']);
  runLine('ip route add 203.0.113.0/24 via 198.51.100.3 table 77');
  runLine('ip route add 203.0.113.0/25 nexthop via 198.51.100.4 nexthop via 198.51.100.5 weight 2');
  runLine('ip route add 203.0.113.128/25 via inet6 2001:db8:100::7');
  runLine('ip -6 route add default via 2001:db8:100::1');
  runLine('ip -6 route add 2001:db8:200::/64 nexthop via 2001:db8:100::3 nexthop via 2001:db8:100::4');
  runLine('ip route add blackhole 203.0.114.0/24');
  assert.deepEqual(await gateways(), [
    '198.51.100.1',
    '198.51.100.3',
    '198.51.100.4',
    '198.51.100.5',
    '2001:db8:100::1',
    '2001:db8:100::3',
    '2001:db8:100::4',
    '2001:db8:100::7',
  ]);
});

test('the routes to a thousand own addresses cost no message: the kernel leaves them out', async () => {
  const lines = Array.from(
    { length: 1_000 },
    (_, index) => `address add 10.96.${index >> 8}.${index & 255}/32 dev uplink`,
  );
  const batch = join(mkdtempSync(join(tmpdir(), 'gateways-')), 'batch');
  writeFileSync(batch, lines.join('\n'));
  run('ip', '-batch', batch);
  const started = performance.now();
  assert.equal((await gateways()).length, 8);
  console.log(`gateways beside 1,000 own addresses: ${(performance.now() - started).toFixed(1)} ms`);
});

test('a Service with the address of a gateway is served and not bound, which is told; the node reaches its gateway', async () => {
  // The client of the lab's network is the node's gateway.
  runLine('ip -n node route add default via 192.0.2.2');
  const manifest = join(mkdtempSync(join(tmpdir(), 'gateways-')), 'world.json');
  const items = [
    serviceObject('web', { clusterIPs: ['10.96.0.10'], externalIPs: ['192.0.2.2'], ports: [':80/TCP'] }),
    sliceObject('web', [ready('10.244.0.11')], { ports: [':8080/TCP'] }),
    serviceObject('kubernetes', { clusterIPs: ['10.96.0.1'], ports: [':443/TCP'] }),
    sliceObject('kubernetes', [ready('192.0.2.50')], { ports: [':6443/TCP'] }),
    serviceObject('same', { clusterIPs: ['10.96.0.11'], externalIPs: ['192.0.2.50'], ports: [':80/TCP'] }),
  ];
  writeFileSync(manifest, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  await using daemon = new DaemonProcess([`--source=${manifest}`, '--hostname-override=n1'], {
    namespace: 'node',
  });
  await eventually(() => assert.match(daemon.log, /"synced"/));
  assert.deepEqual(addressesOf('kube-ipvs0', 'node'), ['10.96.0.1/32', '10.96.0.10/32', '10.96.0.11/32']);
  const table = savedTable('node');
  for (const address of ['192.0.2.2', '192.0.2.50'])
    assert.ok(table.includes(`-A -t ${address}:80 -s rr`), table.join('\n'));
  assert.ok(table.includes('-a -t 192.0.2.2:80 -r 10.244.0.11:8080 -m -w 1'));
  runLine('ip netns exec node ping -c 1 -W 2 192.0.2.2');
  assert.match(
    daemon.log,
    /"reason":"ReservedAddress","problem":"default\/web: [^"]*192\.0\.2\.2 is a gateway/,
  );
  assert.match(
    daemon.log,
    /"reason":"ReservedAddress","problem":"default\/same: [^"]*192\.0\.2\.50 is an endpoint of the API server/,
  );
});

test('an address that is no gateway any more is bound at the next resync', async () => {
  const manifest = join(mkdtempSync(join(tmpdir(), 'gateways-')), 'world.json');
  const items = [
    serviceObject('web', { clusterIPs: ['10.96.0.10'], externalIPs: ['192.0.2.99'], ports: [':80/TCP'] }),
  ];
  writeFileSync(manifest, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  runLine('ip -n node route add 203.0.113.0/24 via 192.0.2.99');
  await using daemon = new DaemonProcess(
    [`--source=${manifest}`, '--hostname-override=n1', '--ipvs-sync-period=2s'],
    { namespace: 'node' },
  );
  await eventually(() => assert.match(daemon.log, /"synced"/));
  const bound = (): boolean => addressesOf('kube-ipvs0', 'node').includes('192.0.2.99/32');
  assert.ok(addressesOf('kube-ipvs0', 'node').includes('10.96.0.10/32'));
  assert.ok(!bound());
  runLine('ip -n node route delete 203.0.113.0/24');
  await eventually(() => assert.ok(bound()), 10_000);
});
