import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { addressesOf, runLine, savedTable } from '../support/lab-guest.js';
import { ready, serviceObject, sliceObject } from '../support/objects.js';
import { elapse } from '../support/virtual-clock.js';

// Everything of ours, changed by somebody in every way: it is as it was in time, and counted as what it was.

/** From when the programs that make the change have ended. */
const aSecond = 1_000;
const period = 2_000;
/** A period, half of one more for the slices, and what the guest takes. */
const periodAndSlices = period * 1.5 + 2_000;
let daemon: DaemonProcess;

before(async () => {
  runLine('ip link set lo up');
  runLine('ip link add eth0 type dummy');
  runLine('ip address add 192.0.2.10/24 dev eth0');
  runLine('ip link set eth0 up');
  const items = [
    serviceObject('web', {
      type: 'LoadBalancer',
      clusterIPs: ['10.96.0.1', 'fd00:96::1'],
      ipFamilies: ['IPv4', 'IPv6'],
      ports: ['http:80@30080'],
      loadBalancerSourceRanges: ['198.51.100.0/24'],
      ingress: [{ ip: '203.0.113.7' }],
    }),
    sliceObject('web', [ready('10.128.0.1'), ready('10.128.0.2')], { ports: ['http:80'] }),
    sliceObject('web', [ready('fd00:128::1')], { ports: ['http:80'], family: 'IPv6', suffix: 'v6' }),
  ];
  const source = join(mkdtempSync(join(tmpdir(), 'drift-')), 'world.json');
  writeFileSync(source, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  const flags = [`--ipvs-sync-period=${period}ms`, '--nodeport-addresses=192.0.2.0/24'];
  daemon = new DaemonProcess([`--source=${source}`, ...flags]);
  await eventually(() => assert.match(daemon.log, /"synced"/));
});
after(async () => {
  await daemon[Symbol.asyncDispose]();
});

/** Of the metric: by object and how it was. */
const counts = async (): Promise<ReadonlyMap<string, number>> => {
  // A kept connection may be closed by the daemon in the moment that it is used again.
  const page = await (
    await fetch('http://127.0.0.1:10249/metrics', { headers: { connection: 'close' } })
  ).text();
  const series = /^kube_ipvs_drift_repaired_total\{object="([^"]+)",drift="([^"]+)"\} (\d+)$/gm;
  return new Map(
    [...page.matchAll(series)].map(([, object, drift, count]) => [`${object} ${drift}`, Number(count)]),
  );
};

const rulesText = (): string =>
  (runLine('nft list table ip kube-ipvs') + runLine('nft list table ip6 kube-ipvs')).replaceAll(
    /counter packets \d+ bytes \d+/g,
    'counter',
  );
/** The order of elements in nft's text is the kernel's. */
const rules = (): readonly string[] =>
  rulesText()
    .replaceAll(/elements = \{([^}]*)\}/g, (_, all: string) =>
      all
        .split(',')
        .map((each) => each.trim())
        .toSorted()
        .join('\n'),
    )
    .split('\n')
    .map((line) => line.trim())
    .toSorted();

const everything = () => ({
  table: savedTable(),
  addresses: addressesOf('kube-ipvs0').filter((address) => !address.startsWith('fe80')),
  rules: rules(),
});

interface Drift {
  /** What somebody does. */
  readonly lines: readonly string[];
  /** How it is counted. */
  readonly counted: readonly string[];
  readonly within: number;
}

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

for (const [what, { lines, counted, within }] of Object.entries(drifts))
  test(`${what}: it is as it was within ${within} ms, counted as ${counted.join(' and ')}`, async () => {
    const before = everything();
    const countsBefore = await counts();
    for (const line of lines) runLine(line);
    await elapse(within);
    assert.deepEqual(everything(), before);
    const now = await counts();
    for (const name of counted) assert.ok((now.get(name) ?? 0) > (countsBefore.get(name) ?? 0), name);
  });

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
