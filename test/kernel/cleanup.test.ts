import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { main } from '../support/program.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { addressesOf, run, savedTable } from '../support/lab-guest.js';
import { ready, serviceObject, sliceObject } from '../support/objects.js';

const cli = (...args: readonly string[]) =>
  spawnSync(process.execPath, [main, ...args], { encoding: 'utf8' });

const folder = mkdtempSync(join(tmpdir(), 'cleanup-'));
const manifest = join(folder, 'world.json');

/** Everything that a proxy could leave: links with addresses, the IPVS table and all nftables rules. */
const kernel = () => ({
  links: run('ip', '-br', 'address').replaceAll(/ +$/gm, ''),
  routes: run('ip', 'route', 'show', 'table', 'all'),
  ipvs: savedTable(),
  rules: run('nft', 'list', 'ruleset'),
});

const runOnce = (): void => {
  const { status, stderr } = cli(`--source=${manifest}`, '--once');
  assert.equal(status, 0, stderr);
};

before(() => {
  run('ip', 'link', 'add', 'eth0', 'type', 'dummy');
  run('ip', 'address', 'add', '192.0.2.10/24', 'dev', 'eth0');
  run('ip', 'link', 'set', 'eth0', 'up');
  // Others: keepalived with a virtual server and its address, a firewall.
  run('ip', 'address', 'add', '192.0.2.80/32', 'dev', 'eth0');
  run('ipvsadm', '-A', '-t', '192.0.2.80:80', '-s', 'wlc');
  run('ipvsadm', '-a', '-t', '192.0.2.80:80', '-r', '192.0.2.81:80', '-m');
  run('ipvsadm', '-A', '-u', '192.0.2.10:30999', '-s', 'rr');
  run('ipvsadm', '-A', '-f', '5', '-s', 'rr');
  run(
    'nft',
    'table inet firewall { set s { type ipv4_addr; elements = { 192.0.2.1 }; }; chain c { type filter hook input priority 0; ip saddr @s accept; }; }',
  );
  run('nft', 'table ip kube-proxy { chain c { return; }; }');
  const ports = ['http:80/TCP@30080', 'dns:53/UDP'];
  const items = [
    serviceObject('web', {
      type: 'NodePort',
      clusterIPs: ['10.96.0.10', 'fd00:96::10'],
      ipFamilies: ['IPv4', 'IPv6'],
      ports,
    }),
    serviceObject('idle', { clusterIPs: ['10.96.0.11'], ports: ['http:80/TCP'] }),
    sliceObject('web', [ready('10.244.0.11')], { ports: ['http:8080/TCP', 'dns:8080/UDP'] }),
  ];
  writeFileSync(manifest, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
});

let untouched: ReturnType<typeof kernel>;
beforeEach(() => {
  untouched = kernel();
});

test('where nothing is ours, nothing is done', () => {
  const { status, stdout, stderr } = cli('cleanup');
  assert.deepEqual([status, stderr], [0, '']);
  assert.equal(
    stdout,
    'kube-ipvs left nothing on this node\nkept 3 virtual servers of other programs: UDP 192.0.2.10:30999, TCP 192.0.2.80:80, FWM 5 IPv4\n',
  );
  assert.deepEqual(kernel(), untouched);
});

test('after a run and a cleanup the kernel is as before, and a dry run only tells', () => {
  runOnce();
  const programmed = kernel();
  assert.ok(
    programmed.ipvs.some((line) => line.startsWith('-A -t 192.0.2.10:30080')),
    programmed.ipvs.join('\n'),
  );
  const plan = cli('cleanup', '--dry-run');
  assert.equal(plan.status, 0, plan.stderr);
  assert.deepEqual(kernel(), programmed);
  const { status, stdout, stderr } = cli('cleanup');
  assert.equal(status, 0, stderr);
  assert.deepEqual(kernel(), untouched);
  assert.equal(stdout.replaceAll(/^removed/gm, 'would remove'), plan.stdout);
  for (const line of [
    'removed virtual server TCP 10.96.0.10:80',
    'removed virtual server UDP [fd00:96::10]:53',
    'removed virtual server TCP 192.0.2.10:30080',
    'removed interface kube-ipvs0 with 3 addresses',
    'removed table ip kube-ipvs',
    'removed table ip6 kube-ipvs',
  ])
    assert.ok(stdout.split('\n').includes(line), `${line} is not in\n${stdout}`);
});

test("kube-proxy's own flag does the same, and removes what is left where a part is missing", () => {
  runOnce();
  run('ip', 'link', 'delete', 'kube-ipvs0');
  run('nft', 'delete', 'table', 'ip6', 'kube-ipvs');
  run('ipvsadm', '-D', '-t', '10.96.0.10:80');
  const { status, stdout, stderr } = cli('--cleanup');
  assert.equal(status, 0, stderr);
  assert.match(stdout, /removed virtual server UDP 10\.96\.0\.10:53/);
  // Neither packet rules nor kube-ipvs0 tell whose the IPv6 virtual servers are.
  assert.match(stdout, /kept 5 virtual servers of other programs: .*TCP \[fd00:96::10\]:80/);
  run('ipvsadm', '-D', '-t', '[fd00:96::10]:80');
  run('ipvsadm', '-D', '-u', '[fd00:96::10]:53');
  assert.deepEqual(kernel(), untouched);
});

test('virtual servers and addresses in excludeCIDRs stay', () => {
  const config = join(folder, 'config.yaml');
  writeFileSync(
    config,
    'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: ipvs\nipvs: {excludeCIDRs: [10.96.0.11/32]}\n',
  );
  runOnce();
  const { status, stdout, stderr } = cli('cleanup', `--config=${config}`);
  assert.equal(status, 0, stderr);
  assert.deepEqual(
    savedTable().filter((line) => line.includes('10.96.0')),
    ['-A -t 10.96.0.11:80 -s rr'],
  );
  assert.deepEqual(addressesOf('kube-ipvs0'), ['10.96.0.11/32']);
  assert.match(stdout, /^removed address 10\.96\.0\.10\/32 of kube-ipvs0$/m);
  assert.match(stdout, /^kept kube-ipvs0 with 1 address of other programs: 10\.96\.0\.11$/m);
  run('ipvsadm', '-D', '-t', '10.96.0.11:80');
  run('ip', 'link', 'delete', 'kube-ipvs0');
  assert.deepEqual(kernel(), untouched);
});

test('a virtual server of others on a VIP of ours stays with its address, and so does one that a Service asks for', () => {
  run('ipvsadm', '-A', '-t', '10.96.0.11:80', '-s', 'wlc');
  run('ipvsadm', '-a', '-t', '10.96.0.11:80', '-r', '192.0.2.81:80', '-i');
  run('ipvsadm', '-A', '-t', '10.96.0.10:9999', '-s', 'wlc');
  const before = kernel();
  runOnce();
  const { status, stderr } = cli('cleanup');
  assert.equal(status, 0, stderr);
  assert.deepEqual(kernel().ipvs, before.ipvs);
  assert.deepEqual(addressesOf('kube-ipvs0'), ['10.96.0.10/32']);
  for (const at of ['10.96.0.11:80', '10.96.0.10:9999']) run('ipvsadm', '-D', '-t', at);
  run('ip', 'link', 'delete', 'kube-ipvs0');
  assert.deepEqual(kernel(), untouched);
});

test('what kube-proxy in mode ipvs serves, with no packet rules of ours to name it, is not ours', () => {
  run('ip', 'link', 'add', 'kube-ipvs0', 'type', 'dummy');
  run('ip', 'address', 'add', '10.96.0.10/32', 'dev', 'kube-ipvs0');
  run('ipvsadm', '-A', '-t', '10.96.0.10:80', '-s', 'rr');
  const before = kernel();
  assert.equal(cli('cleanup').status, 0);
  assert.deepEqual(kernel(), before);
  run('ipvsadm', '-D', '-t', '10.96.0.10:80');
  run('ip', 'link', 'delete', 'kube-ipvs0');
});

test('an interface of that name which is no dummy device is left and told', () => {
  run('ip', 'link', 'add', 'kube-ipvs0', 'type', 'bridge');
  const { status, stderr } = cli('cleanup');
  assert.equal(status, 1);
  assert.match(stderr, /could not remove interface kube-ipvs0: it is not a dummy device \(kind bridge\)/);
  assert.match(run('ip', 'link', 'show', 'kube-ipvs0'), /kube-ipvs0/);
  run('ip', 'link', 'delete', 'kube-ipvs0');
});

test('without CAP_NET_ADMIN it says what is missing', () => {
  runOnce();
  const dropped = ['--bounding-set=-net_admin', '--inh-caps=-net_admin', process.execPath, main, 'cleanup'];
  const { status, stderr } = spawnSync('setpriv', dropped, { encoding: 'utf8' });
  assert.equal(status, 1);
  assert.match(stderr, /CAP_NET_ADMIN/);
});

after(() => {
  assert.equal(cli('cleanup').status, 0);
});

test('beside a daemon it says that everything comes back', async () => {
  await using daemon = new DaemonProcess([`--source=${manifest}`]);
  await eventually(() => {
    const { status, stdout, stderr } = cli('cleanup', '--dry-run');
    assert.equal(status, 0, stderr);
    assert.match(stdout, /would remove virtual server TCP 10\.96\.0\.10:80/);
    assert.match(
      stderr,
      new RegExp(`warning: kube-ipvs runs on this node \\(process ${daemon.pid}\\) and restores`),
    );
  });
  const { notes } = JSON.parse(cli('cleanup', '--dry-run', '-o', 'json').stdout) as {
    readonly notes: readonly string[];
  };
  assert.match(notes[0] ?? '', /Stop it first/);
  assert.equal(await daemon.stop(), 0);
  assert.equal(cli('cleanup').stderr, '');
});
