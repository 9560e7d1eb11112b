import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, test } from 'node:test';
import { parseYaml } from '../../src/base/yaml.js';
import { main } from '../support/program.js';
import { eventually } from '../support/daemon-process.js';

// Runs in the lab: scripts/lab -- node --test build/test/kernel/dump.test.js

const run = (command: string, args: readonly string[], input = ''): string =>
  execFileSync(command, args, { encoding: 'utf8', input });
const ipvsadm = (...args: string[]): string => run('ipvsadm', args);
const dump = (...args: string[]) =>
  spawnSync(process.execPath, [main, 'dump', ...args], { encoding: 'utf8' });
const dumped = (...args: string[]): string => {
  const { status, stdout, stderr } = dump(...args);
  assert.equal(status, 0, stderr);
  return stdout;
};

const sortedLines = (text: string): readonly string[] =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .toSorted();

const commands = `
-A -t 10.96.0.1:443 -s rr -p 10800
-a -t 10.96.0.1:443 -r 10.200.0.1:6443 -m -w 1
-a -t 10.96.0.1:443 -r 10.200.0.2:6443 -m -w 0
-A -t 10.96.0.2:80 -s mh -b mh-port
-a -t 10.96.0.2:80 -r 10.244.0.3:8080 -m -w 1
-A -u 10.96.0.10:53 -s wlc -o
-a -u 10.96.0.10:53 -r 10.244.0.4:53 -g -w 7
-A -u [fd00:10:96::a]:53 -s sh -p 360
-a -u [fd00:10:96::a]:53 -r [fd00:10:244::4]:53 -m -w 1
-A -t [fd00:10:96::b]:80 -s lc
-A --sctp-service 10.96.0.3:9999 -s lc -p 60 -M 255.255.255.0
-a --sctp-service 10.96.0.3:9999 -r 10.244.0.5:9999 -i -w 1
-a --sctp-service 10.96.0.3:9999 -r 10.244.0.6:9999 -i -w 1 --tun-type gue --tun-port 6080 --tun-remcsum
-a --sctp-service 10.96.0.3:9999 -r 10.244.0.7:9999 -i -w 1 --tun-type gre --tun-csum
-A -f 5 -s rr
-a -f 5 -r 10.244.0.6:0 -g -w 1
-A -f 6 -6 -s rr
-a -f 6 -6 -r [fd00:10:244::6]:0 -g -w 1
`;

const program = (): void => {
  run('ipvsadm', ['-R'], commands.trimStart());
};

afterEach(() => {
  ipvsadm('-C');
  spawnSync('ip', ['link', 'delete', 'kube-ipvs0']);
});

test('ipvsadm format is what ipvsadm -Sn prints, and ipvsadm -R restores the table from it', () => {
  program();
  const before = ipvsadm('-Sn');
  const text = dumped('-o', 'ipvsadm');
  assert.deepEqual(sortedLines(text), sortedLines(before));
  assert.ok(sortedLines(text).length >= 15);
  ipvsadm('-C');
  run('ipvsadm', ['-R'], text);
  assert.deepEqual(sortedLines(ipvsadm('-Sn')), sortedLines(before));
});

test('thresholds survive dump and restore, which those of ipvsadm -S do not', () => {
  ipvsadm('-A', '-t', '10.96.0.1:80', '-s', 'lc');
  ipvsadm('-a', '-t', '10.96.0.1:80', '-r', '10.244.0.3:80', '-m', '-x', '100', '-y', '80');
  const text = dumped('-o', 'ipvsadm');
  ipvsadm('-C');
  run('ipvsadm', ['-R'], text);
  assert.match(ipvsadm('-Ln', '--thresholds'), /10\.244\.0\.3:80 +100 +80 /);
});

test('JSON and YAML hold the table and the addresses on kube-ipvs0', () => {
  program();
  run('ip', ['link', 'add', 'kube-ipvs0', 'type', 'dummy']);
  run('ip', ['address', 'add', '10.96.0.1/32', 'dev', 'kube-ipvs0']);
  run('ip', ['-6', 'address', 'add', 'fd00:10:96::a/128', 'dev', 'kube-ipvs0']);
  const json = JSON.parse(dumped('-o', 'json', '--stats', '--rate')) as {
    readonly virtualServers: Readonly<Record<string, object>>;
    readonly dummyAddresses: readonly string[];
  };
  assert.deepEqual(json.dummyAddresses, ['10.96.0.1/32', 'fd00:10:96::a/128']);
  const none = { connections: 0, inPackets: 0, outPackets: 0, inBytes: 0, outBytes: 0 };
  const idle = { connections: { active: 0, inactive: 0, persistent: 0 }, statistics: none, perSecond: none };
  assert.deepEqual(json.virtualServers['TCP 10.96.0.1:443'], {
    scheduler: 'rr',
    persistent: 10800,
    statistics: none,
    perSecond: none,
    realServers: {
      '10.200.0.1:6443': { weight: 1, forwarding: 'masquerade', ...idle },
      '10.200.0.2:6443': { weight: 0, forwarding: 'masquerade', ...idle },
    },
  });
  assert.deepEqual(Object.keys(json.virtualServers), [
    'TCP 10.96.0.1:443',
    'TCP 10.96.0.2:80',
    'SCTP 10.96.0.3:9999',
    'UDP 10.96.0.10:53',
    'UDP [fd00:10:96::a]:53',
    'TCP [fd00:10:96::b]:80',
    'FWM 5 IPv4',
    'FWM 6 IPv6',
  ]);
  assert.deepEqual(parseYaml(dumped('-o', 'yaml', '--stats', '--rate'))[0]?.value, json);
});

test('a target narrows to its virtual servers', () => {
  program();
  ipvsadm('-A', '-t', '10.96.0.10:53', '-s', 'rr');
  const lines = (...args: string[]): number =>
    dumped('--no-headers', ...args)
      .trimEnd()
      .split('\n').length;
  assert.equal(lines('10.96.0.10'), 4);
  assert.equal(lines('[fd00:10:96::a]:53'), 2);
  assert.equal(lines('10.96.0.1:443'), 3);
  const nothing = dump('10.96.0.1:444');
  assert.equal(nothing.status, 1);
  assert.match(nothing.stderr, /virtual server at 10\.96\.0\.1:444 not found/);
  assert.equal(nothing.stdout, '');
});

test('the table for people shows the state of the kernel', () => {
  program();
  assert.equal(
    dumped('10.96.0.1'),
    [
      'SERVER               SCHEDULER             WEIGHT  ACTIVE  INACTIVE',
      'TCP 10.96.0.1:443    rr persistent 10800s               0         0',
      '  → 10.200.0.1:6443                             1       0         0',
      '  → 10.200.0.2:6443                             0       0         0',
      '',
    ].join('\n'),
  );
});

test('an empty table says so on standard error, and is an empty table in every format', () => {
  for (const format of ['table', 'wide', 'ipvsadm']) {
    const { status, stdout, stderr } = dump('-o', format);
    assert.deepEqual([status, stdout], [0, '']);
    assert.match(stderr, /the IPVS table is empty/);
  }
  assert.deepEqual(JSON.parse(dump('-o', 'json').stdout), { virtualServers: {}, dummyAddresses: [] });
});

test('without CAP_NET_ADMIN it says what is missing and how to get it', () => {
  const dropped = ['--bounding-set=-net_admin', '--inh-caps=-net_admin', process.execPath, main, 'dump'];
  const { status, stderr, stdout } = spawnSync('setpriv', dropped, { encoding: 'utf8' });
  assert.equal(status, 1);
  assert.equal(stdout, '');
  assert.match(
    stderr,
    /IPVS needs the capability CAP_NET_ADMIN in the user namespace that owns this network: run as root/,
  );
});

test('--watch prints the table, then what changes, and ends cleanly when it is told to', async () => {
  program();
  const child = spawn(process.execPath, [main, 'dump', '-w', '10.96.0.2'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  await eventually(() => assert.match(output, /^SERVER.*\n.*\n {2}→ 10\.244\.0\.3:8080 .*\n$/));
  ipvsadm('-e', '-t', '10.96.0.2:80', '-r', '10.244.0.3:8080', '-m', '-w', '0');
  await eventually(() =>
    assert.match(
      output,
      /\n\d\d:\d\d:\d\d {2}changed {2}TCP 10\.96\.0\.2:80 → 10\.244\.0\.3:8080 {2}weight 0 {2}forwarding masquerade\n$/,
    ),
  );
  child.kill('SIGINT');
  assert.deepEqual(await once(child, 'close'), [0, null]);
});
