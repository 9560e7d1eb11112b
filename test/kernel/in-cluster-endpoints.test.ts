import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { firewallMark } from '../../src/model/firewall-mark.js';
import { serviceKey } from '../../src/model/service.js';
import { eventually } from '../support/daemon-process.js';
import { DrainLab, minute, pod } from '../support/drain-lab.js';
import { runLine, savedTable } from '../support/lab-guest.js';
import { local, ready, serviceObject, sliceObject, type ServiceSpec } from '../support/objects.js';
import { main } from '../support/program.js';
import type { SingleSocketClient } from '../support/single-socket-client.js';
import { configText } from '../traffic/matrix.js';

// externalTrafficPolicy Local with inClusterEndpoints all: what the virtual server on a firewall mark does beside the traffic matrix.
// Every pod is on this node; its endpoint says otherwise.

const external = '203.0.113.9';
const nodeAddress = '192.0.2.1';
const fwmark = firewallMark(serviceKey('default', 'web'), { protocol: 'TCP', port: 80 }, 'IPv4');

const configFile = join(mkdtempSync(join(tmpdir(), 'in-cluster-')), 'config.yaml');
writeFileSync(
  configFile,
  configText(
    {
      config: { clusterCIDR: '10.244.0.0/16', ipvs: { minSyncPeriod: '0s' } },
      inClusterEndpoints: 'all',
    },
    'n1',
  ),
);
const lab = new DrainLab([`--config=${configFile}`]);

before(() => lab.up());
afterEach(() => lab.clear());
after(() => lab.down());

/** A Service with pods of this node and of another one. */
const web = (
  here: readonly number[],
  elsewhere: readonly number[],
  fields: ServiceSpec = {},
): readonly object[] => [
  serviceObject('web', {
    ...fields,
    type: 'LoadBalancer',
    clusterIPs: ['10.96.0.10'],
    externalTrafficPolicy: 'Local',
    ports: ['http:80@30080'],
    ingress: [{ ip: external }],
  }),
  sliceObject(
    'web',
    [...here.map((each) => local(ready(pod(each)))), ...elsewhere.map((each) => ready(pod(each)))],
    { ports: ['http:8080'] },
  ),
];

const realServer = (number: number, weight: number): string =>
  `-a -f ${fwmark} -r ${pod(number)}:8080 -m -w ${weight}`;

const asked = (from: 'client' | 'node' | 'pod1'): readonly string[] =>
  [...new Set(lab.network.ask(from, 'tcp', external, 80, 6))].toSorted();

const kubeIpvs = (...args: readonly string[]): string =>
  execFileSync(
    'ip',
    ['netns', 'exec', 'node', process.execPath, main, ...args, '--admin-socket', lab.socket],
    {
      encoding: 'utf8',
    },
  );

const nft = (rules: string): void =>
  void execFileSync('ip', ['netns', 'exec', 'node', 'nft', '-f', '-'], { input: rules });

test('the mark of other programs is back before their rules see the packet again', async () => {
  // As Calico marks packets of pods, and as a program might mark those of the node.
  nft(`table ip other {
    counter lost {}
    counter ours {}
    counter kept {}
    chain prerouting {
      type filter hook prerouting priority -300;
      iifname "cni0" ip daddr ${external} meta mark set meta mark or 0x00040000
    }
    chain sent {
      type filter hook output priority -110;
      ip daddr ${external} meta mark set meta mark or 0x00040000
    }
    chain output {
      type filter hook output priority -300;
      meta mark and 0xcf00 == 0x0100 counter name ours
      ip daddr { ${pod(1)}, ${pod(2)} } tcp dport 8080 meta mark and 0x00040000 == 0 counter name lost
      ip daddr { ${pod(1)}, ${pod(2)} } tcp dport 8080 meta mark and 0x00040000 != 0 counter name kept
    }
    chain postrouting {
      type filter hook postrouting priority 300;
      meta mark and 0xcf00 == 0x0100 counter name ours
    }
  }`);
  lab.program(web([1], [2]));
  await lab.holds(realServer(2, 1));
  await eventually(() => assert.ok(lab.rules().includes('in-cluster-marks')));
  assert.deepEqual(asked('pod1'), ['pod1', 'pod2']);
  assert.deepEqual(asked('node'), ['pod1', 'pod2']);
  const packets = (name: string): number =>
    Number(/packets (\d+)/.exec(runLine(`ip netns exec node nft list counter ip other ${name}`))?.[1]);
  assert.deepEqual([packets('lost'), packets('ours')], [0, 0]);
  assert.ok(packets('kept') >= 12, String(packets('kept')));
  nft('delete table ip other');
  assert.deepEqual(asked('client'), ['pod1'], 'outside');
});

test('a connection of the cluster stays while its virtual server drains; new ones are served', async () => {
  lab.program(web([1], [2]));
  await lab.holds(realServer(2, 1));
  await eventually(() => assert.deepEqual(asked('node'), ['pod1', 'pod2']));
  const [first, second] = [await lab.connect(external, 80, 'node'), await lab.connect(external, 80, 'node')];
  assert.deepEqual([first.last, second.last].toSorted(), ['pod1', 'pod2']);
  lab.program(web([], [1, 2]));
  await lab.holds(realServer(1, 0));
  await lab.holds(realServer(2, 0));
  for (const client of [first, second]) await lab.answers(client);
  assert.deepEqual(asked('node'), ['pod1', 'pod2']);
  await lab.stop();
  lab.start();
  await eventually(async () => assert.equal((await lab.admin.status()).synced, true));
  for (const client of [first, second]) await lab.answers(client);
  assert.ok(savedTable('node').includes(realServer(2, 0)), 'the next process goes on with it');
  await lab.leave();
  await lab.isGone(`-f ${fwmark}`, 5 * minute);
});

test('a UDP client of the cluster goes on with another endpoint when its own is removed', async () => {
  const dns = (elsewhere: readonly number[]): readonly object[] => [
    serviceObject('dns', {
      type: 'LoadBalancer',
      clusterIPs: ['10.96.0.11'],
      externalTrafficPolicy: 'Local',
      ports: ['dns:53/UDP'],
      ingress: [{ ip: external }],
    }),
    sliceObject('dns', [local(ready(pod(1))), ...elsewhere.map((each) => ready(pod(each)))], {
      ports: ['dns:8080/UDP'],
    }),
  ];
  lab.program(dns([2]));
  const mark = firewallMark(serviceKey('default', 'dns'), { protocol: 'UDP', port: 53 }, 'IPv4');
  await lab.holds(`-a -f ${mark} -r ${pod(2)}:8080 -m -w 1`);
  await eventually(() => {
    const answers = lab.network.ask('node', 'udp', external, 53, 4);
    assert.deepEqual([...new Set(answers)].toSorted(), ['pod1', 'pod2']);
  });
  const clients = [lab.client('udp', external, 53, 'node'), lab.client('udp', external, 53, 'node')];
  await eventually(() =>
    assert.deepEqual(clients.map(({ last }) => last).toSorted(), ['pod1', 'pod2'], lab.daemon.log),
  );
  lab.program(dns([]));
  await eventually(() =>
    assert.deepEqual(
      clients.map(({ last }) => last),
      ['pod1', 'pod1'],
    ),
  );
});

for (const restarts of [false, true])
  test(`after the Service is deleted, its connections end at the deadline${restarts ? ', also over a restart' : ''}`, async () => {
    const annotations = { 'ipvs.kube-ipvs.dev/drain-deadline': '90s' };
    lab.program(web([1], [2], { annotations }));
    await lab.holds(realServer(2, 1));
    const clients: SingleSocketClient[] = [];
    for (const from of ['node', 'node', 'pod1', 'pod1'] as const)
      clients.push(await lab.connect(nodeAddress, 30_080, from));
    const atLoadBalancer: SingleSocketClient[] = [];
    for (const from of ['node', 'node', 'pod1', 'pod1'] as const)
      atLoadBalancer.push(await lab.connect(external, 80, from));
    const other = await lab.connect(pod(2), 8080, 'pod1');
    lab.program([]);
    await lab.holds(realServer(2, 0));
    if (restarts) {
      await lab.stop();
      lab.start();
    }
    for (const client of [...clients, ...atLoadBalancer]) await lab.answers(client);
    for (const from of ['node', 'pod1'] as const)
      assert.deepEqual(lab.network.ask(from, 'tcp', external, 80, 1), ['ECONNREFUSED']);
    const flows = (): number =>
      runLine('ip netns exec node conntrack -L -p tcp')
        .split('\n')
        .filter((line) => line.includes('ESTABLISHED') && / dport=(80|30080) /.test(line)).length;
    assert.equal(flows(), 8);
    await lab.isGone(`-f ${fwmark}`, 3 * minute);
    // IPVS itself forgets them with the connections of a real server that is gone (net.ipv4.vs.expire_nodest_conn).
    await eventually(() => assert.equal(flows(), 0, lab.daemon.log));
    for (const client of clients) client.ask();
    await eventually(() =>
      assert.deepEqual(
        clients.map(({ last }) => last),
        clients.map(() => 'ECONNRESET'),
      ),
    );
    await lab.answers(other);
  });

test('dump, explain and top name it', async () => {
  lab.program(web([1], [2]));
  await lab.holds(realServer(2, 1));
  const names = kubeIpvs('dump', 'default/web', '-o', 'wide');
  assert.match(names, new RegExp(`^FWM ${fwmark} IPv4.*`, 'm'));
  assert.match(kubeIpvs('dump'), new RegExp(`^FWM ${fwmark} IPv4 .*default/web`, 'm'));
  const inside = kubeIpvs('explain', `${external}:80`, '--from', pod(2), '-o', 'json');
  const outside = kubeIpvs('explain', `${external}:80`, '--from', 'outside', '-o', 'json');
  const backends = (text: string): readonly string[] =>
    (
      JSON.parse(text) as {
        readonly stories: readonly {
          readonly traces: readonly { readonly candidates: readonly { readonly realServer: string }[] }[];
        }[];
      }
    ).stories.flatMap(({ traces }) =>
      traces.flatMap(({ candidates }) => candidates.map((candidate) => candidate.realServer)),
    );
  assert.deepEqual(backends(inside), [`${pod(1)}:8080`, `${pod(2)}:8080`]);
  assert.deepEqual(backends(outside), [`${pod(1)}:8080`]);
  assert.match(kubeIpvs('top', '--batch', '-n', '1'), /default\/web/);
  assert.match(kubeIpvs('diff'), /^no differences/);
});

test('cleanup deletes it, and no virtual server of another program', async () => {
  runLine('ip netns exec node ipvsadm -A -f 77 -s rr');
  lab.program(web([1], [2]));
  await lab.holds(realServer(2, 1));
  await lab.stop();
  execFileSync('ip', ['netns', 'exec', 'node', process.execPath, main, 'cleanup'], { encoding: 'utf8' });
  assert.deepEqual(savedTable('node'), ['-A -f 77 -s rr']);
  runLine('ip netns exec node ipvsadm -D -f 77');
  lab.start();
  await eventually(async () => assert.equal((await lab.admin.status()).synced, true));
});
