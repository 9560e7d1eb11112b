// lab: -K initcall_blacklist=ip_vs_mh_init
import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { queryDaemon } from '../../src/cli/admin/admin-client.js';
import type { Check } from '../../src/doctor/check.js';
import type { CheckStatus } from '../../src/doctor/check-result.js';
import type { Remedy } from '../../src/doctor/remedy.js';
import { checks, type CheckReport } from '../../src/doctor/all-checks.js';
import { factSourcesFor } from '../../src/doctor/fact-sources.js';
import { runChecks } from '../../src/doctor/run-checks.js';
import { toService } from '../../src/watch/objects/parse-objects.js';
import { main } from '../support/program.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { settingsOf } from '../support/doctor-facts.js';
import { run } from '../support/lab-guest.js';
import { ready, serviceObject, sliceObject } from '../support/objects.js';
import { readableProgram } from '../support/readable-program.js';
import { kubeconfigFor } from '../support/kubeconfig.js';
import { MinimalApiServer, type MinimalApiServerOptions } from '../support/minimal-api-server.js';

// Each test breaks the node, runs the commands of the remedies and checks that the node is restored.

const folder = mkdtempSync(join(tmpdir(), 'doctor-'));
const manifest = join(folder, 'world.json');
const shell = (line: string): string =>
  run('sh', '-c', line.replace(/^kube-ipvs /, `${process.execPath} ${main} `));

const services = [
  serviceObject('web', { clusterIP: '10.96.0.10', ports: ['http:80/TCP'] }),
  serviceObject('dns', { clusterIP: '10.96.0.53', ports: ['dns:53/UDP'] }),
];
const socket = join(folder, 'admin.sock');
let daemon: DaemonProcess;

before(async () => {
  shell(`ip link add eth0 type veth peer name far; ip address add 192.0.2.10/24 dev eth0
    ip link set eth0 up; ip link set far up; ip route add default via 192.0.2.1`);
  const items = [
    ...services,
    sliceObject('web', [ready('10.244.0.11')], { ports: ['http:8080/TCP'] }),
    sliceObject('dns', [ready('10.244.0.12')], { ports: ['dns:53/UDP'] }),
  ];
  writeFileSync(manifest, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  daemon = new DaemonProcess([
    `--source=${manifest}`,
    '--ipvs-sync-period=10m',
    '--ipvs-tcp-timeout=3h',
    `--admin-socket=${socket}`,
  ]);
  await eventually(async () => {
    for (const id of ['daemon', 'sync']) {
      const { result, seen } = await look(id);
      assert.equal(result, 'pass', `${seen}\n${daemon.log}`);
    }
  });
});

after(() => daemon[Symbol.asyncDispose]());

interface Given {
  readonly kubeconfig?: string;
  readonly more?: readonly object[];
}

/** The outcomes by id, in this process. */
const examined = async (
  chosen: readonly Check[],
  { kubeconfig, more = [] }: Given = {},
): Promise<ReadonlyMap<string, CheckReport>> => {
  const sources = factSourcesFor({
    configuration: { files: [], settings: settingsOf('--ipvs-tcp-timeout=3h'), problems: [] },
    kubeconfig,
    status: () => queryDaemon({ adminSocket: socket }, (client) => client.status()),
    manifests:
      kubeconfig === undefined
        ? () => [...services, ...more].flatMap((object) => toService(object).value ?? [])
        : undefined,
  });
  return new Map((await runChecks(sources, chosen)).map((outcome) => [outcome.id, outcome]));
};

const everything = (given: Given = {}) => examined(checks, given);

const look = async (id: string, given: Given = {}): Promise<CheckReport> => {
  const chosen = checks.filter((check) => check.id === id);
  const outcome = (await examined(chosen, given)).get(id);
  assert.ok(outcome, id);
  return outcome;
};

const told = async (id: string, given: Given = {}): Promise<string> => {
  const { result, seen } = await look(id, given);
  return `${result}: ${seen}`;
};

test('on a node that kube-ipvs serves from files every check passes', async () => {
  const outcomes = [...(await everything()).values()];
  assert.deepEqual(
    outcomes
      .filter(({ result }) => result !== 'pass')
      .map(({ id, result, seen }) => `${result} ${id}: ${seen}`),
    [],
  );
  const seen = new Map(outcomes.map((outcome) => [outcome.id, outcome.seen]));
  assert.equal(seen.get('ipvs'), 'IPVS 1.2.1, 2 virtual servers, 2 real servers');
  assert.match(seen.get('foreign-servers') ?? '', /\ball 2 virtual servers$/);
  assert.match(seen.get('sync') ?? '', /^the last sync was \d+ s ago and took \d+\.\d+ s$/);
  assert.equal(seen.get('dummy-interface'), 'kube-ipvs0 has 2 addresses');
  assert.match(seen.get('two-proxies') ?? '', /^no service proxy /);
  assert.match(
    seen.get('packet-rules') ?? '',
    /^table ip kube-ipvs: \d+ hooks, \d+ elements; table ip6 kube-ipvs: /,
  );
});

interface Provocation {
  readonly id: string;
  /** A line for a shell that breaks something. */
  readonly make: string;
  readonly result: CheckStatus;
  /** Names and numbers in what the check found. */
  readonly shows?: readonly string[];
  /** The line that restores the node where the commands of the remedies do not. */
  readonly back?: string;
}

const vs = 'net.ipv4.vs';

const provocations: readonly Provocation[] = [
  {
    id: 'vs-conntrack',
    make: `sysctl -w ${vs}.conntrack=0`,
    result: 'fail',
    shows: [`${vs}.conntrack`, '0'],
  },
  {
    id: 'expire-nodest-conn',
    make: `sysctl -w ${vs}.expire_nodest_conn=0`,
    result: 'fail',
    shows: [`${vs}.expire_nodest_conn`, '0'],
  },
  {
    id: 'ipv4-forwarding',
    make: 'sysctl -w net.ipv4.ip_forward=0',
    result: 'fail',
    shows: ['net.ipv4.ip_forward', '0'],
  },
  {
    id: 'connection-reuse',
    make: `sysctl -w ${vs}.conn_reuse_mode=0`,
    result: 'warn',
    shows: [`${vs}.conn_reuse_mode`, '0'],
  },
  {
    id: 'defences',
    make: `sysctl -w ${vs}.drop_entry=1 ${vs}.secure_tcp=3`,
    result: 'warn',
    shows: ['drop_packet', '0', 'drop_entry', '1', 'secure_tcp', '3'],
  },
  {
    id: 'tunnel-mtu',
    make: `sysctl -w ${vs}.pmtu_disc=0`,
    result: 'warn',
    shows: [`${vs}.pmtu_disc`, '0'],
  },
  {
    id: 'estimators',
    make: `sysctl -w ${vs}.run_estimation=0`,
    result: 'warn',
    shows: [`${vs}.run_estimation`, '0'],
  },
  {
    id: 'route-localnet',
    make: 'sysctl -w net.ipv4.conf.all.route_localnet=1',
    result: 'warn',
    shows: ['net.ipv4.conf.all.route_localnet', '1'],
  },
  {
    id: 'tcp-timeout',
    make: 'ipvsadm --set 900 120 300',
    result: 'warn',
    shows: ['900', '7200'],
    back: 'ipvsadm --set 10800 120 300',
  },
  {
    id: 'local-ports',
    make: "sysctl -w net.ipv4.ip_local_port_range='20000 60999'",
    result: 'warn',
    shows: ['20000-60999', '30000-32767'],
  },
  {
    id: 'bridge-netfilter',
    make: 'ip link add cni0 type bridge; ip link set cni0 up; sysctl -w net.bridge.bridge-nf-call-iptables=0',
    result: 'warn',
    shows: ['cni0', 'net.bridge.bridge-nf-call-iptables', '0'],
  },
  {
    id: 'forward-policy',
    make: "nft 'table inet firewall { chain forward { type filter hook forward priority filter; policy drop; }; }'",
    result: 'fail',
    shows: ['0'],
  },
  {
    id: 'input-policy',
    make: 'iptables-legacy -P INPUT DROP; iptables-legacy -I INPUT -i lo -j ACCEPT',
    result: 'warn',
    shows: ['iptables-legacy'],
    back: 'iptables-legacy -P INPUT ACCEPT; iptables-legacy -F INPUT',
  },
  {
    id: 'vip-elsewhere',
    make: 'ip address add 10.96.0.10/32 dev eth0',
    result: 'warn',
    shows: ['10.96.0.10', 'eth0'],
  },
  {
    id: 'foreign-servers',
    make: 'ipvsadm -A -t 192.0.2.10:8443 -s wlc',
    result: 'warn',
    shows: ['1', '3', '192.0.2.10:8443'],
  },
  {
    id: 'kube-proxy-leftovers',
    make: 'sed s,@PODS@,10.244.0.0/16, test/fixtures/migration/kube-proxy-iptables.rules > /tmp/rules; iptables-nft-restore --noflush < /tmp/rules; ipset create KUBE-CLUSTER-IP hash:ip,port',
    result: 'warn',
  },
  {
    id: 'kube-proxy-leftovers',
    make: 'ipset create KUBE-6-NODE-PORT-TCP bitmap:port range 0-65535',
    result: 'warn',
    shows: ['1', 'KUBE-6-NODE-PORT-TCP'],
  },
  {
    id: 'kube-proxy-leftovers',
    make: 'iptables-legacy -t nat -N KUBE-SERVICES',
    result: 'warn',
    shows: ['1', 'kube-proxy', 'iptables-legacy'],
    back: 'iptables-legacy -t nat -X KUBE-SERVICES',
  },
  {
    id: 'kube-proxy-leftovers',
    make: "nft 'table ip6 kube-proxy { chain services { return; }; }'",
    result: 'warn',
    shows: ['1', 'kube-proxy', 'ip6'],
  },
  {
    id: 'host-ports',
    make: 'iptables-legacy -t nat -N CNI-HOSTPORT-DNAT',
    result: 'warn',
    shows: ['iptables-legacy'],
    back: 'iptables-legacy -t nat -X CNI-HOSTPORT-DNAT',
  },
  {
    id: 'other-dataplanes',
    make: 'iptables-nft -N KUBE-ROUTER-INPUT',
    result: 'warn',
    shows: ['1', 'kube-router'],
    back: 'iptables-nft -X KUBE-ROUTER-INPUT',
  },
  {
    id: 'configured-settings',
    make: 'sysctl -w net.netfilter.nf_conntrack_max=70000',
    result: 'warn',
    shows: ['net.netfilter.nf_conntrack_max', '70000', '131072'],
  },
];

const commandsOf = (remedies: readonly Remedy[]): readonly string[] =>
  remedies.flatMap(({ command }) => command ?? []);

for (const { id, make, result: expected, shows = [], back } of provocations)
  test(`${id}: ${make.slice(0, 70)}`, async () => {
    const before = await told(id);
    assert.match(before, /^pass: /);
    shell(make);
    const { result, seen, remedies } = await look(id);
    assert.equal(result, expected, seen);
    for (const text of shows) assert.ok(seen.includes(text), `${seen} shows ${text}`);
    assert.notEqual(remedies.length, 0);
    for (const line of back === undefined ? commandsOf(remedies) : [back]) shell(line);
    assert.match(await told(id), /^pass: /, 'the remedies restore the node');
  });

test('conntrack-limit: connection tracking that is full', async () => {
  const most = readFileSync('/proc/sys/net/netfilter/nf_conntrack_max', 'utf8').trim();
  const used = readFileSync('/proc/sys/net/netfilter/nf_conntrack_count', 'utf8').trim();
  assert.notEqual(used, '0', 'the looks at the health port before are tracked');
  shell(`sysctl -w net.netfilter.nf_conntrack_max=${used}`);
  const { result, seen, remedies } = await look('conntrack-limit');
  shell(`sysctl -w net.netfilter.nf_conntrack_max=${most}`);
  assert.equal(result, 'fail', seen);
  assert.deepEqual(commandsOf(remedies), [`sysctl -w net.netfilter.nf_conntrack_max=${2 * Number(used)}`]);
});

test('schedulers: a Service that asks for one that this kernel lacks', async () => {
  const odd = serviceObject('odd', {
    clusterIP: '10.96.0.99',
    annotations: { 'ipvs.kube-ipvs.dev/scheduler': 'mh' },
  });
  const { result, seen, remedies } = await look('schedulers', { more: [odd] });
  assert.equal(result, 'fail');
  assert.match(seen, /\bmh\b.*Service default\/odd$/);
  assert.deepEqual(commandsOf(remedies), ['modprobe ip_vs_mh']);
});

test('vip-clash: a Service that wants the gateway as an external address', async () => {
  const greedy = serviceObject('greedy', { clusterIP: '10.96.0.98', externalIPs: ['192.0.2.1'] });
  assert.equal(
    await told('vip-clash', { more: [greedy] }),
    'fail: Service default/greedy requests 192.0.2.1, a gateway of this node',
  );
});

/** A program of this name that does nothing. */
const actor = (name: string): ChildProcess => spawn('sleep', ['600'], { argv0: name, stdio: 'ignore' });

for (const [name, id, expected] of [
  ['kube-proxy', 'two-proxies', /^pass: .*\bkube-proxy \(process \d+\)$/],
  ['speaker', 'strict-arp', /^fail: arp_ignore is 0, arp_announce is 0, and speaker announces/],
  ['keepalived', 'ipvs-managers', /^warn: keepalived \(process \d+\) /],
] as const)
  test(`${id}: a program called ${name}`, async () => {
    const program = actor(name);
    try {
      await eventually(async () => assert.match(await told(id), expected), 5_000);
    } finally {
      program.kill('SIGKILL');
    }
  });

const tokenThatEnds = (seconds: number): string => {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'none' })}.${part({ exp: seconds })}.c2ln`;
};

const withApi = async (
  options: MinimalApiServerOptions,
  token = tokenThatEnds(4_000_000_000),
): Promise<ReadonlyMap<string, CheckReport>> => {
  await using api = await MinimalApiServer.start(options);
  const kubeconfig = join(folder, 'kubeconfig');
  writeFileSync(kubeconfig, kubeconfigFor(api.url, token));
  // Awaited here: the server ends with this function.
  return await everything({ kubeconfig });
};

const results = (outcomes: ReadonlyMap<string, CheckReport>): readonly string[] =>
  [...outcomes.values()]
    .filter(({ group }) => group === 'kubernetes')
    .map(({ id, result }) => `${result} ${id}`);

test('an API server that lets us do what we need', async () => {
  const outcomes = await withApi({ nodes: ['node-1'], services });
  assert.deepEqual(results(outcomes), [
    'pass api-server',
    'pass clock',
    'pass credential',
    'pass rights',
    'pass read-pods',
    'pass node-object',
    'pass memory',
  ]);
  assert.match(outcomes.get('credential')?.seen ?? '', /\btoken\b.* 2096-10-02T07:06Z, in /);
});

test('an API server that refuses, has another time, and does not know us; a token that has ended', async () => {
  const outcomes = await withApi(
    { denied: ['watch endpointslices'], clockAhead: 300 },
    tokenThatEnds(1_000_000_000),
  );
  assert.deepEqual(results(outcomes), [
    'pass api-server',
    'fail clock',
    'fail credential',
    'fail rights',
    'pass read-pods',
    'fail node-object',
    'pass memory',
  ]);
  assert.equal(outcomes.get('rights')?.seen, 'not allowed: watch endpointslices.discovery.k8s.io');
  assert.match(outcomes.get('clock')?.seen ?? '', / (299|300|301) s behind /);
});

test('a DaemonSet of kube-proxy in the cluster', async () => {
  const containers = [{ name: 'kube-proxy', image: 'registry.k8s.io/kube-proxy:v1.36.2' }];
  const path = '/apis/apps/v1/namespaces/kube-system/daemonsets/kube-proxy';
  const objects = { [path]: { spec: { template: { spec: { containers } } } } };
  const outcomes = await withApi({ nodes: ['node-1'], services, objects });
  const { result, seen } = outcomes.get('installed-kube-proxy') ?? {};
  assert.equal(result, 'fail');
  assert.match(
    seen ?? '',
    /kube-system\/kube-proxy \(registry\.k8s\.io\/kube-proxy:v1\.36\.2\) selects this node/,
  );
  const without = await withApi({ nodes: ['node-1'], services });
  assert.equal(without.get('installed-kube-proxy')?.result, 'pass');
});

test('an API server that is not there', async () => {
  const kubeconfig = join(folder, 'nowhere');
  writeFileSync(kubeconfig, kubeconfigFor('http://127.0.0.1:1', 'token'));
  const outcomes = await everything({ kubeconfig });
  assert.equal(outcomes.get('api-server')?.result, 'fail');
  assert.match(
    outcomes.get('api-server')?.seen ?? '',
    /http:\/\/127\.0\.0\.1:1: connect ECONNREFUSED 127\.0\.0\.1:1$/,
  );
  assert.equal(outcomes.get('rights')?.result, 'unknown');
});

interface Report {
  readonly checks: readonly CheckReport[];
  readonly summary: Readonly<Record<CheckReport['result'], number>>;
}

const callProgram = (
  program: readonly [node: string, main: string],
  prefix: readonly string[],
  ...args: readonly string[]
): { status: number | null; report: Report } => {
  const [file = '', ...rest] = [
    ...prefix,
    ...program,
    'doctor',
    `--source=${manifest}`,
    '-o',
    'json',
    ...args,
  ];
  const { status, stdout, stderr } = spawnSync(file, rest, { encoding: 'utf8' });
  assert.equal(stderr, '');
  return { status, report: JSON.parse(stdout) };
};
const call = (prefix: readonly string[], ...args: readonly string[]) =>
  callProgram([process.execPath, main], prefix, ...args);

test('without --source and --kubeconfig the Services are those that the daemon serves', () => {
  const { stdout } = spawnSync(
    process.execPath,
    [main, 'doctor', `--admin-socket=${socket}`, '--only=kubernetes'],
    { encoding: 'utf8' },
  );
  assert.match(stdout, /✓ pass {5}api-server: the Services come from files: /);
  assert.match(stdout, /\n7 checks: 7 pass, /);
});

test('another user than root sees less, is told so, and nothing breaks', () => {
  const { status, report } = callProgram(readableProgram(), [
    // The user may not be able to read the library that run-tests.mjs preloads.
    'env',
    '--unset=LD_PRELOAD',
    'setpriv',
    '--reuid=65534',
    '--regid=65534',
    '--clear-groups',
    '--inh-caps=-all',
  ]);
  const result = (id: string): string | undefined => report.checks.find((check) => check.id === id)?.result;
  assert.equal(status, 1);
  assert.deepEqual(
    ['ipvs', 'tcp-timeout', 'packet-rules', 'forward-policy', 'dummy-interface', 'capabilities'].map(result),
    ['pass', 'unknown', 'unknown', 'unknown', 'pass', 'fail'],
  );
  assert.match(report.checks.find(({ id }) => id === 'tcp-timeout')?.seen ?? '', /EPERM/);
});

test('in the network namespace of a pod it says so', () => {
  shell('ip netns add pod');
  const { status, report } = call(['ip', 'netns', 'exec', 'pod'], '--only=network-namespace', '--strict');
  assert.equal(status, 1, 'a warning counts with --strict');
  assert.deepEqual(report.summary, { pass: 0, warn: 1, fail: 0, unknown: 0 });
  assert.equal(call([], '--only=network-namespace', '--strict').status, 0);
});

test('contested-servers: somebody else makes what a Service is about to ask for', async () => {
  shell('ipvsadm -A -t 10.96.0.77:80 -s wlc');
  const wanted = serviceObject('late', { clusterIP: '10.96.0.77', ports: ['http:80/TCP'] });
  const world: { items: object[] } = JSON.parse(readFileSync(manifest, 'utf8'));
  writeFileSync(`${manifest}.next`, JSON.stringify({ ...world, items: [...world.items, wanted] }));
  renameSync(`${manifest}.next`, manifest);
  await eventually(async () =>
    assert.equal(
      await told('contested-servers'),
      'fail: another program created TCP 10.96.0.77:80, which Service default/late requests',
    ),
  );
  const { remedies } = await look('contested-servers');
  assert.deepEqual(commandsOf(remedies), [
    'kubectl -n default annotate service late ipvs.kube-ipvs.dev/take-over-foreign=true',
  ]);
  shell('ipvsadm -D -t 10.96.0.77:80');
});

test('when the daemon is gone, what it left is looked at', async () => {
  assert.equal(await daemon.stop(), 0);
  shell('ip address add 10.96.7.7/32 dev kube-ipvs0; nft delete table ip6 kube-ipvs');
  assert.match(await told('daemon'), /^fail: .*0\.0\.0\.0:10256/);
  assert.match(await told('watches'), /^unknown: .*127\.0\.0\.1:10249/);
  assert.match(await told('packet-rules'), /^warn: table ip kube-ipvs: .*missing: table ip6 kube-ipvs$/);
  const { seen, remedies } = await look('unwanted-addresses');
  assert.match(seen, /\b10\.96\.7\.7 on kube-ipvs0$/);
  for (const line of commandsOf(remedies)) shell(line);
  assert.match(await told('unwanted-addresses'), /^pass: /);
});
