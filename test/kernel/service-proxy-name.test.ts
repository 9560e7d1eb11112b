import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { instanceNames } from '../../src/model/instance-names.js';
import { ClusterNetwork } from '../support/cluster-network.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { clearNode, onNode, startKubeProxy } from '../support/former-kube-proxy.js';
import { virtual } from '../support/kube-proxy-rules.js';
import { addressesOf, savedTable, vipRoutesOf } from '../support/lab-guest.js';
import { ready, serviceObject, sliceObject } from '../support/objects.js';
import { main } from '../support/program.js';

// An instance of kube-ipvs with a serviceProxyName beside another service proxy, which is what kube-proxy leaves in the kernel, or
// a kube-ipvs without a serviceProxyName.

const name = 'trial';
const names = instanceNames(name);
const trialVip = '10.96.0.20';
const labels = { 'service.kubernetes.io/service-proxy-name': name };
const pods = ['10.244.0.11', '10.244.0.12'].map((pod) => ready(pod));

const folder = mkdtempSync(join(tmpdir(), 'service-proxy-name-'));
const manifests = join(folder, 'world.json');
const configuration = join(folder, 'configuration.yaml');

/** The Service of the other proxy, and the labelled one. */
const world = [
  serviceObject('web', { type: 'NodePort', clusterIPs: [virtual], ports: ['http:80@30080'] }),
  sliceObject('web', pods, { ports: ['http:8080/TCP'] }),
  serviceObject('tried', { type: 'NodePort', clusterIPs: [trialVip], ports: ['http:80@30090'], labels }),
  sliceObject('tried', pods, {
    ports: ['http:8080/TCP'],
    labels: { ...labels, 'kubernetes.io/service-name': 'tried' },
  }),
];

const configurationWith = (binding: string): string => `apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: ipvs
clusterCIDR: 10.244.0.0/16
healthzBindAddress: 127.0.0.1:11256
metricsBindAddress: 127.0.0.1:11249
---
apiVersion: kube-ipvs.dev/v1alpha1
kind: KubeIpvsConfiguration
serviceProxyName: ${name}
vips:
  binding: ${binding}
`;

const sources = ['--source', manifests];

const synced = async (daemon: DaemonProcess): Promise<DaemonProcess> => {
  await eventually(() => assert.match(daemon.log, /"synced"/));
  return daemon;
};

const startTrial = (binding = 'address'): Promise<DaemonProcess> => {
  writeFileSync(configuration, configurationWith(binding));
  return synced(new DaemonProcess([...sources, `--config=${configuration}`], { namespace: 'node' }));
};

const command = (...args: readonly string[]) => {
  const all = ['netns', 'exec', 'node', process.execPath, main, ...args];
  const { status, stdout, stderr } = spawnSync('ip', all, { encoding: 'utf8' });
  return { status, stdout, stderr };
};

const ofTrial = ['--service-proxy-name', name];

/** Everything that service proxies make on the node, without counters. */
const stateOfNode = (): Readonly<Record<string, unknown>> => ({
  virtualServers: savedTable('node'),
  dummyInterfaces: onNode('ip -o link show type dummy | cut -d: -f2'),
  addresses: addressesOf('kube-ipvs0', 'node'),
  routes: vipRoutesOf('node'),
  tables: onNode('nft list tables | grep -v "table ip6* \\(nat\\|filter\\)$" || true'),
  iptables: onNode('iptables-nft-save').replaceAll(/^#.*\n|\[\d+:\d+\]/gm, ''),
  ipsets: onNode('ipset save | grep -v ^create; ipset list -n'),
});

/** The state without what the trial made. */
const withoutTrial = (state: ReturnType<typeof stateOfNode>): Readonly<Record<string, unknown>> => ({
  ...state,
  virtualServers: (state['virtualServers'] as readonly string[]).filter(
    (line) => !line.includes(`${trialVip}:80`) && !line.includes(':30090'),
  ),
  dummyInterfaces: (state['dummyInterfaces'] as string).replace(` ${names.dummyInterface}\n`, ''),
  routes: (state['routes'] as readonly string[]).filter((route) => !route.startsWith(trialVip)),
  tables: (state['tables'] as string).replaceAll(/table ip6? kube-ipvs-trial\n/g, ''),
});

const answersFrom = (position: 'client' | 'node' | 'pod3', address: string, port: number): string =>
  network.ask(position, 'tcp', address, port, 2).join();

/** The node itself has no route to the ClusterIP that kube-proxy in mode iptables serves: it has no default gateway. */
const bothServed = (): void => {
  for (const [position, address, port] of [
    ['client', virtual, 80],
    ['pod3', virtual, 80],
    ['client', '192.0.2.1', 30080],
    ['client', trialVip, 80],
    ['pod3', trialVip, 80],
    ['node', trialVip, 80],
    ['client', '192.0.2.1', 30090],
  ] as const)
    assert.match(answersFrom(position, address, port), /^pod[12],pod[12]$/, `${position} to ${address}`);
};

let network: ClusterNetwork;
before(async () => {
  network = await ClusterNetwork.up(3);
  writeFileSync(manifests, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: world }));
});
after(() => network[Symbol.asyncDispose]());
beforeEach(() => {
  clearNode();
  for (const link of ['kube-ipvs0', names.dummyInterface]) onNode(`ip link del ${link} 2>/dev/null || true`);
  onNode('ip route flush table local proto 73');
});

for (const mode of ['ipvs', 'iptables'] as const)
  test(`beside kube-proxy in mode ${mode}: both serve, nothing of kube-proxy changes, cleanup removes the instance alone`, async () => {
    startKubeProxy(mode, 'nft');
    const before = stateOfNode();

    await using daemon = await startTrial();
    bothServed();
    const during = stateOfNode();
    assert.notDeepEqual(during, before);
    assert.deepEqual(withoutTrial(during), before);
    assert.deepEqual(addressesOf(names.dummyInterface, 'node'), [`${trialVip}/32`]);
    // kube-ipvs0 has addresses of kube-proxy's Services, not of the node.
    assert.ok(!savedTable('node').some((line) => line.includes(`${virtual}:30090`)));
    assert.doesNotMatch(daemon.log, /"level":"error"|service-problem|repaired/);

    await daemon.stop();
    bothServed();
    assert.match(
      command('cleanup', ...ofTrial).stdout,
      new RegExp(`interface ${names.dummyInterface} with 1 address`),
    );
    assert.deepEqual(stateOfNode(), before);
    assert.match(answersFrom('client', virtual, 80), /^pod[12],pod[12]$/);
  });

test('cleanup without the name, or with another one, leaves the instance', async () => {
  await (await startTrial()).stop();
  const before = stateOfNode();
  assert.match(command('cleanup').stdout, /left nothing|kept/);
  command('cleanup', '--service-proxy-name=other');
  assert.deepEqual(stateOfNode(), before);
  assert.equal(command('cleanup', `--config=${configuration}`).status, 0);
  assert.deepEqual(savedTable('node'), []);
});

for (const binding of ['address', 'route'] as const)
  test(`beside a kube-ipvs without a name, vips.binding ${binding}: each repairs and removes only its own`, async () => {
    const others = ['--cluster-cidr=10.244.0.0/16', '--admin-socket=/run/kube-ipvs/admin.sock'];
    writeFileSync(
      join(folder, 'routes.yaml'),
      configurationWith(binding)
        .replace(`serviceProxyName: ${name}\n`, '')
        .replaceAll('127.0.0.1:11', '127.0.0.1:12'),
    );
    await using first = await synced(
      binding === 'address'
        ? new DaemonProcess([...sources, ...others], { namespace: 'node' })
        : new DaemonProcess([...sources, `--config=${join(folder, 'routes.yaml')}`], { namespace: 'node' }),
    );
    const before = stateOfNode();
    await using daemon = await startTrial(binding);
    bothServed();
    assert.deepEqual(withoutTrial(stateOfNode()), before);

    for (const args of [[], ofTrial]) {
      assert.deepEqual(command('diff', ...args), {
        status: 0,
        stdout: 'no differences: the kernel is in sync\n',
        stderr: '',
      });
      assert.equal(command('status', ...args).status, 0);
    }
    assert.match(command('dump', '--rules', ...ofTrial).stdout, /^table ip kube-ipvs-trial \{/);
    assert.match(command('dump', 'default/tried', ...ofTrial).stdout, /10\.96\.0\.20:80/);
    assert.match(command('explain', 'default/tried', ...ofTrial).stdout, new RegExp(trialVip));
    assert.match(command('doctor', '--only=packet-rules', ...ofTrial).stdout, /table ip kube-ipvs-trial: /);

    // Another program takes the VIP away: the instance repairs it, and only it.
    onNode(
      binding === 'route'
        ? `ip route del local ${trialVip} table local proto 73`
        : `ip address del ${trialVip}/32 dev ${names.dummyInterface}`,
    );
    const bound = () =>
      binding === 'route' ? vipRoutesOf('node') : addressesOf(names.dummyInterface, 'node');
    await eventually(() => assert.ok(bound().includes(`${trialVip}/32`), bound().join()));
    await daemon.stop();
    assert.equal(command('cleanup', ...ofTrial).status, 0);
    assert.deepEqual(stateOfNode(), before);
    await first.stop();
    assert.equal(command('cleanup').status, 0);
    assert.deepEqual(savedTable('node'), []);
    assert.deepEqual(vipRoutesOf('node'), []);
  });
