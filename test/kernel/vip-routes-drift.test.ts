import assert from 'node:assert/strict';
import { test } from 'node:test';
import { aSecond, driftLab, everything, testDrifts } from '../support/drift-lab.js';
import { runLine, vipRoutesOf } from '../support/lab-guest.js';
import { eventually } from '../support/eventually.js';

// VIPs as local routes, changed by other programs in every way.

driftLab('route');

const vips = ['10.96.0.1/32', '203.0.113.7/32', 'fd00:96::1/128'];

test('VIPs are local routes, and no addresses', () => {
  assert.deepEqual([everything().routes, everything().addresses], [vips, []]);
});

testDrifts({
  'a local route is deleted': {
    lines: ['ip route delete local 10.96.0.1 table local proto 73'],
    counted: ['address missing'],
    within: aSecond,
  },
  'an IPv6 local route is deleted': {
    lines: ['ip -6 route delete local fd00:96::1 table local proto 73'],
    counted: ['address missing'],
    within: aSecond,
  },
  'all local routes of kube-ipvs are flushed': {
    lines: ['ip route flush table local proto 73', 'ip -6 route flush table local proto 73'],
    counted: ['address missing'],
    within: aSecond,
  },
  'a local route is added that looks as one of ours': {
    lines: [
      'ip route add local 10.96.0.77 dev lo table local proto 73 metric 73',
      'ip -6 route add local fd00:96::77 dev lo table local proto 73 metric 73',
    ],
    counted: ['address extra'],
    within: aSecond,
  },
  'a local route is replaced by one through another device': {
    lines: [
      'ip route delete local 10.96.0.1 table local proto 73',
      'ip route add local 10.96.0.1 dev eth0 table local proto 73 metric 73',
      'ip address delete 192.0.2.10/24 dev eth0',
      'ip address add 192.0.2.10/24 dev eth0',
    ],
    counted: [],
    within: 5_000,
  },
  'an address is added to kube-ipvs0': {
    lines: ['ip address add 10.96.0.1/32 dev kube-ipvs0', 'ip address add 10.96.0.77/32 dev kube-ipvs0'],
    counted: ['address extra'],
    within: aSecond,
  },
  'kube-ipvs0 is deleted': {
    lines: ['ip link delete kube-ipvs0'],
    counted: ['interface missing'],
    within: aSecond,
  },
  'kube-ipvs0 is renamed, and deleted': {
    lines: ['ip link set kube-ipvs0 name aside', 'ip link delete aside'],
    counted: [],
    within: 5_000,
  },
  'kube-ipvs0 is set up and down': {
    lines: ['ip link set kube-ipvs0 up', 'ip link set kube-ipvs0 down'],
    counted: [],
    within: aSecond,
  },
  'lo is set down and up': {
    // The kernel deletes the IPv6 routes of a device that goes down, and accepts none before it is up again.
    lines: ['ip link set lo down', 'ip link set lo up'],
    counted: [],
    within: 5_000,
  },
});

test('routes to the same VIPs that another program makes, deletes and changes are its own', async () => {
  const before = everything();
  const foreign = (): string =>
    runLine('ip route show table local proto static') + runLine('ip -6 route show table local proto static');
  runLine('ip route add local 10.96.0.1 dev lo table local proto static');
  runLine('ip route add blackhole 203.0.113.7 table local proto static metric 80');
  runLine('ip -6 route add local fd00:96::1 dev lo table local proto static metric 20');
  const made = foreign();
  assert.equal(made.trim().split('\n').length, 3, made);
  runLine('ip route flush table local proto 73');
  await eventually(() => assert.deepEqual(vipRoutesOf(), vips), aSecond);
  assert.equal(foreign(), made);
  runLine('ip route flush table local proto static');
  runLine('ip -6 route flush table local proto static');
  assert.deepEqual(everything(), before);
});
