import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { run } from '../support/lab-guest.js';

const program = 'dist/kube-ipvs.js';
const sysctl = (name: string): string =>
  readFileSync(`/proc/sys/${name.replaceAll('.', '/')}`, 'utf8').trim();

/** Runs the program without the right to do what a sysctl does not allow: /proc/sys is read-only. */
const withoutSysctls = (...args: readonly string[]) =>
  spawnSync(
    'unshare',
    [
      '--mount',
      'sh',
      '-c',
      `mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec "$@"`,
      'sh',
      process.execPath,
      program,
      ...args,
    ],
    { encoding: 'utf8' },
  );

test('--init-only sets the kernel up, makes nothing, asks no API server, and ends; then no rights to sysctls are needed', () => {
  const serve = ['--source=examples', '--once', '--ipvs-strict-arp'];
  assert.equal(withoutSysctls(...serve).status, 1, 'before, they are');
  const { status, stderr } = spawnSync(
    process.execPath,
    [program, '--init-only', '--ipvs-strict-arp', '--ipvs-tcp-timeout=800s', '--kubeconfig=/nowhere'],
    { encoding: 'utf8' },
  );
  assert.equal(status, 0, stderr);
  assert.match(
    stderr,
    /"kube-ipvs starts" version=.* kernel=.* node=.* mode="ipvs" scheduler="rr" config="[0-9a-f]{12}" source="api"/,
  );
  assert.equal(sysctl('net.ipv4.vs.conntrack'), '1');
  assert.equal(sysctl('net.ipv4.conf.all.arp_announce'), '2');
  assert.match(run('ipvsadm', '-L', '--timeout'), /\b800\b/);
  assert.doesNotMatch(run('ip', 'link'), /kube-ipvs0/);
  assert.doesNotMatch(run('nft', 'list', 'tables'), /kube-ipvs/);
  assert.equal(run('ipvsadm', '-Sn'), '');
  const after = withoutSysctls(...serve);
  assert.equal(after.status, 0, after.stderr);
});

test('--init-only fails where the scheduler is missing', () => {
  const { status, stderr } = spawnSync(process.execPath, [program, '--init-only', '--ipvs-scheduler=best'], {
    encoding: 'utf8',
  });
  assert.equal(status, 1);
  assert.match(stderr, /this kernel has no IPVS scheduler "best"/);
});

const score = (pid: number): string => readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8').trim();

test('oomScoreAdj is set at start and when it changes; where it is refused the daemon goes on', async () => {
  const config = join(mkdtempSync(join(tmpdir(), 'oom-')), 'config.conf');
  const configure = (fields: string): void =>
    writeFileSync(
      config,
      `apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: ipvs\n${fields}`,
    );
  configure('');
  const args = ['--source=examples', `--config=${config}`];
  await using daemon = new DaemonProcess(args);
  await eventually(() => assert.equal(score(daemon.pid), '-999'));
  await eventually(() => assert.match(daemon.log, /manifests-read/));
  configure('oomScoreAdj: -5\n');
  await eventually(() => assert.equal(score(daemon.pid), '-5'));
  assert.equal(await daemon.stop(), 0, daemon.log);
  const { status, stderr } = spawnSync(
    'setpriv',
    ['--bounding-set=-sys_resource', process.execPath, program, ...args, '--once'],
    { encoding: 'utf8' },
  );
  assert.equal(status, 0, stderr);
  assert.match(stderr, /"oomScoreAdj stays as it is" oomScoreAdj=-5 now=0 .*SYS_RESOURCE/);
});
