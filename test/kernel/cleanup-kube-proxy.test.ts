import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, test } from 'node:test';
import { main } from '../support/program.js';
import { savedTable } from '../support/lab-guest.js';
import { ready, serviceObject, sliceObject } from '../support/objects.js';
import { readableProgram } from '../support/readable-program.js';

// What kube-proxy leaves, beside things of the kubelet and of others, which must stay to the byte.

const cli = (...args: readonly string[]) =>
  spawnSync(process.execPath, [main, ...args], { encoding: 'utf8' });
const sh = (line: string, input = ''): string =>
  execFileSync('sh', ['-ec', line], { encoding: 'utf8', input, stdio: ['pipe', 'pipe', 'pipe'] });

/** Everything of netfilter, IPVS and links, without counters. */
const kernel = () => ({
  nft: sh('nft -s list ruleset'),
  tables: sh('for f in iptables ip6tables; do for v in nft legacy; do $f-$v-save; done; done').replaceAll(
    /\[\d+:\d+\]|^#.*$/gm,
    '',
  ),
  sets: sh('ipset save'),
  ipvs: savedTable(),
  links: sh('ip -br address').replaceAll(/ +$/gm, ''),
});

const baseChains = `*filter
:INPUT ACCEPT
:FORWARD ACCEPT
:OUTPUT ACCEPT
:KUBE-FIREWALL -
:KUBE-KUBELET-CANARY -
:KUBE-ROUTER-INPUT -
-A INPUT -j KUBE-FIREWALL
-A INPUT -j KUBE-ROUTER-INPUT
-A INPUT -p tcp -m tcp --dport 22 -m comment --comment "not -j KUBE-SERVICES" -j ACCEPT
-A KUBE-ROUTER-INPUT -m set --match-set others src -j RETURN
-A OUTPUT -j KUBE-FIREWALL
COMMIT
*nat
:PREROUTING ACCEPT
:INPUT ACCEPT
:OUTPUT ACCEPT
:POSTROUTING ACCEPT
:KUBE-MARK-DROP -
-A POSTROUTING -o eth9 -j MASQUERADE
COMMIT
`;

const rulesOf = (mode: 'ipvs' | 'iptables'): string =>
  readFileSync(`test/fixtures/migration/kube-proxy-${mode}.rules`, 'utf8').replaceAll(
    '@PODS@',
    '10.244.0.0/16',
  );
const rules6 = rulesOf('ipvs')
  .replaceAll('--match-set KUBE-', '--match-set KUBE-6-')
  .replaceAll('127.0.0.0/8', '::1/128')
  .replaceAll('10.244.0.0/16', 'fd00:10::/64')
  .replaceAll('icmp-port', 'icmp6-port');

const setNames = ['CLUSTER-IP', 'EXTERNAL-IP', 'EXTERNAL-IP-LOCAL', 'LOAD-BALANCER'];
const sets = [
  ...setNames.map((name) => `create KUBE-${name} hash:ip,port family inet`),
  ...setNames.map((name) => `create KUBE-6-${name} hash:ip,port family inet6`),
  ...['KUBE-', 'KUBE-6-'].flatMap((start) => [
    `create ${start}HEALTH-CHECK-NODE-PORT bitmap:port range 0-65535`,
    `create ${start}NODE-PORT-TCP bitmap:port range 0-65535`,
    `create ${start}NODE-PORT-SCTP-HASH hash:ip,port family ${start === 'KUBE-' ? 'inet' : 'inet6'}`,
    // The kernel takes 31 characters.
    `create ${`${start}LOAD-BALANCER-SOURCE-CIDR`.slice(0, 31)} hash:ip,port,net`,
    `create ${`${start}NODE-PORT-LOCAL-SCTP-HASH`.slice(0, 31)} hash:ip,port`,
  ]),
  'create KUBE-IPVS-IPS hash:ip family inet',
  'create KUBE-6-IPVS-IPS hash:ip family inet6',
  'add KUBE-CLUSTER-IP 10.96.0.10,tcp:80',
  'add KUBE-NODE-PORT-TCP 30080',
  'add KUBE-NODE-PORT-TCP 40000',
  'add KUBE-6-NODE-PORT-TCP 30081',
  'add KUBE-NODE-PORT-SCTP-HASH 192.0.2.10,sctp:30090',
  '',
].join('\n');

const leaveIpvs = (): void => {
  sh('ip link add kube-ipvs0 type dummy; ip address add 10.96.0.10/32 dev kube-ipvs0');
  sh('ip address add fd00:96::10/128 dev kube-ipvs0');
  sh(
    'ipvsadm -R',
    `-A -t 10.96.0.10:80 -s rr
-a -t 10.96.0.10:80 -r 10.244.0.11:8080 -m
-A -t [fd00:96::10]:80 -s rr
-A -t 192.0.2.10:30080 -s rr
-A -t 192.0.2.10:40000 -s rr
-A --sctp-service 192.0.2.10:30090 -s rr
`,
  );
};

const leaveRules = (variant: 'nft' | 'legacy'): void => {
  sh('ipset restore', sets);
  sh(`iptables-${variant}-restore --noflush`, rulesOf('ipvs'));
  sh(`ip6tables-${variant}-restore --noflush`, rules6);
};

beforeEach(() => {
  sh(`for f in iptables ip6tables; do for t in nat filter; do $f-legacy -t $t -F; $f-legacy -t $t -X; done; done
    nft flush ruleset; ipset destroy; ipvsadm -C
    ip link del kube-ipvs0 2>/dev/null || true
    ip link add eth0 type dummy 2>/dev/null || true
    ip address replace 192.0.2.10/24 dev eth0; ip link set eth0 up
    ipset create others hash:ip; ipset create others6 hash:ip family inet6
    ipset create KUBE-ROUTER-PODS hash:ip`);
  for (const [program, rules] of [
    ['iptables', baseChains],
    ['ip6tables', baseChains.replaceAll('others', 'others6')],
  ] as const)
    for (const variant of ['nft', 'legacy']) sh(`${program}-${variant}-restore`, rules);
  sh(
    'nft -f -',
    'table inet firewall { chain KUBE-SERVICES { }; chain c { type filter hook input priority 0; jump KUBE-SERVICES; }; }',
  );
  sh(
    'ipvsadm -R',
    '-A -t 192.0.2.10:80 -s wlc\n-A -t 192.0.2.10:30081 -s wlc\n-A -u 192.0.2.99:30999 -s rr\n-A -f 5 -s rr\n',
  );
});

test('where nothing is left, nothing is done', () => {
  const before = kernel();
  const { status, stdout, stderr } = cli('cleanup', '--kube-proxy');
  assert.deepEqual([status, stdout, stderr], [0, 'kube-proxy left nothing on this node\n', '']);
  assert.deepEqual(kernel(), before);
});

test('mode ipvs: everything of both families goes, and nothing of others; a dry run only tells', () => {
  const before = kernel();
  leaveIpvs();
  leaveRules('nft');
  const leftover = kernel();
  assert.notDeepEqual(leftover, before);
  const plan = cli('cleanup', '--kube-proxy', '--dry-run');
  assert.deepEqual([plan.status, plan.stderr], [0, '']);
  assert.deepEqual(kernel(), leftover);
  const { status, stdout, stderr } = cli('cleanup', '--kube-proxy');
  assert.deepEqual([status, stderr], [0, '']);
  assert.equal(stdout.replaceAll(/^removed/gm, 'would remove'), plan.stdout);
  assert.deepEqual(kernel(), before);
  for (const line of [
    'removed 6 chains KUBE-* and 6 jumps to them in table ip filter',
    'removed 5 chains KUBE-* and 3 jumps to them in table ip6 nat',
    'removed virtual server TCP 10.96.0.10:80',
    'removed virtual server TCP 192.0.2.10:30080',
    'removed virtual server TCP 192.0.2.10:40000',
    'removed virtual server SCTP 192.0.2.10:30090',
    'removed ipset KUBE-6-NODE-PORT-LOCAL-SCTP-HAS',
    'kept 4 virtual servers of other programs: TCP 192.0.2.10:80, TCP 192.0.2.10:30081, UDP 192.0.2.99:30999, FWM 5 IPv4',
    'removed interface kube-ipvs0 with 2 addresses',
    'removed ipset KUBE-6-IPVS-IPS',
    'removed ipset KUBE-CLUSTER-IP',
  ])
    assert.ok(stdout.split('\n').includes(line), `${line} is not in\n${stdout}`);
  assert.equal(cli('cleanup', '--kube-proxy').stdout, 'kube-proxy left nothing on this node\n');
});

test('where its sets are gone, node ports are told by address and port, and that this is assumed', () => {
  leaveIpvs();
  const { status, stdout, stderr } = cli('cleanup', '--kube-proxy');
  assert.deepEqual([status, stderr], [0, '']);
  assert.match(stdout, /^removed virtual server TCP 192\.0\.2\.10:30081$/m);
  assert.ok(
    stdout.includes(
      'assumed to be node ports of kube-proxy, because its ipsets no longer exist: ' +
        'TCP 192.0.2.10:30080, TCP 192.0.2.10:30081, SCTP 192.0.2.10:30090\n',
    ),
    stdout,
  );
  assert.ok(savedTable().some((line) => line.startsWith('-A -t 192.0.2.10:40000')));
});

test('modes iptables and nftables: the chains of Services with the jumps, and the tables', () => {
  const before = kernel();
  sh('iptables-nft-restore --noflush', rulesOf('iptables').replaceAll(/^.*KUBE-FIREWALL.*\n/gm, ''));
  for (const family of ['ip', 'ip6'])
    sh(
      'nft -f -',
      `table ${family} kube-proxy { chain services { type nat hook output priority -100; return; }; }`,
    );
  const { status, stdout, stderr } = cli('cleanup', '--kube-proxy', '-o', 'json');
  assert.deepEqual([status, stderr], [0, '']);
  const report = JSON.parse(stdout) as Record<'removed' | 'failed' | 'notes', readonly unknown[]>;
  assert.deepEqual(report.removed.slice(-2), ['table ip kube-proxy', 'table ip6 kube-proxy']);
  assert.match(String(report.removed[0]), /chains KUBE-\* and \d jumps to them in table ip (filter|nat)$/);
  assert.deepEqual([report.failed, report.notes], [[], []]);
  assert.deepEqual(kernel(), before);
});

test('beside kube-ipvs the virtual servers and kube-ipvs0 stay', () => {
  const manifest = join(mkdtempSync(join(tmpdir(), 'leftovers-')), 'world.json');
  const items = [
    serviceObject('web', { clusterIPs: ['10.96.0.10'], ports: ['http:80/TCP'] }),
    sliceObject('web', [ready('10.244.0.11')], { ports: ['http:8080/TCP'] }),
  ];
  writeFileSync(manifest, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  assert.equal(cli(`--source=${manifest}`, '--once').status, 0);
  const before = kernel();
  leaveRules('nft');
  const { status, stdout } = cli('cleanup', '--kube-proxy');
  assert.equal(status, 0);
  assert.match(stdout, /^kept the virtual servers and kube-ipvs0: /m);
  assert.deepEqual(kernel(), before);
  assert.ok(before.ipvs.some((line) => line.startsWith('-A -t 10.96.0.10:80')));
});

test('virtual servers in excludeCIDRs stay', () => {
  leaveIpvs();
  const config = join(mkdtempSync(join(tmpdir(), 'leftovers-')), 'config.yaml');
  writeFileSync(
    config,
    'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: ipvs\nipvs: {excludeCIDRs: [10.96.0.10/32]}\n',
  );
  assert.equal(cli('cleanup', '--kube-proxy', `--config=${config}`).status, 0);
  assert.ok(savedTable().some((line) => line.startsWith('-A -t 10.96.0.10:80')));
  assert.ok(!savedTable().some((line) => line.startsWith('-A -t [fd00:96::10]:80')));
});

test('rules of iptables-legacy are told, with the commands that remove them and nothing else', () => {
  const before = kernel();
  leaveRules('legacy');
  const plan = cli('cleanup', '--kube-proxy', '--dry-run');
  const { status, stderr } = cli('cleanup', '--kube-proxy');
  assert.deepEqual([plan.status, status], [1, 1]);
  const obstacles = stderr.replaceAll(/^.*a rule or a set uses it.*\n/gm, '');
  assert.equal(obstacles.replaceAll('could not', 'cannot'), plan.stderr);
  const { failed } = JSON.parse(cli('cleanup', '--kube-proxy', '--dry-run', '-o', 'json').stdout) as {
    readonly failed: readonly { readonly remedy?: { readonly command: string } }[];
  };
  const commands = failed.flatMap(({ remedy }) => remedy?.command ?? []);
  assert.equal(commands.length, 4, stderr);
  assert.match(stderr, /could not remove ipset KUBE-CLUSTER-IP: a rule or a set uses it/);
  for (const command of commands) sh(command);
  assert.equal(cli('cleanup', '--kube-proxy').status, 0);
  assert.deepEqual(kernel(), before);
});

test('who may not see iptables-legacy removes the rest, and is told the command that shows it on the node', () => {
  const before = kernel();
  leaveRules('nft');
  const as = ['--reuid=65532', '--regid=65532', '--clear-groups'];
  const rights = [
    '--bounding-set=-all,+net_admin',
    '--inh-caps=-all,+net_admin',
    '--ambient-caps=+net_admin',
  ];
  const command = [...readableProgram(), 'cleanup', '--kube-proxy'];
  const { status, stderr } = spawnSync('setpriv', [...as, ...rights, ...command], { encoding: 'utf8' });
  assert.equal(status, 1);
  assert.match(
    stderr,
    /rules of iptables-legacy: .*EACCES.* Run as root on the node: iptables-legacy-save \| grep /,
  );
  assert.deepEqual(kernel(), before);
});

test('without CAP_NET_ADMIN it says what is missing', () => {
  const dropped = ['--bounding-set=-net_admin', '--inh-caps=-net_admin', process.execPath, main];
  const { status, stderr } = spawnSync('setpriv', [...dropped, 'cleanup', '--kube-proxy'], {
    encoding: 'utf8',
  });
  assert.equal(status, 1);
  assert.match(stderr, /CAP_NET_ADMIN/);
});
