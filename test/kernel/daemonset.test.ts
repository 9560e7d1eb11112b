// lab: -m 1536M
import { defaultInstance } from '../../src/model/instance-names.js';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { V1Container, V1DaemonSet } from '@kubernetes/client-node';
import { containerSocket } from '../../src/cli/admin/container-socket.js';
import type { CheckReport } from '../../src/doctor/all-checks.js';
import type { ApiObject } from '../support/api-objects.js';
import { ApiServer } from '../support/api-server.js';
import { eventually } from '../support/daemon-process.js';
import { run, savedTable } from '../support/lab-guest.js';
import { readKustomization } from '../support/kustomization.js';
import { ready, serviceObject, sliceObject } from '../support/objects.js';
import { kubeconfigFor } from '../support/kubeconfig.js';

// The image as the containers of DaemonSets start it, with an API server, in the host's network namespace: deploy/base, and
// kubeadm's own with the image changed and nothing else.

const root = fileURLToPath(new URL('../../..', import.meta.url));
const main = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const work = mkdtempSync(join(tmpdir(), 'daemonset-'));
const image = join(work, 'image.tar');
const node = 'n1';
let server: ApiServer;

before(async () => {
  run('scripts/image', '--output', work);
  // The kernel has a list of the tables of iptables-legacy, which not everybody may read.
  run('iptables-legacy', '-P', 'FORWARD', 'ACCEPT');
  server = await ApiServer.start({ token: 'secret' });
  server.put(
    {
      kind: 'Node',
      metadata: { name: node },
      status: { addresses: [{ type: 'InternalIP', address: '192.0.2.10' }] },
    },
    serviceObject('web', { clusterIPs: ['10.96.0.10'], ports: ['http:80/TCP'] }) as ApiObject,
    sliceObject('web', [ready('10.244.0.11')], { ports: ['http:8080/TCP'] }) as ApiObject,
  );
});

after(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(work, { recursive: true });
});

/** A folder for /var/lib/kube-proxy with this config.conf, and the kubeconfig beside it. */
const configuration = (text: string): string => {
  const folder = mkdtempSync(join(work, 'configuration-'));
  chmodSync(folder, 0o755);
  writeFileSync(join(folder, 'config.conf'), text);
  writeFileSync(join(folder, 'kubeconfig.conf'), kubeconfigFor(server.url, 'secret'));
  return folder;
};

/** Where a volume is mounted: a folder of this machine, `:rw` where it may be written to. */
type Volumes = Readonly<Record<string, string>>;

const base = readKustomization(join(root, 'deploy/base'));
const daemonSet = base.objects.find(({ kind }) => kind === 'DaemonSet') as unknown as V1DaemonSet;

/** The options of `scripts/image --run` that a container of the manifest comes to; the runtime has nothing else of it. */
const optionsOf = ({ securityContext, volumeMounts = [], args = [] }: V1Container, volumes: Volumes) => {
  const {
    privileged,
    runAsUser,
    runAsGroup = 0,
    readOnlyRootFilesystem,
    capabilities,
  } = securityContext ?? {};
  assert.equal(readOnlyRootFilesystem, true);
  return [
    ...(privileged === true ? ['--privileged'] : []),
    '--user',
    `${runAsUser}:${runAsGroup}`,
    ...(capabilities?.add ?? []).flatMap((name) => ['--capability', `CAP_${name}`]),
    ...volumeMounts.flatMap(({ name, mountPath }) => [
      '--mount',
      (volumes[name] ?? '').replace(/(:rw)?$/, `:${mountPath}$1`),
    ]),
    '--',
    ...args.map((text) => text.replace('$(NODE_NAME)', node)),
  ];
};

/** Starts a container that goes on; what it writes is in `log`. */
const start = (...options: readonly string[]) => {
  const child = spawn('scripts/image', ['--run', '--image', image, ...options], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const closed = once(child, 'close');
  const container = {
    log: '',
    closed,
    stop: async (): Promise<void> => {
      child.kill('SIGTERM');
      await closed;
    },
    [Symbol.asyncDispose]: () => container.stop(),
  };
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (container.log += text));
  return container;
};

const warnings = (log: string): readonly string[] =>
  log.split('\n').filter((line) => /^[WEF]\d{4} /.test(line));

/** An image is a hundred megabytes to unpack, which takes a busy machine's guest longer than all that comes after. */
const patience = 120_000;

const synced = (container: { readonly log: string }): Promise<void> =>
  eventually(() => {
    assert.match(container.log, /admin-socket-listening|admin-socket-unavailable/);
    assert.equal(savedTable().length, 2, container.log);
  }, patience);

/** What a program writes, while the API server goes on; how it ended. */
const finished = async (command: string, args: readonly string[]) => {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [status]: unknown[] = await once(child, 'close');
  return { status, stdout, stderr };
};

/** As kubectl exec: in the running container, as its user. */
const execute = (user: number, group: number, ...args: readonly string[]) => {
  const [, pid] = /^\/proc\/(\d+)\//.exec(containerSocket(defaultInstance.adminSocket) ?? '') ?? [];
  assert.ok(pid !== undefined, 'no daemon in a container');
  const inside = [`--target=${pid}`, '--mount', '--pid', '--root', '--wd=/'];
  const as = [`--setuid=${user}`, `--setgid=${group}`];
  return finished('nsenter', [...inside, ...as, '/usr/local/bin/kube-ipvs', ...args]);
};

const names = ['dump', 'default/web', '-o', 'custom-columns=SERVICE:servicePort', '--no-headers'] as const;

const hasNames = async (): Promise<void> => {
  const inside = await execute(65_532, 0, ...names);
  assert.deepEqual([inside.status, inside.stdout.trim()], [0, 'default/web:http'], inside.stderr);
  const outside = await finished(process.execPath, [main, ...names]);
  assert.deepEqual([outside.status, outside.stdout.trim()], [0, 'default/web:http'], outside.stderr);
};

/** The checks that could not look; the test's API server answers no questions for rights. */
const unknownOf = async (user: number, group: number): Promise<readonly CheckReport[]> => {
  const { stdout, stderr } = await execute(user, group, 'doctor', '-o', 'json');
  assert.match(stdout, /^\{/, stderr);
  const report: { readonly checks: readonly CheckReport[] } = JSON.parse(stdout);
  assert.ok(report.checks.length > 50);
  return report.checks.filter(({ group: of, result }) => result === 'unknown' && of !== 'kubernetes');
};

test('deploy/base starts without a warning, tells names inside and to root on the node, and no check of the doctor is unknown', async () => {
  const text = readFileSync(join(root, 'deploy/base/config.conf'), 'utf8');
  const emptyDir = join(work, 'run');
  mkdirSync(emptyDir);
  chmodSync(emptyDir, 0o777);
  const volumes: Volumes = { configuration: configuration(text), run: `${emptyDir}:rw` };
  const pod = daemonSet.spec?.template.spec;
  const [init, mainContainer] = [pod?.initContainers?.[0], pod?.containers[0]];
  assert.ok(init !== undefined && mainContainer !== undefined);
  await using first = start(...optionsOf(init, volumes));
  assert.deepEqual(await first.closed, [0, null], first.log);
  await using daemon = start(...optionsOf(mainContainer, volumes));
  await synced(daemon);
  await hasNames();
  assert.deepEqual(await unknownOf(65_532, 0), []);
  // A pod with another group: each check says what it could not read, and the command that shows it.
  const unknown = await unknownOf(65_532, 65_532);
  assert.deepEqual(
    unknown.map(({ id }) => id),
    ['forward-policy', 'input-policy', 'kube-proxy-leftovers', 'other-dataplanes', 'host-ports'],
  );
  for (const { seen, remedies } of unknown) {
    assert.match(seen, /^cannot read the chains? .*iptables-legacy: EACCES/);
    assert.deepEqual(
      remedies.map(({ command }) => command),
      ['iptables-legacy-save && ip6tables-legacy-save'],
    );
  }
  await daemon.stop();
  assert.deepEqual(warnings(first.log + daemon.log), []);
});

test('kubeadm’s DaemonSet with the image changed and nothing else sets the kernel up, serves, and tells names inside and to root on the node', async () => {
  run('sysctl', '-qw', 'net.ipv4.vs.conntrack=0', 'net.netfilter.nf_conntrack_buckets=1024');
  const text = readFileSync(join(root, 'test/fixtures/config/kubeadm-config.conf'), 'utf8');
  const lock = join(work, 'xtables.lock');
  const modules = mkdtempSync(join(work, 'modules-'));
  writeFileSync(lock, '', { mode: 0o600 });
  await using daemon = start(
    '--kubeadm',
    '--command=/usr/local/bin/kube-proxy',
    `--mount=${configuration(text.replace('mode: ""', 'mode: ipvs'))}:/var/lib/kube-proxy`,
    `--mount=${lock}:/run/xtables.lock:rw`,
    `--mount=${modules}:/lib/modules`,
    '--',
    '--config=/var/lib/kube-proxy/config.conf',
    `--hostname-override=${node}`,
  );
  await synced(daemon);
  assert.equal(run('sysctl', '-n', 'net.ipv4.vs.conntrack').trim(), '1');
  assert.equal(run('sysctl', '-n', 'net.netfilter.nf_conntrack_buckets').trim(), '32768');
  await hasNames();
  await daemon.stop();
  // As kube-proxy: kubeadm's configuration leaves this open.
  assert.deepEqual(
    warnings(daemon.log).filter((line) => !line.includes('nodePortAddresses is empty')),
    [],
  );
});
