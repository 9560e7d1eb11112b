import { defaultInstance } from '../../src/model/instance-names.js';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parseFlags } from '../../src/config/parse-flags.js';
import { resolveSettings } from '../../src/config/settings.js';
import { openKernel, prepareKernel } from '../../src/daemon/kernel/kernel-access.js';
import { run } from '../support/lab-guest.js';
import { RecordingLog } from '../support/recording-log.js';

/** The number that root may also set by nf_conntrack_buckets. */
const hashSize = '/sys/module/nf_conntrack/parameters/hashsize';
const number = (file: string): number => Number(readFileSync(file, 'utf8'));
const sysctl = (name: string): number => number(`/proc/sys/${name.replaceAll('.', '/')}`);

const names = [
  'net.ipv4.vs.conntrack',
  'net.ipv4.vs.expire_nodest_conn',
  'net.ipv4.vs.expire_quiescent_template',
  'net.ipv4.ip_forward',
  'net.ipv4.conf.all.arp_ignore',
  'net.ipv4.conf.all.arp_announce',
  'net.netfilter.nf_conntrack_max',
  'net.netfilter.nf_conntrack_tcp_timeout_established',
  'net.netfilter.nf_conntrack_tcp_timeout_close_wait',
  'net.netfilter.nf_conntrack_udp_timeout',
  'net.netfilter.nf_conntrack_udp_timeout_stream',
  'net.netfilter.nf_conntrack_tcp_be_liberal',
] as const;

const values = (): Readonly<Record<string, number>> =>
  Object.fromEntries([...names.map((name) => [name, sysctl(name)] as const), ['hashsize', number(hashSize)]]);

const prepare = async (...argv: readonly string[]): Promise<RecordingLog> => {
  const log = new RecordingLog();
  using kernel = await openKernel(defaultInstance);
  await prepareKernel(kernel, resolveSettings({ flags: parseFlags(argv), files: [], hostname: 'n1' }), log);
  return log;
};

const daemon = `${process.execPath} dist/kube-ipvs.js --source=examples --once --logging-format=json`;

/** Runs a line of the shell, in a mount namespace of its own. */
const shell = (line: string): { readonly status: number | null; readonly stderr: string } =>
  spawnSync('unshare', ['--mount', 'sh', '-c', line], { encoding: 'utf8' });

const readOnlySysctls = 'mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys';

test('the first start sets what differs and tells old and new, the second writes nothing', async () => {
  const before = values();
  const first = await prepare(
    '--conntrack-udp-timeout-stream=150s',
    '--conntrack-tcp-be-liberal',
    '--ipvs-strict-arp',
  );
  const expected = {
    'net.ipv4.vs.conntrack': 1,
    'net.ipv4.vs.expire_nodest_conn': 1,
    'net.ipv4.vs.expire_quiescent_template': 1,
    'net.ipv4.ip_forward': 1,
    'net.ipv4.conf.all.arp_ignore': 1,
    'net.ipv4.conf.all.arp_announce': 2,
    'net.netfilter.nf_conntrack_max': 131_072,
    'net.netfilter.nf_conntrack_tcp_timeout_established': 86_400,
    'net.netfilter.nf_conntrack_tcp_timeout_close_wait': 3600,
    'net.netfilter.nf_conntrack_udp_timeout': before['net.netfilter.nf_conntrack_udp_timeout'],
    'net.netfilter.nf_conntrack_udp_timeout_stream': 150,
    'net.netfilter.nf_conntrack_tcp_be_liberal': 1,
    hashsize: 32_768,
  };
  assert.deepEqual(values(), expected);
  assert.equal(sysctl('net.ipv4.vs.conn_reuse_mode'), 1); // this kernel is newer than 5.8
  const told = first.lines.map(({ level, fields }) => [
    level,
    fields['sysctl'],
    fields['before'],
    fields['now'],
  ]);
  assert.deepEqual(
    told.find(([, name]) => name === 'net.netfilter.nf_conntrack_max'),
    ['info', 'net.netfilter.nf_conntrack_max', before['net.netfilter.nf_conntrack_max'], 131_072],
  );
  assert.equal(told.length, Object.keys(expected).length - 1);
  const second = await prepare(
    '--conntrack-udp-timeout-stream=150s',
    '--conntrack-tcp-be-liberal',
    '--ipvs-strict-arp',
  );
  assert.deepEqual(second.lines, []);
});

test('in another network namespace than the first the limit cannot be set: that is told, and the daemon goes on', () => {
  run('ip', 'netns', 'add', 'other');
  run('ip', 'netns', 'exec', 'other', 'ip', 'link', 'set', 'lo', 'up');
  const { status, stderr } = shell(`exec ip netns exec other ${daemon} --conntrack-min=140000`);
  assert.equal(status, 0, stderr);
  assert.match(
    stderr,
    /"level":"warn".*cannot set net\.netfilter\.nf_conntrack_max to 140000 \(it is 131072\): EACCES.*sysctl -w net\.netfilter\.nf_conntrack_max=140000, or leave it alone: conntrack\.maxPerCore: 0/,
  );
  assert.doesNotMatch(stderr, /nf_conntrack_buckets/);
  assert.match(stderr, /"sysctl":"net\.ipv4\.vs\.conntrack","before":0,"now":1/);
});

test('where /proc/sys is read-only, the daemon runs if all that it needs is set already', () => {
  const { status, stderr } = shell(`${readOnlySysctls} && exec ${daemon} --conntrack-udp-timeout=77s`);
  assert.equal(status, 0, stderr);
  assert.match(
    stderr,
    /cannot set net\.netfilter\.nf_conntrack_udp_timeout to 77 .*conntrack\.udpTimeout: 0s/,
  );
});

test('where /proc/sys is read-only and something needed differs, the daemon ends and names all of it', () => {
  run('sysctl', '-qw', 'net.ipv4.ip_forward=0', 'net.ipv4.vs.expire_nodest_conn=0');
  const { status, stderr } = shell(`${readOnlySysctls} && exec ${daemon}`);
  assert.equal(status, 1, stderr);
  assert.match(stderr, /kube-ipvs: cannot set net\.ipv4\.vs\.expire_nodest_conn to 1 \(it is 0\): EROFS/);
  assert.match(stderr, /cannot set net\.ipv4\.ip_forward to 1 .*sysctl -w net\.ipv4\.ip_forward=1/);
});

test('a plan changes no setting', () => {
  run('sysctl', '-qw', 'net.ipv4.ip_forward=0', 'net.netfilter.nf_conntrack_max=50000');
  const before = values();
  assert.equal(shell(`exec ${daemon} --dry-run`).status, 0);
  assert.deepEqual(values(), before);
});
