import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { main } from '../support/program.js';
import { ClusterNetwork } from '../support/cluster-network.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { addressesOf, runLine, savedTable } from '../support/lab-guest.js';
import { ready, serviceObject, sliceObject } from '../support/objects.js';
import { SingleSocketClient } from '../support/single-socket-client.js';

// What somebody has changed by hand is shown line by line, and repaired: by the daemon where there is one, else from files.

const folder = mkdtempSync(join(tmpdir(), 'diff-'));
const manifest = join(folder, 'world.json');
const socket = join(folder, 'admin.sock');

const vip = '10.96.0.10';
const v6 = 'fd00:96::10';
let network: ClusterNetwork;
let daemon: DaemonProcess | undefined;

const pods = (...numbers: readonly number[]) => numbers.map((number) => ready(`10.244.0.1${number}`));

/** A Service `web` in both families with these pods. */
const program = (...numbers: readonly number[]): void => {
  const items = [
    serviceObject('web', {
      clusterIPs: [vip, v6],
      ipFamilies: ['IPv4', 'IPv6'],
      ports: ['http:80/TCP', 'dns:53/UDP'],
    }),
    sliceObject('web', pods(...numbers), { ports: ['http:8080/TCP', 'dns:5353/UDP'] }),
    sliceObject('web', [ready('fd00:244::11')], {
      ports: ['http:8080/TCP', 'dns:5353/UDP'],
      family: 'IPv6',
      suffix: 'v6',
    }),
  ];
  writeFileSync(`${manifest}.next`, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  renameSync(`${manifest}.next`, manifest);
};

const inNode = (...lines: readonly string[]): void => {
  for (const line of lines) runLine(`ip netns exec node ${line}`);
};

const command = (name: string, args: readonly string[]) => {
  const words = ['netns', 'exec', 'node', process.execPath, main, name, `--admin-socket=${socket}`, ...args];
  const { status, stdout, stderr } = spawnSync('ip', words, { encoding: 'utf8' });
  return { status, stdout, stderr };
};
const diff = (...args: readonly string[]) => command('diff', args);
const fromFiles = (...args: readonly string[]) =>
  diff('-f', manifest, '--hostname-override=n1', '--node-addresses=10.0.0.5/24', ...args);

const equal = { status: 0, stdout: 'no differences: the kernel is in sync\n', stderr: '' };

/** A daemon that looks at the kernel by itself in an hour only; what the kernel tells it, it repairs at once. */
const start = async (): Promise<void> => {
  daemon = new DaemonProcess(
    [
      `--source=${manifest}`,
      '--ipvs-sync-period=1h',
      '--ipvs-min-sync-period=0s',
      '--hostname-override=n1',
      `--admin-socket=${socket}`,
    ],
    { namespace: 'node' },
  );
  const { status, stdout, stderr } = command('status', ['--quiet', '--wait=60']);
  assert.deepEqual([status, stdout, stderr], [0, '', ''], daemon.log);
};

before(async () => {
  network = await ClusterNetwork.up(2);
  program(0, 1);
  await start();
});
after(async () => {
  await daemon?.[Symbol.asyncDispose]();
  await network[Symbol.asyncDispose]();
});

test('a kernel that is as the daemon left it is equal', () => {
  assert.deepEqual(diff(), equal);
  assert.deepEqual(diff('--quiet'), { ...equal, stdout: '' });
  assert.deepEqual(JSON.parse(diff('-o', 'json').stdout), {
    equal: true,
    summary: { add: 0, change: 0, remove: 0 },
    operations: [],
    contested: [],
  });
  const { status, stdout } = command('status', []);
  assert.match(stdout, /^kube-ipvs v\S+ on n1: healthy\n/);
  assert.equal(status, 0);
});

const byHand = [
  `ipvsadm -E -t ${vip}:80 -s lc -p 60`,
  `ipvsadm -e -t ${vip}:80 -r 10.244.0.10:8080 -m -w 5 -x 9`,
  `ipvsadm -d -t ${vip}:80 -r 10.244.0.11:8080`,
  `ipvsadm -a -t ${vip}:80 -r 192.0.2.7:8080 -m`,
  `ipvsadm -D -u [${v6}]:53`,
] as const;

const expected = `# virtual servers
~ virtual server TCP ${vip}:80: scheduler lc → rr, persistent 60 → none  # default/web
+ virtual server UDP [${v6}]:53 rr                                     # default/web

# real servers
~ real server TCP ${vip}:80 → 10.244.0.10:8080: weight 5 → 1, upper threshold 9 → none  # default/web
+ real server TCP ${vip}:80 → 10.244.0.11:8080 masquerade weight 1                      # default/web
+ real server UDP [${v6}]:53 → [fd00:244::11]:5353 masquerade weight 1                # default/web

# remove real servers
~ real server TCP ${vip}:80 → 192.0.2.7:8080: weight 1 → 0  # default/web: draining

3 to add, 3 to change, 0 to remove
`;

test('what somebody changed of the IPVS table is shown, and the daemon repairs it when it is asked to', async () => {
  const before = savedTable('node');
  inNode(...byHand, 'ipvsadm -A -t 10.96.0.99:80 -s rr');
  assert.deepEqual(diff(), { status: 1, stdout: expected, stderr: '' });
  assert.deepEqual(diff('--quiet'), { status: 1, stdout: '', stderr: '' });
  const dns = diff(`[${v6}]:53`, 'default/web:dns', '-o', 'json');
  assert.equal(dns.status, 1, dns.stderr);
  const { summary, operations } = JSON.parse(dns.stdout);
  assert.deepEqual(summary, { add: 2, change: 0, remove: 0 });
  assert.deepEqual(operations, [
    {
      group: 'virtual servers',
      op: 'add',
      kind: 'virtual-server',
      key: `UDP [${v6}]:53`,
      wanted: { scheduler: 'rr' },
      reason: 'default/web',
    },
    {
      group: 'real servers',
      op: 'add',
      kind: 'real-server',
      virtualServer: `UDP [${v6}]:53`,
      key: '[fd00:244::11]:5353',
      wanted: { forwarding: 'masquerade', weight: 1 },
      reason: 'default/web',
    },
  ]);
  assert.deepEqual(diff('10.96.0.99'), equal, 'what others made is no difference');
  const repaired = diff('--repair');
  assert.equal(
    repaired.stdout,
    `${expected}\nrepaired by the daemon: the kernel is in sync now\n`,
    daemon?.log ?? 'no daemon',
  );
  assert.equal(repaired.status, 0);
  inNode('ipvsadm -D -t 10.96.0.99:80');
  await eventually(() => assert.deepEqual(savedTable('node'), before));
  const told = /"event":"kernel-drifted"/;
  await eventually(() => assert.match(daemon?.log ?? '', told));
});

test('what the kernel tells the daemon of is repaired by itself, and then no difference', async () => {
  inNode(
    `ip address del ${vip}/32 dev kube-ipvs0`,
    `nft delete element ip kube-ipvs cluster-ip { ${vip} . tcp . 80 }`,
  );
  await eventually(() => assert.deepEqual(diff(), equal));
  assert.ok(addressesOf('kube-ipvs0', 'node').includes(`${vip}/32`));
});

test('a target that is none is told with what was meant, by the daemon and by files', () => {
  for (const told of [diff('default/wbe'), fromFiles('default/wbe')]) {
    assert.deepEqual([told.status, told.stdout], [2, '']);
    assert.equal(
      told.stderr,
      'kube-ipvs: Service or pod default/wbe not found in the desired state. Did you mean default/web?\n',
    );
  }
});

test('what drains is no difference, and neither is it to files', async () => {
  await using client = new SingleSocketClient('client', 'tcp', vip, 80);
  client.ask();
  await eventually(() => assert.match(client.last, /^pod\d$/));
  const used = Number(client.last.slice(3));
  program(1 - used);
  const draining = (): boolean => savedTable('node').some((line) => line.endsWith(' -w 0'));
  await eventually(() => assert.ok(draining(), daemon?.log ?? 'no daemon'));
  await eventually(() => assert.deepEqual(diff(), equal));
  assert.deepEqual(fromFiles(), equal);
  assert.ok(draining());
  program(0, 1);
  await eventually(() => assert.ok(!draining()));
  await eventually(() => assert.deepEqual(diff(), equal));
});

test('beside a daemon files may be compared with, but not put in force', () => {
  const other = join(folder, 'nothing.yaml');
  writeFileSync(other, '');
  inNode(`ipvsadm -D -t ${vip}:80`);
  const refused = fromFiles('--repair');
  assert.equal(refused.status, 2);
  assert.match(
    refused.stderr,
    /^kube-ipvs: cannot repair from files: a kube-ipvs daemon runs on this node \(process \d+\)/,
  );
  assert.equal(diff('--repair').status, 0);
});

/** Files show these among the differences. */
const differs = (lines: readonly string[]): void => {
  const { status, stdout, stderr } = fromFiles();
  assert.deepEqual([status, stderr], [1, '']);
  for (const line of lines)
    assert.ok(
      stdout.split('\n').some((each) => each === line || each.startsWith(`${line} `)),
      `${line}\n${stdout}`,
    );
};

const isRepaired = (): void => {
  const { status, stdout, stderr } = fromFiles('--repair');
  assert.match(stdout, /\n\nrepaired by this command: the kernel is in sync now\n$/);
  assert.deepEqual([status, stderr], [0, '']);
  assert.deepEqual(fromFiles(), equal);
};

test('without a daemon: files are compared with, in every part, and put in force', async () => {
  await daemon?.stop();
  const none = diff();
  assert.deepEqual([none.status, none.stdout], [2, '']);
  assert.match(none.stderr, /^kube-ipvs: cannot connect to the kube-ipvs daemon at /);
  assert.deepEqual(fromFiles(), equal);
  inNode(
    ...byHand.slice(-1),
    `ip address del ${vip}/32 dev kube-ipvs0`,
    'nft delete table ip6 kube-ipvs',
    'nft flush chain ip kube-ipvs masquerade-postrouting',
    `nft delete element ip kube-ipvs vips { ${vip} }`,
    'sysctl -qw net.ipv4.vs.conntrack=0',
  );
  differs([
    '~ sysctl net.ipv4.vs.conntrack: value 0 → 1',
    '~ table IPv4 kube-ipvs: rules changed → as declared',
    '+ table IPv6 kube-ipvs',
    `+ element IPv4 vips ${vip}`,
    `+ element IPv6 cluster-ip ${v6} . TCP . 80`,
    `+ virtual server UDP [${v6}]:53 rr`,
    `+ address ${vip}/32`,
  ]);
  isRepaired();
  inNode('ip link delete kube-ipvs0');
  differs(['+ link kube-ipvs0 dummy', `+ address ${vip}/32`, `+ address ${v6}/128`]);
  isRepaired();
  assert.deepEqual(addressesOf('kube-ipvs0', 'node'), [`${vip}/32`, `${v6}/128`]);
});

test('what is contested is told, and left alone by a repair', async () => {
  inNode(`ipvsadm -D -t ${vip}:80`, `nft delete element ip kube-ipvs cluster-ip { ${vip} . tcp . 80 }`);
  inNode(`ipvsadm -A -t ${vip}:80 -s sed`);
  const told = fromFiles('--repair');
  assert.equal(told.status, 0, told.stdout);
  assert.equal(
    told.stdout,
    `! another program created TCP ${vip}:80, which Service default/web requests; it is not compared\n${equal.stdout}`,
  );
  assert.ok(savedTable('node').includes(`-A -t ${vip}:80 -s sed`));
});
