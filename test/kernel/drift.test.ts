import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  aSecond,
  counts,
  driftLab,
  everything,
  period,
  periodAndSlices,
  testDrifts,
  type Drift,
} from '../support/drift-lab.js';
import { eventually } from '../support/eventually.js';
import { elapse } from '../support/virtual-clock.js';

// Everything of ours, changed by somebody in every way: it is as it was in time, and counted as what it was.

driftLab('address');

const drifts: Readonly<Record<string, Drift>> = {
  'a virtual server is deleted': {
    lines: ['ipvsadm -D -t 10.96.0.1:80'],
    counted: ['virtual-server missing', 'real-server missing'],
    within: periodAndSlices,
  },
  'a virtual server is edited': {
    lines: ['ipvsadm -E -t [fd00:96::1]:80 -s wlc -p 90'],
    counted: ['virtual-server differs'],
    within: periodAndSlices,
  },
  'a real server is deleted': {
    lines: ['ipvsadm -d -t 192.0.2.10:30080 -r 10.128.0.2:80'],
    counted: ['real-server missing'],
    within: periodAndSlices,
  },
  'a real server is added': {
    lines: ['ipvsadm -a -t 10.96.0.1:80 -r 10.128.0.99:80 -m'],
    counted: ['real-server extra'],
    within: periodAndSlices,
  },
  'the weight and the thresholds of a real server are changed': {
    lines: ['ipvsadm -e -t 10.96.0.1:80 -r 10.128.0.1:80 -m -w 9 -x 10'],
    counted: ['real-server differs'],
    within: periodAndSlices,
  },
  'the forwarding of a real server is changed': {
    lines: ['ipvsadm -e -t 10.96.0.1:80 -r 10.128.0.2:80 -i'],
    counted: ['real-server differs'],
    within: periodAndSlices,
  },
  'the whole IPVS table is flushed': {
    lines: ['ipvsadm -C'],
    counted: ['virtual-server missing', 'real-server missing'],
    within: periodAndSlices,
  },
  'a VIP is taken away': {
    lines: ['ip address delete 10.96.0.1/32 dev kube-ipvs0'],
    counted: ['address missing'],
    within: aSecond,
  },
  'an IPv6 VIP is taken away': {
    lines: ['ip address delete fd00:96::1/128 dev kube-ipvs0'],
    counted: ['address missing'],
    within: aSecond,
  },
  'an address is added to kube-ipvs0': {
    lines: ['ip address add 10.96.0.77/32 dev kube-ipvs0'],
    counted: ['address extra'],
    within: aSecond,
  },
  'kube-ipvs0 is deleted': {
    lines: ['ip link delete kube-ipvs0'],
    counted: ['interface missing', 'address missing'],
    within: aSecond,
  },
  'kube-ipvs0 is set up and down': {
    // The kernel takes the IPv6 addresses of a device that goes down.
    lines: ['ip link set kube-ipvs0 up', 'ip link set kube-ipvs0 down'],
    counted: ['address missing'],
    within: aSecond,
  },
  'an element is deleted': {
    lines: ['nft delete element ip kube-ipvs cluster-ip { 10.96.0.1 . tcp . 80 }'],
    counted: ['packet-rule missing'],
    within: aSecond,
  },
  'an element is added': {
    lines: ['nft add element ip6 kube-ipvs vips { fd00:96::77 }'],
    counted: ['packet-rule extra'],
    within: aSecond,
  },
  'a set is flushed': {
    lines: ['nft flush set ip kube-ipvs vips'],
    counted: ['packet-rule missing'],
    within: aSecond,
  },
  'a rule is added': {
    lines: ['nft insert rule ip kube-ipvs input drop'],
    counted: ['packet-rule differs'],
    within: aSecond,
  },
  'a chain is flushed': {
    lines: ['nft flush chain ip kube-ipvs masquerade-postrouting'],
    counted: ['packet-rule differs'],
    within: aSecond,
  },
  'a table is deleted': {
    lines: ['nft delete table ip6 kube-ipvs'],
    counted: ['packet-rule differs'],
    within: aSecond,
  },
  'all rules are flushed': {
    lines: ['nft flush ruleset'],
    counted: ['packet-rule differs'],
    within: aSecond,
  },
};

testDrifts(drifts);

test('a kernel setting that we cannot do without is set again within a period', async () => {
  const before = (await counts()).get('kernel-setting differs') ?? 0;
  const names = ['vs/conntrack', 'ip_forward', 'vs/expire_nodest_conn'].map(
    (name) => `/proc/sys/net/ipv4/${name}`,
  );
  for (const name of names) writeFileSync(name, '0');
  const values = (): readonly string[] => names.map((name) => readFileSync(name, 'utf8').trim());
  await eventually(() => assert.deepEqual(values(), ['1', '1', '1']), periodAndSlices);
  assert.equal((await counts()).get('kernel-setting differs'), before + 3);
});

test('what nobody changed is not counted', async () => {
  const before = await counts();
  const all = everything();
  await elapse(period * 3);
  assert.deepEqual(await counts(), before);
  assert.deepEqual(everything(), all);
});
