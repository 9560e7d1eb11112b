// real time: as many requests as a client sends in real time are to meet every step.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ClusterNetwork } from '../support/cluster-network.js';
import { eventually } from '../support/eventually.js';
import type { Mode, Variant } from '../support/kube-proxy-rules.js';
import { savedTable } from '../support/lab-guest.js';
import { ready, serviceObject, sliceObject } from '../support/objects.js';
import { main } from '../support/program.js';
import { assertNoLongDelay, SteadyRequests } from '../support/steady-requests.js';

// `kube-ipvs migrate` as the operator of a node without DaemonSets runs it. kube-proxy is a process that makes its rules.

const standIn = fileURLToPath(new URL('../support/kube-proxy-stand-in.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'migrate-'));
const manifest = join(folder, 'world.json');
const virtual = '10.96.0.10';
const urls = [`http://${virtual}/`, 'http://192.0.2.1:30080/'];
let network: ClusterNetwork;

const onNode = (line: string): string =>
  execFileSync('ip', ['netns', 'exec', 'node', 'bash', '-c', line], { encoding: 'utf8' });

const writeWorld = (pods: readonly string[]): void => {
  const items = [
    serviceObject('web', { type: 'NodePort', clusterIPs: [virtual], ports: ['http:80@30080'] }),
    sliceObject(
      'web',
      pods.map((pod) => ready(pod)),
      { ports: ['http:8080/TCP'] },
    ),
  ];
  writeFileSync(manifest, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
};

/** Shell functions that stop and start each proxy; each process id is in a file. */
const proxies = (mode: Mode, variant: Variant): string => `
stop() {
  [ -e ${folder}/$1.pid ] || return 0
  kill "$(cat ${folder}/$1.pid)" && while kill -0 "$(cat ${folder}/$1.pid)" 2>/dev/null; do sleep 0.02; done
  rm ${folder}/$1.pid
}
start_kube_proxy() {
  MODE=${mode} VARIANT=${variant} setsid bash -c 'exec -a kube-proxy ${process.execPath} ${standIn} --config=${kubeProxyConfig}' </dev/null >>${folder}/kube-proxy.log 2>&1 &
  echo $! >${folder}/kube-proxy.pid
}
start_kube_ipvs() {
  setsid ${process.execPath} ${main} run --proxy-mode=ipvs --source=${manifest} --cluster-cidr=10.244.0.0/16 \\
    </dev/null >>${folder}/kube-ipvs.log 2>&1 &
  echo $! >${folder}/kube-ipvs.pid
}
`;

const script = (name: string, text: string): string => {
  const file = join(folder, name);
  writeFileSync(file, `#!/bin/bash\n${text}`, { mode: 0o755 });
  return file;
};

interface Report {
  readonly result: string;
  readonly reason?: string;
  readonly steps: readonly { readonly step: string; readonly text: string }[];
  readonly requests: readonly {
    readonly target: string;
    readonly requests: number;
    readonly failed: number;
  }[];
  readonly failures: readonly string[];
  readonly remedies: readonly { readonly command?: string }[];
}

interface Ended {
  readonly status: number | null;
  readonly report: Report;
}

/** Runs `kube-ipvs migrate`; the shell waits for it, the event loop goes on. */
const migrate = (...args: readonly string[]): Promise<Ended> => {
  const command = ['netns', 'exec', 'node', process.execPath, main, 'migrate', ...args, '-o', 'json'];
  return new Promise((resolve, reject) => {
    const child = spawn('ip', command, { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.on('close', (status) => {
      try {
        resolve({ status, report: JSON.parse(output) as Report });
      } catch {
        reject(new Error(`status ${status}: ${output}`));
      }
    });
  });
};

const configuration = 'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n';
const config = join(folder, 'config.conf');
writeFileSync(config, `${configuration}mode: ipvs\nclusterCIDR: 10.244.0.0/16\n`);
const kubeProxyConfig = join(folder, 'kube-proxy.conf');
writeFileSync(
  kubeProxyConfig,
  `${configuration}mode: iptables\nclusterCIDR: 10.244.0.0/16\nipvs: {scheduler: lc}\n`,
);

const common = [
  `--config=${config}`,
  `--source=${manifest}`,
  '--observe=1s',
  ...urls.map((url) => `--probe=${url}`),
];

const switches = (toKubeIpvs: string, toKubeProxy: string) => [
  `--to-kube-ipvs=${toKubeIpvs}`,
  `--to-kube-proxy=${toKubeProxy}`,
];

/** Everything of kube-proxy's that is left in iptables and ipset. */
const kubeProxyRules = (): readonly string[] =>
  onNode('iptables-nft-save; iptables-legacy-save; ipset list -n')
    .split('\n')
    .filter((line) => line.includes('KUBE-') && !line.includes('KUBE-FIREWALL'));

const stepsOf = ({ steps }: Report): readonly string[] => steps.map(({ step }) => step);

/** Starts kube-proxy, and gives the options that switch to kube-ipvs and back. */
const startWith = (mode: Mode, variant: Variant = 'nft', wrong = ''): readonly string[] => {
  const functions = proxies(mode, variant);
  script('start', `${functions}start_kube_proxy`);
  onNode(`${folder}/start`);
  return switches(
    script('to-kube-ipvs', `${functions}stop kube-proxy; start_kube_ipvs; ${wrong}`),
    script('to-kube-proxy', `${functions}stop kube-ipvs; start_kube_proxy`),
  );
};

const kubeProxyServes = () =>
  eventually(() =>
    assert.match(onNode('ss -lnt'), /:10256/, readFileSync(join(folder, 'kube-proxy.log'), 'utf8')),
  );

const stopProxies = (): string => script('stop', `${proxies('ipvs', 'nft')}stop kube-proxy; stop kube-ipvs`);

before(async () => {
  network = await ClusterNetwork.up(2);
  // A request of the node to a virtual address needs a route before DNAT changes its destination.
  onNode('ip route add default via 192.0.2.2');
});
after(async () => {
  onNode(stopProxies());
  await network[Symbol.asyncDispose]();
});

beforeEach(() => {
  onNode(stopProxies());
  onNode(`for v in nft legacy; do for t in nat filter; do iptables-$v -t $t -F; iptables-$v -t $t -X; done; done
    ipset destroy; nft flush ruleset; ipvsadm -C; ip link del kube-ipvs0 2>/dev/null || true`);
  rmSync(join(folder, 'kube-proxy.log'), { force: true });
  writeWorld(['10.244.0.11', '10.244.0.12']);
});

const noFailure = async (client: SteadyRequests): Promise<void> => {
  const { requests, failures, ...repetitions } = await client.end();
  assert.deepEqual(failures, []);
  assertNoLongDelay(repetitions);
  assert.ok(requests > 50, `only ${requests} requests`);
};

for (const mode of ['ipvs', 'iptables'] as const)
  test(`from mode ${mode} and back: no request fails, and nothing of the other proxy is left`, async () => {
    const commands = startWith(mode);
    await kubeProxyServes();
    using client = new SteadyRequests('client', urls);
    const there = await migrate('node', ...common, ...commands);
    assert.equal(there.status, 0, JSON.stringify(there.report));
    assert.equal(there.report.result, 'migrated');
    assert.deepEqual(stepsOf(there.report), [
      'check',
      'probe',
      'before',
      'switch',
      'serve',
      'watch',
      'clean',
      'watch',
    ]);
    assert.deepEqual(kubeProxyRules(), []);
    for (const { requests, failed } of there.report.requests) assert.ok(requests > 10 && failed === 0);

    const back = await migrate('back', ...common, ...commands);
    assert.equal(back.status, 0, JSON.stringify(back.report));
    assert.equal(back.report.result, 'returned');
    assert.doesNotMatch(onNode('nft list tables'), /kube-ipvs/);
    assert.notDeepEqual(kubeProxyRules(), []);
    assert.equal(savedTable('node').length > 0, mode === 'ipvs');
    await noFailure(client);
  });

interface Check {
  readonly id: string;
  readonly result: string;
  readonly seen: string;
}

/** Runs `migrate check`; the checks by id. */
const check = (): { readonly status: number | null; readonly checks: ReadonlyMap<string, Check> } => {
  const args = ['netns', 'exec', 'node', process.execPath, main, 'migrate', 'check', `--config=${config}`];
  const { status, stdout, stderr } = spawnSync('ip', [...args, `--source=${manifest}`, '-o', 'json'], {
    encoding: 'utf8',
  });
  assert.equal(stderr, '');
  const { checks } = JSON.parse(stdout) as { readonly checks: readonly Check[] };
  return { status, checks: new Map(checks.map((one) => [one.id, one])) };
};

test('the check reads the running kube-proxy, its file and its rules, and changes nothing', async () => {
  const commands = startWith('iptables');
  await kubeProxyServes();
  onNode(
    'iptables-nft -t nat -N CNI-HOSTPORT-SETMARK; iptables-nft -t nat -A CNI-HOSTPORT-SETMARK -j KUBE-MARK-MASQ',
  );
  const before = onNode('nft -s list ruleset; ipvsadm -S -n; ip -br link');
  const { status, checks } = check();
  assert.equal(status, 0, JSON.stringify([...checks.values()].filter(({ result }) => result === 'fail')));
  assert.equal(onNode('nft -s list ruleset; ipvsadm -S -n; ip -br link'), before);
  const seen = (id: string) => `${checks.get(id)?.result}: ${checks.get(id)?.seen}`;
  assert.match(seen('running-proxy'), /^pass: kube-proxy \(process \d+\) runs in mode iptables$/);
  assert.match(seen('configuration-differences'), /^warn: .*ipvs\.scheduler: "lc" → "\w*"/);
  assert.match(seen('removed-rules'), /^pass: \d+ chains and 0 ipsets of kube-proxy/);
  assert.match(seen('node-ports'), /^warn: node ports no longer answer on 127\.0\.0\.1 .*: 30080$/);
  assert.match(seen('dependent-rules'), /^warn: rules of other programs .* CNI-HOSTPORT-SETMARK \(ip nat\)/);

  const { report } = await migrate('node', ...common, ...commands);
  assert.equal(report.result, 'migrated', JSON.stringify(report));
  const after = check();
  assert.equal(after.status, 1);
  assert.match(after.checks.get('running-proxy')?.seen ?? '', /^kube-ipvs \(process \d+\) runs/);
});

for (const mode of ['ipvs', 'iptables'] as const)
  test(`a request that fails brings kube-proxy back, with all that it needs in mode ${mode}`, async () => {
    // kube-ipvs starts with a manifest that has no endpoint left: it refuses what kube-proxy answered.
    const commands = startWith(mode);
    await kubeProxyServes();
    writeWorld([]);
    const { status, report } = await migrate('node', ...common, ...commands);
    assert.equal(status, 1);
    assert.equal(report.result, 'rolled-back', JSON.stringify(report));
    assert.match(report.reason ?? '', /^\d+ requests? failed$/);
    assert.match(report.failures[0] ?? '', / http:\/\//);
    const end = mode === 'ipvs' ? 'fail switch serve clean' : 'fail switch serve release clean';
    assert.ok(stepsOf(report).join(' ').endsWith(end), stepsOf(report).join(' '));
    assert.doesNotMatch(onNode('nft list tables'), /kube-ipvs/);
    assert.notDeepEqual(kubeProxyRules(), []);
    assert.match(onNode('ps ax'), /kube-proxy-stand-in/);
    // In mode ipvs, the stand-in does not add the real servers again, as kube-proxy does.
    if (mode === 'iptables')
      for (const answer of network.ask('client', 'tcp', virtual, 80, 4)) assert.match(answer, /^pod[12]$/);
  });

test('a step that fails brings kube-proxy back, and no request fails', async () => {
  const commands = startWith('ipvs', 'nft', 'exit 7');
  await kubeProxyServes();
  using client = new SteadyRequests('client', urls);
  const { status, report } = await migrate('node', ...common, ...commands);
  assert.equal(status, 1);
  assert.equal(report.result, 'rolled-back', JSON.stringify(report));
  assert.match(report.reason ?? '', /to-kube-ipvs" ended with status 7/);
  await noFailure(client);
});

test('kube-proxy that does not stop in time, and a target that does not answer, are no migration', async () => {
  const commands = startWith('ipvs');
  await kubeProxyServes();
  const late = await migrate(
    'node',
    ...common,
    '--timeout=1s',
    '--to-kube-ipvs=true',
    `--to-kube-proxy=true`,
  );
  assert.equal(late.report.result, 'rolled-back', JSON.stringify(late.report));
  assert.match(late.report.reason ?? '', /^waited 1s for kube-proxy \(process \d+\) to stop$/);
  const silent = await migrate('node', ...common, '--probe=tcp://10.96.0.99:1', ...commands);
  assert.equal(silent.report.result, 'unchanged');
  assert.match(silent.report.reason ?? '', /^before the change: \d+ requests? failed$/);
  assert.match(silent.report.failures[0] ?? '', / tcp:\/\/10\.96\.0\.99:1: /);
  assert.notDeepEqual(kubeProxyRules(), []);
});

test('rules of iptables-legacy are left, with the command that removes them', async () => {
  const commands = startWith('ipvs', 'legacy');
  await kubeProxyServes();
  const { status, report } = await migrate('node', ...common, ...commands);
  assert.equal(status, 3, JSON.stringify(report));
  assert.equal(report.result, 'incomplete');
  assert.equal(report.remedies[0]?.command, 'kube-ipvs cleanup --kube-proxy --dry-run');
});
