import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { RealServerKey, VirtualServerKey } from '../../src/model/virtual-server.js';
import { eventually } from '../support/daemon-process.js';
import { addressesOf, run, runLine, savedTable } from '../support/lab-guest.js';
import { startInProcess, type InProcessDaemon } from '../support/in-process-daemon.js';
import { ready, service, slice } from '../support/objects.js';
import { elapse } from '../support/virtual-clock.js';

// What changes under the daemon from outside: node addresses, the dummy interface, the IPVS table.

let daemon: InProcessDaemon;
const aSecond = 1_000;

const interfaces = (): readonly string[] =>
  (JSON.parse(run('ip', '-j', 'link', 'show')) as { readonly ifname: string }[]).map(({ ifname }) => ifname);

before(async () => {
  runLine('ip link add eth0 type veth peer name eth0-peer');
  runLine('ip address add 10.200.0.2/24 dev eth0');
  // As kube-proxy left it.
  runLine('ip link add kube-ipvs0 type dummy');
  runLine('ip address add 10.96.0.1/32 dev kube-ipvs0');
  runLine('ipvsadm -A -t 10.200.0.2:30999 -s rr');
  daemon = await startInProcess('--ipvs-sync-period=2s');
  const web = service('web', {
    type: 'NodePort',
    clusterIP: '10.96.0.1',
    ports: ['http:80@30080'],
    externalIPs: ['203.0.113.7'],
  });
  const endpoints = slice('web', [ready('10.128.0.1'), ready('10.128.0.2')], { ports: ['http:8080'] });
  const first = daemon.wired.syncLoop.start();
  daemon.wired.store.replace('services', new Map([[web.key, web]]));
  daemon.wired.store.replace('endpointSlices', new Map([[endpoints.key, endpoints]]));
  assert.equal((await first).failed, 0);
});
after(async () => {
  await daemon[Symbol.asyncDispose]();
});

const nodePorts = (): readonly string[] =>
  savedTable().filter((line) => line.startsWith('-A') && line.includes(':30080'));

test('a NodePort is served on the addresses of the node', () => {
  assert.deepEqual(nodePorts(), ['-A -t 10.200.0.2:30080 -s rr']);
});

test('what another proxy left on node ports goes at the first start', () => {
  assert.ok(!savedTable().some((line) => line.includes(':30999')));
});

test('a new address of the node gets its NodePort servers at once, a vanished one loses them', async () => {
  runLine('ip address add 10.200.1.9/24 dev eth0');
  await eventually(() => {
    assert.deepEqual(nodePorts(), ['-A -t 10.200.0.2:30080 -s rr', '-A -t 10.200.1.9:30080 -s rr']);
  }, aSecond);
  runLine('ip address delete 10.200.1.9/24 dev eth0');
  await eventually(() => assert.deepEqual(nodePorts(), ['-A -t 10.200.0.2:30080 -s rr']), aSecond);
});

test('an interface that goes takes its NodePort servers along', async () => {
  runLine('ip link add eth7 type veth peer name eth7-peer');
  runLine('ip address add 10.207.0.1/24 dev eth7');
  await eventually(() => assert.equal(nodePorts().length, 2), aSecond);
  runLine('ip link delete eth7');
  await eventually(() => assert.deepEqual(nodePorts(), ['-A -t 10.200.0.2:30080 -s rr']), aSecond);
});

test('an address that another interface has is never bound, and bound again when that one gives it up', async () => {
  assert.deepEqual(addressesOf('kube-ipvs0'), ['10.96.0.1/32', '203.0.113.7/32']);
  runLine('ip address add 203.0.113.7/32 dev eth0');
  await eventually(() => assert.deepEqual(addressesOf('kube-ipvs0'), ['10.96.0.1/32']), aSecond);
  assert.ok(savedTable().includes('-A -t 203.0.113.7:80 -s rr'), 'it is served nevertheless');
  runLine('ip address delete 203.0.113.7/32 dev eth0');
  await eventually(() => assert.equal(addressesOf('kube-ipvs0').length, 2), aSecond);
});

test('an address that somebody takes from kube-ipvs0 is back within a second, one that somebody adds is gone', async () => {
  runLine('ip address delete 10.96.0.1/32 dev kube-ipvs0');
  await eventually(() => assert.ok(addressesOf('kube-ipvs0').includes('10.96.0.1/32')), aSecond);
  runLine('ip address add 192.0.2.77/32 dev kube-ipvs0');
  await eventually(
    () => assert.deepEqual(addressesOf('kube-ipvs0'), ['10.96.0.1/32', '203.0.113.7/32']),
    aSecond,
  );
});

test('kube-ipvs0 itself is made anew, with all its addresses', async () => {
  runLine('ip link delete kube-ipvs0');
  await eventually(
    () => assert.deepEqual(addressesOf('kube-ipvs0'), ['10.96.0.1/32', '203.0.113.7/32']),
    aSecond,
  );
});

test('kube-ipvs0 under another name is another interface: its addresses are the node’s until it goes', async () => {
  runLine('ip link set kube-ipvs0 name kept-aside');
  await eventually(() => assert.ok(interfaces().includes('kube-ipvs0')), aSecond);
  assert.deepEqual(addressesOf('kube-ipvs0'), []);
  runLine('ip link delete kept-aside');
  await eventually(
    () => assert.deepEqual(addressesOf('kube-ipvs0'), ['10.96.0.1/32', '203.0.113.7/32']),
    aSecond,
  );
});

test('networks and link-local addresses on kube-ipvs0 are left alone, and nobody is told of a repair', async () => {
  const applied = (): unknown => daemon.wired.counters.snapshot()['unbind-address applied'];
  const before = applied();
  runLine('ip address add 10.77.0.1/24 dev kube-ipvs0');
  runLine('ip link set kube-ipvs0 up');
  await eventually(() => assert.equal(addressesOf('kube-ipvs0').length, 4), aSecond);
  await elapse(3_000);
  assert.equal(addressesOf('kube-ipvs0').length, 4);
  assert.equal(applied(), before);
  runLine('ip address delete 10.77.0.1/24 dev kube-ipvs0');
  runLine('ip link set kube-ipvs0 down');
});

test('while something else has the name kube-ipvs0 the table follows, and the addresses come back afterwards', async () => {
  const before = savedTable();
  runLine('ip link delete kube-ipvs0');
  runLine('ip link add kube-ipvs0 type bridge');
  runLine('ipvsadm -D -t 10.96.0.1:80');
  await eventually(() => assert.deepEqual(savedTable(), before), 6_000);
  assert.deepEqual(addressesOf('kube-ipvs0'), []);
  runLine('ip link delete kube-ipvs0');
  await eventually(
    () => assert.deepEqual(addressesOf('kube-ipvs0'), ['10.96.0.1/32', '203.0.113.7/32']),
    20_000,
  );
});

test('a table that was changed from outside is repaired within the sync period, without touching what is foreign', async () => {
  const before = savedTable();
  runLine('ipvsadm -A -t 192.0.2.1:99 -s wlc');
  runLine('ipvsadm -a -t 192.0.2.1:99 -r 192.0.2.2:99 -m');
  runLine('ipvsadm -A -t 10.200.0.2:31000 -s rr');
  runLine('ipvsadm -A -f 7 -s rr');
  runLine('ipvsadm -e -t 10.96.0.1:80 -r 10.128.0.1:8080 -m -w 9');
  runLine('ipvsadm -d -t 10.96.0.1:80 -r 10.128.0.2:8080');
  runLine('ipvsadm -E -t 203.0.113.7:80 -s lc');
  runLine('ipvsadm -D -t 10.200.0.2:30080');
  const foreign = [
    '-A -f 7 -s rr',
    '-A -t 10.200.0.2:31000 -s rr',
    '-A -t 192.0.2.1:99 -s wlc',
    '-a -t 192.0.2.1:99 -r 192.0.2.2:99 -m -w 1',
  ];
  await eventually(() => assert.deepEqual(savedTable(), [...before, ...foreign].toSorted()), 6_000);
});

test('a flushed table comes back whole', async () => {
  const before = savedTable().filter((line) => !/192\.0\.2\.1|-f 7|:31000/.test(line));
  run('ipvsadm', '-C');
  await eventually(() => assert.deepEqual(savedTable(), before), 6_000);
});

test('the mirror holds what the kernel holds', () => {
  const web = 'TCP 10.96.0.1:80' as VirtualServerKey;
  const one = '10.128.0.1:8080' as RealServerKey;
  assert.equal(daemon.wired.observed.virtualServer(web)?.realServers.get(one)?.weight, 1);
});
