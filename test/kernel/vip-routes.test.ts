import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { vipBindingNames, type VipBinding } from '../../src/model/settings/vip-binding.js';
import { ClusterNetwork } from '../support/cluster-network.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { addressesOf, runLine, vipRoutesOf } from '../support/lab-guest.js';
import { local, ready, serviceObject, sliceObject, thisNode } from '../support/objects.js';
import { main } from '../support/program.js';

// What each binding of VIPs does to ARP and to the commands. Of two load balancer addresses, the client has one on its link.

const folder = mkdtempSync(join(tmpdir(), 'routes-'));
const manifest = join(folder, 'world.json');
const onLink = '192.0.2.100';
const vips = ['10.96.0.10/32', '192.0.2.100/32', 'fd00:96::10/128'];
let network: ClusterNetwork;

const inNode = (line: string): string => runLine(`ip netns exec node ${line}`);

const configOf = (binding: VipBinding, strictArp: boolean, file = `${binding}-${strictArp}.yaml`): string => {
  const path = join(folder, file);
  writeFileSync(
    `${path}.next`,
    `apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: ipvs\nipvs: {strictARP: ${strictArp}}\n` +
      `---\napiVersion: kube-ipvs.dev/v1alpha1\nkind: KubeIpvsConfiguration\nvips: {binding: ${binding}}\n`,
  );
  renameSync(`${path}.next`, path);
  return path;
};

const kubeIpvs = (...args: readonly string[]) => {
  const { status, stdout, stderr } = spawnSync(
    'ip',
    ['netns', 'exec', 'node', process.execPath, main, ...args],
    { encoding: 'utf8' },
  );
  return { status, stdout, stderr };
};

const expectBinding = (binding: VipBinding): void => {
  const bound = { address: addressesOf('kube-ipvs0', 'node'), route: vipRoutesOf('node') };
  assert.deepEqual(bound[binding], vips);
  assert.deepEqual(bound[binding === 'address' ? 'route' : 'address'], []);
};

const start = async (binding: VipBinding, strictArp = false, file?: string): Promise<DaemonProcess> => {
  const flags = [`--config=${configOf(binding, strictArp, file)}`, '--hostname-override', thisNode];
  const daemon = new DaemonProcess([`--source=${manifest}`, ...flags], { namespace: 'node' });
  await eventually(() => {
    expectBinding(binding);
    assert.match(daemon.log, /"admin-socket-listening"/);
  });
  return daemon;
};

/** Each local route of a VIP that comes or goes, in the order of the kernel: `+ route 10.96.0.10`; an address has one too. */
const changeOf = (line: string): readonly string[] => {
  const [, deleted, vip, link] =
    /^(Deleted )?local (\S+) dev (lo|kube-ipvs0) table local proto (?:73|kernel) /.exec(line) ?? [];
  if (vip === undefined || vip.startsWith('fe80')) return [];
  return [`${deleted === undefined ? '+' : '-'} ${link === 'lo' ? 'route' : 'address'} ${vip}`];
};

before(async () => {
  network = await ClusterNetwork.up(1);
  const ports = ['http:8080/TCP'];
  const items = [
    serviceObject('web', {
      type: 'LoadBalancer',
      clusterIPs: ['10.96.0.10', 'fd00:96::10'],
      ipFamilies: ['IPv4', 'IPv6'],
      ports: ['http:80/TCP'],
      ingress: [{ ip: onLink }],
    }),
    sliceObject('web', [local(ready('10.244.0.11'))], { ports }),
    sliceObject('web', [local(ready('fd00:244::11'))], { ports, family: 'IPv6', suffix: 'v6' }),
  ];
  writeFileSync(manifest, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
});
after(() => network[Symbol.asyncDispose]());

for (const binding of vipBindingNames) {
  test(`${binding}: the node answers ARP for a VIP, and with strictARP it does not`, async () => {
    for (const strictArp of [false, true]) {
      await using _daemon = await start(binding, strictArp);
      runLine('ip -n client neighbour flush all');
      const [answer = ''] = network.ask('client', 'tcp', onLink, 80, 1);
      assert.equal(answer === 'pod1', !strictArp, answer);
      const entry = runLine(`ip -n client neighbour show ${onLink}`);
      assert.equal(/lladdr/.test(entry), !strictArp, entry);
    }
    inNode('sysctl -qw net.ipv4.conf.all.arp_ignore=0 net.ipv4.conf.all.arp_announce=0');
  });

  test(`${binding}: the node, a pod and a client reach each VIP; other ports are refused`, async () => {
    await using _daemon = await start(binding);
    for (const from of ['node', 'pod1', 'client'] as const)
      for (const address of ['10.96.0.10', 'fd00:96::10']) {
        assert.deepEqual(network.ask(from, 'tcp', address, 80, 1), ['pod1'], `${from} ${address}`);
        assert.deepEqual(network.ask(from, 'tcp', address, 22, 1), ['ECONNREFUSED'], `${from} ${address}`);
      }
  });
}

test('while the binding changes in place, every VIP has a binding at every moment', async () => {
  await using _daemon = await start('address', false, 'live.yaml');
  const monitor = spawn('ip', ['netns', 'exec', 'node', 'ip', 'monitor', 'route']);
  try {
    let changes: readonly string[] = [];
    createInterface({ input: monitor.stdout }).on('line', (line) => {
      changes = [...changes, ...changeOf(line)];
    });
    await eventually(() => {
      inNode('ip address replace 10.99.0.1/32 dev kube-ipvs0');
      assert.ok(changes.length > 0, 'the monitor listens');
    });
    for (const binding of ['route', 'address', 'route'] as const) {
      configOf(binding, false, 'live.yaml');
      await eventually(() => expectBinding(binding));
    }
    for (const vip of vips.map((text) => text.split('/')[0] ?? ''))
      await eventually(() =>
        assert.deepEqual(
          changes.filter((change) => change.endsWith(` ${vip}`)),
          ['+ route', '- address', '+ address', '- route', '+ route', '- address'].map(
            (step) => `${step} ${vip}`,
          ),
        ),
      );
  } finally {
    monitor.kill();
  }
});

test('VIPs that are routes are no addresses of the node to other programs', async () => {
  await using _daemon = await start('route');
  assert.doesNotMatch(inNode('ip address show'), /10\.96|192\.0\.2\.100|fd00:96/);
  assert.match(inNode('ip route show table local'), /^local 10\.96\.0\.10 dev lo proto 73 /m);
});

test('the commands show routes as what they are', async () => {
  await using _daemon = await start('route');
  const dumped = JSON.parse(kubeIpvs('dump', '-o', 'json').stdout);
  assert.deepEqual([dumped.dummyAddresses, dumped.localRoutes], [[], vips.toSorted()]);
  const rendered = JSON.parse(
    kubeIpvs('render', `--config=${configOf('route', false)}`, '-f', manifest, '-o', 'json').stdout,
  );
  assert.deepEqual(rendered.localRoutes, dumped.localRoutes);
  assert.match(kubeIpvs('explain', 'web').stdout, /the table local has routes to all 3 addresses/);
  const traced = kubeIpvs('explain', '10.96.0.10:80', '--from', 'node').stdout.replaceAll(/\s+/g, ' ');
  assert.match(traced, /the table local has a route to 10\.96\.0\.10 /);
  assert.match(traced, /delivered to this node, 10\.96\.0\.10 has a local route/);
  const traced6 = kubeIpvs('explain', '[fd00:96::10]:80', '--from', 'node').stdout.replaceAll(/\s+/g, ' ');
  assert.match(traced6, /from this node, with one of its addresses as the source/);
  const compared = kubeIpvs('diff');
  assert.deepEqual([compared.status, compared.stderr], [0, ''], compared.stdout);
  const withAddresses = kubeIpvs('diff', `--config=${configOf('address', false)}`, '-f', manifest);
  assert.match(withAddresses.stdout, /^\+ address 10\.96\.0\.10\/32/m);
  assert.match(withAddresses.stdout, /^- local route 10\.96\.0\.10\/32/m);
  assert.match(kubeIpvs('status').stdout, /3/);
});

test('cleanup removes the routes of kube-ipvs, and leaves those of other programs', () => {
  inNode('ip route add local 10.96.0.10 dev lo table local proto static');
  inNode('ip -6 route add local fd00:96::10 dev lo table local proto static metric 20');
  inNode('ip route add local 10.96.0.10 dev lo table local proto 73 metric 5');
  const routes = (): string =>
    inNode('ip route show table local') +
    inNode('ip -6 route show table local').replaceAll(/^.* dev kube-ipvs0 .*\n/gm, '');
  const { status, stdout, stderr } = kubeIpvs('cleanup');
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^removed 3 local routes$/m);
  assert.deepEqual(vipRoutesOf('node'), ['10.96.0.10/32'], 'the one with another metric');
  const after = routes();
  assert.match(after, /10\.96\.0\.10 dev lo proto static/);
  assert.match(after, /fd00:96::10 dev lo proto static/);
  assert.equal(kubeIpvs('cleanup').stdout, 'kube-ipvs left nothing on this node\n');
  assert.equal(routes(), after);
});
