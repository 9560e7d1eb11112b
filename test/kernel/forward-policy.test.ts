import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ClusterNetwork } from '../support/cluster-network.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { run, savedTable } from '../support/lab-guest.js';
import { ready, serviceObject, sliceObject } from '../support/objects.js';

// Somebody else's rules drop what is forwarded: kube-ipvs says so, and the command that it prints lets answers pass. Every
// answer is one of a real connection from outside to a pod.

const virtual = { IPv4: '10.96.0.10', IPv6: 'fd00:96::10' } as const;
const families = ['IPv4', 'IPv6'] as const;
type Family = (typeof families)[number];

const manifest = join(mkdtempSync(join(tmpdir(), 'forward-')), 'world.json');
let network: ClusterNetwork;
let daemon: DaemonProcess;

const onNode = (line: string): string => run('ip', 'netns', 'exec', 'node', 'sh', '-c', line);

const answer = (family: Family): string =>
  network.ask('client', 'tcp', virtual[family], 80, 1).join() === 'pod1' ? 'answered' : 'no answer';

interface Told {
  readonly level: string;
  readonly problem: string;
  readonly remedy: string;
  readonly filter?: string;
}

/** What the daemon has said of filters so far. */
const told = (): readonly Told[] =>
  daemon.log
    .split('\n')
    .filter((line) => /"event":"repl(ies-blocked|ies-unblocked)"/.test(line))
    .map((line): Told => JSON.parse(line));

before(async () => {
  network = await ClusterNetwork.up(1);
  const items = [
    serviceObject('web', {
      clusterIPs: [virtual.IPv4, virtual.IPv6],
      ipFamilies: families,
      ports: ['http:80/TCP'],
    }),
    sliceObject('web', [ready('10.244.0.11')], { ports: ['http:8080/TCP'], family: 'IPv4', suffix: 'ipv4' }),
    sliceObject('web', [ready('fd00:244::11')], { ports: ['http:8080/TCP'], family: 'IPv6', suffix: 'ipv6' }),
  ];
  writeFileSync(manifest, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  daemon = new DaemonProcess([`--source=${manifest}`, '--ipvs-sync-period=1s'], { namespace: 'node' });
  await eventually(() => assert.equal(savedTable('node').length, 4, daemon.log));
});

after(async () => {
  await daemon[Symbol.asyncDispose]();
  await network[Symbol.asyncDispose]();
});

test('nothing is said where nothing is dropped', () => {
  assert.deepEqual(families.map(answer), ['answered', 'answered']);
  assert.deepEqual(told(), []);
});

interface Case {
  readonly what: string;
  /** Makes the filter, on the node. */
  readonly make: string;
  readonly remove: string;
  readonly loses: readonly Family[];
  readonly problem: RegExp;
}

const cases: readonly Case[] = [
  {
    what: 'iptables-legacy',
    make: 'iptables-legacy -P FORWARD DROP',
    remove: 'iptables-legacy -P FORWARD ACCEPT; iptables-legacy -F FORWARD',
    loses: ['IPv4'],
    problem:
      /^chain FORWARD of table ip filter \(iptables-legacy, hook forward, priority 0\) drops by its policy/,
  },
  {
    what: 'ip6tables-legacy',
    make: 'ip6tables-legacy -P FORWARD DROP',
    remove: 'ip6tables-legacy -P FORWARD ACCEPT; ip6tables-legacy -F FORWARD',
    loses: ['IPv6'],
    problem:
      /^chain FORWARD of table ip6 filter \(iptables-legacy, hook forward, priority 0\) drops by its policy/,
  },
  {
    what: 'nftables, both families',
    make: "nft 'table inet firewall { chain forward { type filter hook forward priority filter; policy drop; }; }'",
    remove: 'nft delete table inet firewall',
    loses: ['IPv4', 'IPv6'],
    problem:
      /^chain forward of table inet firewall \(nftables, hook forward, priority 0\) drops by its policy/,
  },
  {
    what: 'nftables, a rule that refuses',
    make: "nft 'table ip6 firewall { chain fw { type filter hook forward priority -10; reject; }; }'",
    remove: 'nft delete table ip6 firewall',
    loses: ['IPv6'],
    problem: /^chain fw of table ip6 firewall \(nftables, hook forward, priority -10\) drops by a rule/,
  },
  {
    what: 'iptables-nft',
    make: 'iptables-nft -P FORWARD DROP',
    remove: 'nft delete table ip filter',
    loses: ['IPv4'],
    problem:
      /^chain FORWARD of table ip filter \(iptables-nft, hook forward, priority 0\) drops by its policy/,
  },
];

for (const { what, make, remove, loses, problem } of cases)
  test(`${what}: answers are lost, and the printed command brings them back`, async () => {
    const expected = families.map((family) => (loses.includes(family) ? 'no answer' : 'answered'));
    const before = told().length;
    onNode(make);
    assert.deepEqual(families.map(answer), expected);
    const findings = await eventually(() => {
      const news = told().slice(before);
      assert.notEqual(news.length, 0, daemon.log);
      return news;
    });
    assert.equal(findings.length, 1);
    const [finding] = findings;
    assert.equal(finding?.level, 'warn');
    assert.match(finding.problem, problem);
    onNode(finding.remedy);
    assert.deepEqual(families.map(answer), ['answered', 'answered']);
    await eventually(() => assert.equal(told().at(-1)?.level, 'info', daemon.log));
    onNode(remove);
  });

test('where it is asked for, a rule of ours lets answers through, comes back after a reload and goes at cleanup', async () => {
  await daemon.stop();
  const config = join(manifest, '..', 'own.yaml');
  writeFileSync(
    config,
    'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: ipvs\nipvs: {syncPeriod: 1s}\n' +
      '---\napiVersion: kube-ipvs.dev/v1alpha1\nkind: KubeIpvsConfiguration\nforwarding: {acceptInForeignChains: true}\n',
  );
  const firewall =
    "nft 'table inet firewall { chain forward { type filter hook forward priority filter; policy drop; tcp dport 9 accept; }; }'";
  onNode(firewall);
  onNode(
    'iptables-nft -P FORWARD DROP; iptables-nft -I FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT',
  );
  const others = (): string =>
    onNode('nft list table inet firewall; nft list table ip filter').replaceAll(/packets \d+ bytes \d+/g, '');
  const before = others();
  daemon = new DaemonProcess([`--source=${manifest}`, `--config=${config}`], { namespace: 'node' });
  await eventually(() => assert.match(daemon.log, /"accept-rule-inserted"/));
  assert.match(
    onNode('nft list chain inet firewall forward'),
    /policy drop;\n\s+ct state established,related counter packets \d+ bytes \d+ accept comment "kube-ipvs: answers of pods"\n\s+tcp dport 9 accept/,
  );
  assert.deepEqual(families.map(answer), ['answered', 'answered']);
  onNode(`nft delete table inet firewall; ${firewall}`);
  await eventually(() => assert.match(onNode('nft list table inet firewall'), /kube-ipvs: answers of pods/));
  assert.deepEqual(families.map(answer), ['answered', 'answered']);
  await daemon.stop();
  const cleaned = onNode(`${process.execPath} dist/kube-ipvs.js cleanup`);
  assert.match(cleaned, /^removed rule of kube-ipvs in chain forward of table inet firewall$/m);
  assert.equal(others(), before);
});
