// real time: as many requests as a client sends in real time are to meet every step.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { main } from '../support/program.js';
import { ClusterNetwork } from '../support/cluster-network.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { run, savedTable } from '../support/lab-guest.js';
import { virtual, type Variant } from '../support/kube-proxy-rules.js';
import { ready, serviceObject, sliceObject } from '../support/objects.js';
import { clearNode, onNode, startKubeProxy } from '../support/former-kube-proxy.js';
import { assertNoLongDelay, SteadyRequests } from '../support/steady-requests.js';

// The steps of docs/migration.md under running requests. kube-proxy is what it leaves in the kernel when it is stopped.

const guide = readFileSync('docs/migration.md', 'utf8');
const nodePort = '192.0.2.1:30080';
const urls = [`http://${virtual}/`, `http://${nodePort}/`];
const manifest = join(mkdtempSync(join(tmpdir(), 'migration-')), 'world.json');
let network: ClusterNetwork;

/** A command on the node that the guide has, word for word. */
const asTheGuideSays = (line: string): string => {
  assert.ok(guide.includes(line), `not in the guide: ${line}`);
  return onNode(line.replace(/^kube-ipvs /, `${process.execPath} ${main} `));
};

interface World {
  readonly ports?: readonly string[];
  readonly pods?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
}

const writeWorld = ({ ports = ['http:80@30080'], pods = ['10.244.0.11', '10.244.0.12'], labels }: World) => {
  const items = [
    serviceObject('web', { type: 'NodePort', clusterIPs: [virtual], ports, ...(labels && { labels }) }),
    sliceObject(
      'web',
      pods.map((pod) => ready(pod)),
      {
        ports: ports.map((port) => `${port.split(':')[0]}:8080/TCP`),
      },
    ),
  ];
  writeFileSync(`${manifest}.next`, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  renameSync(`${manifest}.next`, manifest);
};

/** Everything of kube-proxy's that is left in iptables and ipset. */
const kubeProxyRules = (): readonly string[] =>
  onNode('iptables-nft-save; iptables-legacy-save; ipset list -n')
    .split('\n')
    .filter((line) => line.includes('KUBE-') && !line.includes('KUBE-FIREWALL'));

/** What is to be run by hand before kube-proxy's rules can be removed, by a dry run. */
const stepsToRemove = (variant: Variant): readonly string[] => {
  const line = 'kube-ipvs cleanup --kube-proxy --dry-run';
  assert.ok(guide.includes(line));
  const args = ['netns', 'exec', 'node', process.execPath, main, ...line.split(' ').slice(1)];
  const { status, stdout, stderr } = spawnSync('ip', args, { encoding: 'utf8' });
  assert.equal(status, variant === 'nft' ? 0 : 1, stderr);
  if (variant === 'nft') assert.match(stdout, /6 chains KUBE-.* in table ip filter/);
  return [...stderr.matchAll(/Run as root on the node: (.*)$/gm)].map((match) => match[1] ?? '');
};

const startKubeIpvs = async (): Promise<DaemonProcess> => {
  const daemon = new DaemonProcess([`--source=${manifest}`, '--cluster-cidr=10.244.0.0/16'], {
    namespace: 'node',
  });
  await eventually(() => assert.match(daemon.log, /"synced"/));
  return daemon;
};

const ask = (port: number): readonly string[] => network.ask('client', 'tcp', virtual, port, 1);
/** What the kernel knows of the connections from the ports that failures name, and which namespaces sent resets. */
const traces = (failures: readonly string[]): string => {
  const ports = failures.flatMap((failure) => /from port (\d+)/.exec(failure)?.[1] ?? []);
  const connections = onNode('conntrack -L 2>/dev/null; ipvsadm -Lnc')
    .split('\n')
    .filter((line) => ports.some((port) => line.includes(port)));
  const counters = ['client', 'node', 'pod1', 'pod2'].map(
    (namespace) => `${namespace} ${run('ip', 'netns', 'exec', namespace, 'grep', '^Tcp:', '/proc/net/snmp')}`,
  );
  return [...connections, onNode('conntrack -S'), ...counters].join('\n');
};

/** No request failed, and none waited for a second repetition of its first packet or a fourth of its data. */
const noFailure = async (client: SteadyRequests, daemon: DaemonProcess): Promise<void> => {
  const { requests, held, failures, ...repetitions } = await client.end();
  const seen = (): string =>
    [...failures, 'the steps:', client.steps, 'connections:', traces(failures), 'log:', daemon.log].join(
      '\n',
    );
  assert.equal(failures.length, 0, failures.length === 0 ? '' : seen());
  assertNoLongDelay(repetitions);
  assert.ok(requests > 50 && held > 25, `only ${requests} requests`);
};

before(async () => {
  network = await ClusterNetwork.up(2);
});
after(() => network[Symbol.asyncDispose]());

for (const variant of ['nft', 'legacy'] as const)
  test(`from mode ipvs and back, rules in iptables-${variant}: no request fails, an open connection stays`, async () => {
    clearNode();
    writeWorld({});
    startKubeProxy('ipvs', variant);
    using client = new SteadyRequests('client', urls);
    await client.goOnAfter('start');

    await using daemon = await startKubeIpvs();
    assert.equal(savedTable('node').filter((line) => line.startsWith('-A')).length, 3, 'taken over');
    await client.goOnAfter('kube-ipvs started');

    // What is left acts on: a new port of a Service that was there is refused by KUBE-IPVS-FILTER.
    writeWorld({ ports: ['http:80@30080', 'more:81@30081'] });
    await eventually(() => assert.ok(savedTable('node').some((line) => line.includes(`${virtual}:81`))));
    assert.notDeepEqual(ask(81), ['pod1']);
    const before = kubeProxyRules();
    const steps = stepsToRemove(variant);
    assert.deepEqual(kubeProxyRules(), before);
    for (const step of steps) onNode(step);
    asTheGuideSays('kube-ipvs cleanup --kube-proxy');
    assert.deepEqual(kubeProxyRules(), []);
    assert.match(ask(81).join(), /^pod[12]$/);
    await client.goOnAfter("kube-proxy's rules removed");

    // Back.
    writeWorld({});
    // For connections that are still open it may stay, and takes no new ones.
    const taking = (line: string): boolean => line.includes(`${virtual}:81 -r`) && !line.endsWith('-w 0');
    await eventually(() => assert.ok(!savedTable('node').some(taking)));
    await daemon.stop();
    startKubeProxy('ipvs', variant);
    await client.goOnAfter('kube-proxy started');
    asTheGuideSays('nft delete table ip kube-ipvs; nft delete table ip6 kube-ipvs');
    await client.goOnAfter('kube-ipvs removed');
    await noFailure(client, daemon);
  });

test('from mode iptables: its DNAT is passed over for VIPs at once, for node ports when it is removed; open connections stay', async () => {
  clearNode();
  writeWorld({});
  startKubeProxy('iptables', 'nft');
  using client = new SteadyRequests('client', urls);
  await client.goOnAfter('start');

  await using daemon = await startKubeIpvs();
  await client.goOnAfter('kube-ipvs started');
  assert.deepEqual(daemon.log.match(/"err/g), null);

  // A pod leaves: by the VIP nobody is sent there any more, by the node port half of all still are.
  writeWorld({ pods: ['10.244.0.12'] });
  const toPod1 = (address: string, port: number) =>
    network.ask('client', 'tcp', address, port, 20).filter((pod) => pod === 'pod1').length;
  await eventually(() => assert.equal(toPod1(virtual, 80), 0));
  assert.notEqual(toPod1('192.0.2.1', 30080), 0);
  asTheGuideSays('kube-ipvs cleanup --kube-proxy');
  assert.equal(toPod1('192.0.2.1', 30080), 0);
  assert.deepEqual(kubeProxyRules(), []);
  assert.match(onNode('iptables-nft-save'), /KUBE-FIREWALL/, 'the kubelet’s chain stays');
  await client.goOnAfter("a pod left, kube-proxy's rules removed");
  await noFailure(client, daemon);
});

test('back to mode iptables: new connections go to it, and what is open ends by itself before the clean-up', async () => {
  clearNode();
  writeWorld({});
  const daemon = await startKubeIpvs();
  using client = new SteadyRequests('client', urls);
  await client.goOnAfter('start');
  await daemon.stop();
  startKubeProxy('iptables', 'nft');
  asTheGuideSays(
    'nft flush chain ip kube-ipvs prerouting; nft flush chain ip kube-ipvs bypass-hostport-output',
  );
  await client.goOnAfter('kube-proxy started');
  await noFailure(client, daemon);
  const cleaning = new DaemonProcess(['--cleanup'], { namespace: 'node' });
  assert.equal(await cleaning.ended(), 0, cleaning.log);
  assert.deepEqual(savedTable('node'), []);
  const answers = [
    ...network.ask('client', 'tcp', virtual, 80, 3),
    ...network.ask('client', 'tcp', '192.0.2.1', 30080, 3),
  ];
  for (const answer of answers) assert.match(answer, /^pod[12]$/);
});

test('side by side: a Service that gets the label of another proxy is left to it, and taken back without it', async () => {
  clearNode();
  writeWorld({});
  await using daemon = await startKubeIpvs();
  assert.match(ask(80).join(), /^pod[12]$/);
  writeWorld({ labels: { 'service.kubernetes.io/service-proxy-name': 'other' } });
  // What was just asked still closes its connection: it may stay for that, and takes no new ones.
  const takesNew = (line: string): boolean => line.startsWith('-a') && !line.endsWith('-w 0');
  await eventually(() => assert.deepEqual(savedTable('node').filter(takesNew), [], daemon.log));
  writeWorld({});
  await eventually(() => assert.match(ask(80).join(), /^pod[12]$/));
});
