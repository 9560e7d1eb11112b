import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { nodePortMark } from '../../src/model/firewall-mark.js';
import type { Position } from '../support/cluster-network.js';
import { eventually } from '../support/daemon-process.js';
import { DrainLab, minute, pod } from '../support/drain-lab.js';
import { runLine, savedTable } from '../support/lab-guest.js';
import { local, ready, serviceObject, sliceObject, type ServiceSpec } from '../support/objects.js';
import { main } from '../support/program.js';
import { configText } from '../traffic/matrix.js';

// nodePorts.sharing: what the virtual server of a node port does beside the traffic matrix. All pods are on this node.

const configFile = join(mkdtempSync(join(tmpdir(), 'shared-node-ports-')), 'config.yaml');
const configure = (nodePortSharing: boolean): void => {
  const config = { clusterCIDR: '10.244.0.0/16,fd00:244::/64', ipvs: { minSyncPeriod: '0s' } };
  writeFileSync(`${configFile}.next`, configText({ config, nodePortSharing }, 'n1'));
  renameSync(`${configFile}.next`, configFile);
};
configure(true);
const lab = new DrainLab([`--config=${configFile}`]);

before(() => lab.up());
afterEach(async () => {
  configure(true);
  await lab.clear();
});
after(() => lab.down());

const tcpPort = 30_080;
const udpPort = 30_053;
const fwmark = nodePortMark({ protocol: 'TCP', port: tcpPort });
const addresses = { IPv4: ['192.0.2.1', '10.244.0.1'], IPv6: ['2001:db8:1::1', 'fd00:244::1'] } as const;
const outside = addresses.IPv4[0];

/** A dual-stack Service with a TCP and a UDP node port. */
const web = (pods: readonly number[], fields: ServiceSpec = {}): readonly object[] => {
  const ports = [`http:80@${tcpPort}`, `dns:53/UDP@${udpPort}`];
  const clusterIPs = ['10.96.0.10', 'fd00:96::10'];
  const endpointPorts = ['http:8080', 'dns:8080/UDP'];
  const sixes = pods.map((number) => local(ready(`fd00:244::1${number}`)));
  return [
    serviceObject('web', { type: 'NodePort', clusterIPs, ipFamilies: ['IPv4', 'IPv6'], ports, ...fields }),
    sliceObject(
      'web',
      pods.map((number) => local(ready(pod(number)))),
      { ports: endpointPorts },
    ),
    sliceObject('web', sixes, { ports: endpointPorts, family: 'IPv6', suffix: 'v6' }),
  ];
};

const realServer = (number: number, weight = 1): string =>
  `-a -f ${fwmark} -r ${pod(number)}:8080 -m -w ${weight}`;

const asked = (from: Position, kind: 'tcp' | 'udp', address: string): readonly string[] =>
  [...new Set(lab.network.ask(from, kind, address, kind === 'tcp' ? tcpPort : udpPort, 4))].toSorted();

/** The virtual servers of node ports. */
const nodePortServers = (): readonly string[] =>
  savedTable('node').filter((line) => /^-A (-f|.*:300(80|53) )/.test(line));

const kubeIpvs = (...args: readonly string[]): string =>
  execFileSync(
    'ip',
    ['netns', 'exec', 'node', process.execPath, main, ...args, '--admin-socket', lab.socket],
    { encoding: 'utf8' },
  );

const isServed = (address: string): Promise<void> =>
  eventually(() => {
    for (const from of ['client', 'node', 'pod1'] as const)
      for (const kind of ['tcp', 'udp'] as const)
        assert.deepEqual(asked(from, kind, address), ['pod1', 'pod2'], `${from} ${kind} ${address}`);
  });

test('one virtual server for each port and family serves clients outside, pods and the node on all addresses', async () => {
  lab.program(web([1, 2]));
  await lab.holds(realServer(2));
  for (const address of [...addresses.IPv4, ...addresses.IPv6]) await isServed(address);
  assert.equal(nodePortServers().length, 4, nodePortServers().join('\n'));
});

test('an address that is added later is served, without another virtual server', async () => {
  lab.program(web([1, 2]));
  await lab.holds(realServer(2));
  const before = savedTable('node');
  runLine('ip -n node addr add 192.0.2.77/24 dev ext0');
  await isServed('192.0.2.77');
  assert.deepEqual(savedTable('node').toSorted(), before.toSorted());
  assert.ok(lab.rules().includes('192.0.2.77'));
  runLine('ip -n node addr del 192.0.2.77/24 dev ext0');
  await eventually(() => assert.ok(!lab.rules().includes('192.0.2.77')));
  await isServed(outside);
});

test('open connections stay when sharing begins and ends, and when the daemon restarts', async () => {
  lab.program(web([1, 2]));
  await lab.holds(realServer(2));
  const clients = [
    await lab.connect(outside, tcpPort),
    await lab.connect(addresses.IPv4[1], tcpPort, 'node'),
  ];
  const still = async (): Promise<void> => {
    for (const client of clients) await lab.answers(client);
  };
  configure(false);
  await lab.holds(`-a -t ${outside}:${tcpPort} -r ${pod(2)}:8080 -m -w 1`);
  await eventually(() => assert.ok(savedTable('node').includes(realServer(2, 0))));
  await still();
  await isServed(outside);
  clients.push(await lab.connect(outside, tcpPort), await lab.connect(outside, tcpPort, 'pod1'));
  configure(true);
  await lab.holds(realServer(2));
  await lab.holds(`-a -t ${outside}:${tcpPort} -r ${pod(2)}:8080 -m -w 0`);
  await still();
  await isServed(outside);
  await lab.stop();
  lab.start();
  await eventually(async () => assert.equal((await lab.admin.status()).synced, true));
  await still();
  await isServed(outside);
  assert.ok(savedTable('node').includes(realServer(2)));
  await lab.leave();
  await lab.isGone(`${outside}:${tcpPort}`, 5 * minute);
});

test('a connection stays while its real server drains; UDP clients go on with another one', async () => {
  lab.program(web([1, 2]));
  await lab.holds(realServer(2));
  const clients = [await lab.connect(outside, tcpPort), await lab.connect(outside, tcpPort)];
  assert.deepEqual(clients.map(({ last }) => last).toSorted(), ['pod1', 'pod2']);
  const flows = [lab.client('udp', outside, udpPort), lab.client('udp', outside, udpPort, 'node')];
  await eventually(() => assert.deepEqual(flows.map(({ last }) => last).toSorted(), ['pod1', 'pod2']));
  lab.program(web([1]));
  await lab.holds(realServer(2, 0));
  for (const client of clients) await lab.answers(client);
  await eventually(() =>
    assert.deepEqual(
      flows.map(({ last }) => last),
      ['pod1', 'pod1'],
      lab.daemon.log,
    ),
  );
  assert.deepEqual(asked('client', 'tcp', outside), ['pod1']);
});

test('without endpoints the node port refuses; with session affinity each address has a virtual server', async () => {
  lab.program(web([1, 2], { sessionAffinity: 'ClientIP' }));
  await lab.holds(`-a -t ${outside}:${tcpPort} -r ${pod(2)}:8080 -m -w 1`);
  await eventually(() => assert.equal(asked('client', 'tcp', outside).length, 1));
  assert.match(asked('client', 'tcp', outside)[0] ?? '', /^pod[12]$/);
  assert.match(kubeIpvs('explain', 'default/web'), /IPVS cannot share one with session affinity/);
  const client = await lab.connect(outside, tcpPort);
  lab.program(web([1, 2]));
  await lab.holds(realServer(2));
  await isServed(outside);
  await lab.answers(client);
  lab.program(web([]));
  await eventually(() => lab.isRefused(outside, tcpPort));
  assert.deepEqual(asked('node', 'tcp', outside), ['ECONNREFUSED']);
});

test('one-packet: each datagram is scheduled alone', async () => {
  lab.program(web([1, 2], { annotations: { 'ipvs.kube-ipvs.dev/flags': 'one-packet' } }));
  await lab.holds(realServer(2));
  const mark = nodePortMark({ protocol: 'UDP', port: udpPort });
  assert.ok(savedTable('node').some((line) => line.startsWith(`-A -f ${mark} `) && line.includes('-o')));
  const client = lab.client('udp', outside, udpPort);
  const packets = (): readonly number[] =>
    [1, 2].map((number) => {
      const text = runLine(`ip netns exec node ipvsadm -Ln -f ${mark} --stats --exact`);
      const line = text.split('\n').find((each) => each.includes(`${pod(number)}:8080`)) ?? '';
      return Number(line.trim().split(/\s+/)[2]);
    });
  await eventually(() =>
    assert.ok(
      packets().every((count) => count >= 2),
      `${packets().join()} ${client.last}`,
    ),
  );
});

test('dump, connections, explain, top and diff name the Service', async () => {
  lab.program(web([1, 2]));
  await lab.holds(realServer(2));
  const client = await lab.connect(outside, tcpPort);
  assert.match(kubeIpvs('dump'), new RegExp(`^FWM ${fwmark} IPv4 .*default/web:http`, 'm'));
  assert.match(kubeIpvs('dump', `${outside}:${tcpPort}`), new RegExp(`FWM ${fwmark} IPv4`));
  assert.match(kubeIpvs('dump', '--connections', 'default/web'), /192\.0\.2\.1:30080 .*default\/web:http/);
  assert.match(kubeIpvs('top', '--batch', '-n', '1'), /default\/web/);
  assert.match(kubeIpvs('diff'), /^no differences/);
  for (const target of [`${outside}:${tcpPort}`, `:${tcpPort}`, 'default/web']) {
    const text = kubeIpvs('explain', target, '--from', 'outside', '-o', 'json');
    const { stories } = JSON.parse(text) as {
      readonly stories: readonly {
        readonly verdict: { readonly errors: number };
        readonly traces: readonly {
          readonly to: { readonly address: string; readonly port: number };
          readonly end: string;
          readonly candidates: readonly { readonly realServer: string; readonly sees: string }[];
        }[];
      }[];
    };
    assert.equal(stories.length, 1, target);
    const trace = stories[0]?.traces.find(({ to }) => to.address === outside && to.port === tcpPort);
    assert.deepEqual(
      trace?.candidates.map(({ realServer: key, sees }) => [key, sees]),
      [1, 2].map((number) => [`${pod(number)}:8080`, 'node']),
      target,
    );
    assert.equal(stories[0]?.verdict.errors, 0, text);
  }
  await lab.answers(client);
});

test('the former mark of another program is back behind IPVS', async () => {
  const nft = (rules: string): void =>
    void execFileSync('ip', ['netns', 'exec', 'node', 'nft', '-f', '-'], { input: rules });
  nft(`table ip other {
    counter ours {}
    counter kept {}
    counter lost {}
    chain prerouting {
      type filter hook prerouting priority -300;
      ip daddr ${outside} tcp dport ${tcpPort} meta mark set meta mark or 0x00040000
    }
    chain postrouting {
      type filter hook postrouting priority 300;
      meta mark and 0xcf00 == 0x0100 counter name ours
      ip daddr { ${pod(1)}, ${pod(2)} } tcp dport 8080 ct state new meta mark and 0x00040000 == 0 counter name lost
      ip daddr { ${pod(1)}, ${pod(2)} } tcp dport 8080 ct state new meta mark and 0x00040000 != 0 counter name kept
    }
  }`);
  lab.program(web([1, 2]));
  await lab.holds(realServer(2));
  await eventually(() => assert.deepEqual(asked('client', 'tcp', outside), ['pod1', 'pod2']));
  const packets = (name: string): number =>
    Number(/packets (\d+)/.exec(runLine(`ip netns exec node nft list counter ip other ${name}`))?.[1]);
  assert.deepEqual([packets('ours'), packets('lost')], [0, 0]);
  assert.ok(packets('kept') >= 4, String(packets('kept')));
  nft('delete table ip other');
});

test('cleanup deletes them', async () => {
  lab.program(web([1, 2]));
  await lab.holds(realServer(2));
  await lab.stop();
  execFileSync('ip', ['netns', 'exec', 'node', process.execPath, main, 'cleanup'], { encoding: 'utf8' });
  assert.deepEqual(savedTable('node'), []);
  lab.start();
  await eventually(async () => assert.equal((await lab.admin.status()).synced, true));
});
