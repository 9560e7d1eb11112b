import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runProgramSync } from '../../support/program-thread.js';

const program = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url));
const kubeadm = fileURLToPath(
  new URL('../../../../test/fixtures/config/kubeadm-config.conf', import.meta.url),
);
const scratch = mkdtempSync(join(tmpdir(), 'kube-ipvs-config-'));
after(() => rmSync(scratch, { recursive: true }));

const run = (args: readonly string[], input = '') => runProgramSync(program, args, { input });

const file = (name: string, text: string): string => {
  const path = join(scratch, name);
  writeFileSync(path, text);
  return path;
};

const header = 'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n';
const ownHeader = 'apiVersion: kube-ipvs.dev/v1alpha1\nkind: KubeIpvsConfiguration\n';

test("kubeadm's own file says its mode is not ours, and which line to change; with that line changed it runs", () => {
  const { status, stderr } = run([`--config=${kubeadm}`, '--write-config-to=/nowhere/file']);
  assert.equal(status, 1);
  assert.match(stderr, /kubeadm-config\.conf:52: mode must be ipvs; it is ""\. .*set "mode: ipvs"/);
  const changed = file('kubeadm.conf', readFileSync(kubeadm, 'utf8').replace('mode: ""', 'mode: ipvs'));
  assert.deepEqual(run(['config', 'validate', changed]), {
    status: 0,
    stdout: `${changed}: valid\n`,
    stderr: '',
  });
});

test('what is printed is what is in force, and is read as the same', () => {
  const config = file(
    'all.conf',
    `${header}mode: ipvs\nipvs: {scheduler: lc, syncPeriod: 90s, excludeCIDRs: [10.0.0.0/8]}\nnodePortAddresses: [primary]\nfeatureGates: {AllowServiceExternalIPs: false}\n---\n${ownHeader}drain: {deadline: 25h, udpDeadline: 10s}\n`,
  );
  const { status, stdout, stderr } = run([
    'config',
    'print',
    `--config=${config}`,
    '--hostname-override= n1 ',
  ]);
  assert.deepEqual([status, stderr], [0, '']);
  for (const line of [
    'hostnameOverride: n1',
    'detectLocalMode: ClusterCIDR',
    'mode: ipvs',
    '  scheduler: lc',
    '  syncPeriod: 1m30s',
    '    - 10.0.0.0/8',
    '  - primary',
    '  AllowServiceExternalIPs: false',
    '  deadline: 25h0m0s',
    '  tcpEstablishedTimeout: 24h0m0s',
  ])
    assert.ok(stdout.split('\n').includes(line), `${line}\n${stdout}`);
  const again = file('again.conf', stdout);
  assert.equal(run(['config', 'print', `--config=${again}`]).stdout, stdout);
  const [kubeProxy, own] = JSON.parse(run(['config', 'print', `--config=${again}`, '-o', 'json']).stdout);
  assert.equal(kubeProxy.ipvs.syncPeriod, '1m30s');
  assert.deepEqual(own.drain, { deadline: '25h0m0s', udpDeadline: '10s', sctpDeadline: '1m0s' });
  assert.match(run(['config', 'print', '--ipvs-scheduler=sh', '-v', '3']).stdout, /scheduler: sh\n.*/);
});

test('validate says which NodePorts stay open where the configuration tells of both families', () => {
  const warning = (family: string) =>
    `kube-ipvs: warning: nodePortAddresses contains no ${family} network: NodePorts are served on every ${family} address of this node\n`;
  const both = 'clusterCIDR: "10.244.0.0/16,fd00:244::/56"';
  const rows: readonly (readonly [string, string])[] = [
    [`${both}\nnodePortAddresses: [192.0.2.0/24, 198.51.100.0/24]`, warning('IPv6')],
    [`${both}\nnodePortAddresses: [fd00::/64]`, warning('IPv4')],
    ['ipvs: {excludeCIDRs: [10.0.0.0/8, fd00:9::/64]}\nnodePortAddresses: [192.0.2.0/24]', warning('IPv6')],
    [`${both}\nnodePortAddresses: [192.0.2.0/24, fd00::/64]`, ''],
    [`${both}\nnodePortAddresses: [primary]`, ''],
    [both, ''],
    ['clusterCIDR: 10.244.0.0/16\nnodePortAddresses: [fd00::/64]', ''],
  ];
  for (const [lines, expected] of rows) {
    const config = file('families.conf', `${header}mode: ipvs\n${lines}\n`);
    assert.deepEqual(
      run(['config', 'validate', config]),
      { status: 0, stdout: `${config}: valid\n`, stderr: expected },
      lines,
    );
  }
});

test('the defaults are a valid file, the same as one that says its mode only', () => {
  const { status, stdout } = run(['config', 'defaults']);
  assert.equal(status, 0);
  assert.equal(run(['config', 'validate', '-'], stdout).status, 0);
  const config = file('mode.conf', `${header}mode: ipvs\n`);
  assert.equal(run(['config', 'print', `--config=${config}`]).stdout, stdout);
});

test('validate tells every problem of every file in the order of lines, of fields and between fields', () => {
  const wrong = file(
    'wrong.conf',
    `${header}mode: nftables\nipvs:\n  minSyncPeriod: 1m\n  scheduler: 5\nnodePortAddresses: [a, 10.0.0.0/8, b]\nhostnameOveride: n1\n---\n${ownHeader}drain: {deadline: -1s, udpDeadline: -1s}\n`,
  );
  const right = file('right.conf', `${header}mode: ipvs\nipvs: {schedular: lc}\n`);
  const { status, stdout, stderr } = run(['config', 'validate', wrong, right, join(scratch, 'none')]);
  assert.deepEqual([status, stdout], [1, `${right}: valid\n`]);
  const told = stderr.trim().split('\n');
  const places = [
    `${wrong}:3: mode must be ipvs; it is "nftables". `,
    `${wrong}:5: ipvs.syncPeriod must be at least ipvs.minSyncPeriod, which is 1m0s`,
    `${wrong}:6: ipvs.scheduler must be a string`,
    `${wrong}:7: nodePortAddresses[0] must be`,
    `${wrong}:7: nodePortAddresses[2] must be`,
    `${wrong}:8: hostnameOveride is unknown and ignored; did you mean hostnameOverride?`,
    `${wrong}:12: drain.`,
    `${wrong}:12: drain.`,
    `kube-ipvs: warning: ${right}:4: ipvs.schedular is unknown and ignored; did you mean ipvs.scheduler?`,
    `${join(scratch, 'none')}: ENOENT`,
  ];
  assert.equal(told.length, places.length, stderr);
  for (const [index, place] of places.entries()) assert.ok(told[index]?.startsWith(place), stderr);
});

test('called wrongly: status 2', () => {
  for (const args of [['validate'], ['print', '--ipvs-schedulr=lc'], ['print', '-o', 'xml'], ['prnt']]) {
    const { status, stderr } = run(['config', ...args]);
    assert.equal(status, 2, stderr);
  }
});

test('--write-config-to writes a file that says the same, and does nothing else', () => {
  const written = join(scratch, 'written.conf');
  const argv = ['--ipvs-scheduler=lc', '--hostname-override=n1', '--master=https://nowhere.invalid'];
  assert.deepEqual(run([...argv, `--write-config-to=${written}`]), { status: 0, stdout: '', stderr: '' });
  const text = readFileSync(written, 'utf8');
  assert.doesNotMatch(text, /KubeIpvsConfiguration/, 'kube-proxy reads it too');
  assert.match(text, /minSyncPeriod: 1s\n/);
  const printed = run(['config', 'print', `--config=${written}`]).stdout;
  assert.equal(printed, run(['config', 'print', ...argv]).stdout);
  const own = file('own.conf', `${ownHeader}drain: {deadline: 1m}\n`);
  assert.equal(run([`--config=${own}`, `--write-config-to=${written}`]).status, 0);
  assert.match(readFileSync(written, 'utf8'), /---\n.*\n {2}deadline: 1m0s\n/s);
  const refused = join(scratch, 'refused.conf');
  assert.equal(run(['--oom-score-adj=9999', `--write-config-to=${refused}`]).status, 1);
  assert.equal(existsSync(refused), false);
  const { status, stderr } = run(['--write-config-to=/nowhere/file']);
  assert.equal(status, 1);
  assert.match(stderr, /--write-config-to=\/nowhere\/file: ENOENT/);
});
