// lab: -m 2G
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ClusterNetwork } from '../support/cluster-network.js';
import { eventually } from '../support/daemon-process.js';
import { run, savedTable } from '../support/lab-guest.js';
import { ready, serviceObject, sliceObject } from '../support/objects.js';

// The container image, started by an OCI runtime as a node starts deploy/base: with which rights it serves, and what each right is for.

const work = mkdtempSync(join(tmpdir(), 'image-'));
const image = join(work, 'image.tar');
const manifest = join(work, 'world.json');
let network: ClusterNetwork;

/** The beginning of every call: on the node, with the manifest. */
const unpacked = ['--unpacked', join(work, 'unpacked')];
const container = [
  '--run',
  '--image',
  image,
  ...unpacked,
  '--namespace',
  'node',
  '--mount',
  `${manifest}:/world.json`,
];
const daemon = ['--proxy-mode=ipvs', '--source=/world.json'];

/** Where deploy/base has an emptyDir for the admin socket. */
const socketFolder = join(work, 'run');
const withSocket = ['--mount', `${socketFolder}:/run/kube-ipvs:rw`];

const start = (options: readonly string[], args: readonly string[]) => {
  const { status, stdout, stderr } = spawnSync('scripts/image', [...container, ...options, '--', ...args], {
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
};

const sysctl = (name: string): string => run('ip', 'netns', 'exec', 'node', 'sysctl', '-n', name).trim();
const clearKernel = (): void => {
  run('ip', 'netns', 'exec', 'node', 'sh', '-c', 'ipvsadm -C; ip link del kube-ipvs0; nft flush ruleset');
};

before(async () => {
  run('scripts/image', '--output', work);
  mkdirSync(socketFolder);
  chmodSync(socketFolder, 0o777);
  network = await ClusterNetwork.up(1);
  const items = [
    serviceObject('web', { clusterIPs: ['10.96.0.10'], ports: ['http:80/TCP'] }),
    sliceObject('web', [ready('10.244.0.11')], { ports: ['http:8080/TCP'] }),
  ];
  writeFileSync(manifest, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
});

after(() => network[Symbol.asyncDispose]());

test('inside it is a user other than root with NET_ADMIN alone, and nothing can be written', () => {
  const script = `
    const { readFileSync, writeFileSync } = require('node:fs');
    const refused = (path) => { try { writeFileSync(path, '1'); return 'written'; } catch ({ code }) { return code; } };
    const status = readFileSync('/proc/self/status', 'utf8');
    const field = (name) => status.match(new RegExp('^' + name + ':\\\\s+(\\\\S+)', 'm'))[1];
    console.log(JSON.stringify({
      user: field('Uid'),
      capabilities: ['CapPrm', 'CapEff', 'CapBnd'].map(field),
      writes: ['/file', '/tmp/file', '/usr/bin/node', '/proc/sys/net/ipv4/ip_forward'].map(refused),
    }));`;
  const { stdout, stderr } = start(['--command', '/usr/bin/node'], ['-e', script]);
  const netAdmin = '0000000000001000';
  assert.equal(
    stdout.trim(),
    JSON.stringify({
      user: '65532',
      capabilities: [netAdmin, netAdmin, netAdmin],
      writes: ['EROFS', 'EROFS', 'EROFS', 'EROFS'],
    }),
    stderr,
  );
});

test('both names of the program start', () => {
  for (const name of ['kube-ipvs', 'kube-proxy'])
    assert.match(start(['--command', `/usr/local/bin/${name}`], ['--version']).stdout, /0\.\d/);
});

test('an unpacked image is not read again', () => {
  const gone = join(work, 'gone.tar');
  const again = ['--run', '--image', gone, ...unpacked, '--', '--version'];
  assert.match(run('scripts/image', ...again), /0\.\d/);
  assert.throws(() => run('scripts/image', '--run', '--image', gone, '--', '--version'), /gone\.tar/);
});

test('without the kernel settings it says which are missing, and that it may not write them', () => {
  const { status, stderr } = start([], [...daemon, '--once']);
  assert.equal(status, 1, stderr);
  assert.match(stderr, /net\.ipv4\.vs\.conntrack.*EROFS/);
  assert.deepEqual(savedTable('node'), []);
});

test('--init-only in a privileged container sets them, and programs nothing', () => {
  assert.equal(sysctl('net.ipv4.vs.conntrack'), '0');
  const { status, stderr } = start(['--privileged'], [...daemon, '--init-only']);
  assert.equal(status, 0, stderr);
  assert.equal(sysctl('net.ipv4.vs.conntrack'), '1');
  assert.deepEqual(savedTable('node'), []);
});

test('after that it serves with NET_ADMIN alone, and ends by SIGTERM with its files removed', async () => {
  const child = spawn('scripts/image', [...container, ...withSocket, '--', ...daemon], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (log += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
  await eventually(() => assert.equal(savedTable('node').length, 2, log));
  assert.deepEqual(network.ask('client', 'tcp', '10.96.0.10', 80, 3), ['pod1', 'pod1', 'pod1'], log);
  assert.deepEqual(network.ask('node', 'tcp', '10.96.0.10', 80, 1), ['pod1'], log);

  // As kubectl exec asks: names are told over the socket, and a probe would get its exit status.
  const named = start(withSocket, [
    'dump',
    'default/web',
    '-o',
    'custom-columns=SERVICE:servicePort',
    '--no-headers',
  ]);
  assert.deepEqual([named.status, named.stdout.trim()], [0, 'default/web:http'], named.stderr);
  await eventually(() => {
    const probe = start(withSocket, ['status', '--quiet']);
    assert.deepEqual([probe.status, probe.stdout], [0, ''], probe.stderr);
  });
  assert.equal(start([], ['status', '--quiet']).status, 2);

  child.kill('SIGTERM');
  await once(child, 'close');
  assert.match(log, /SIGTERM/);
  assert.deepEqual(
    readdirSync(tmpdir()).filter((name) => name.startsWith('kube-ipvs-run-')),
    [],
  );
});

test('NET_ADMIN is necessary: without it the program does not start', () => {
  clearKernel();
  for (const capability of ['none', 'CAP_NET_RAW']) {
    const { status, stderr } = start(['--capability', capability], [...daemon, '--once']);
    assert.notEqual(status, 0);
    assert.match(stderr, /Operation not permitted/);
  }
  assert.deepEqual(savedTable('node'), []);
});

test('what the Containerfile copies is what the image holds, capability included', () => {
  const root = join(work, 'root');
  run('scripts/image', '--root', root);
  const script = 'console.log(fs.readFileSync("/proc/self/status", "utf8").match(/CapEff:\\s+(\\S+)/)[1])';
  run('mount', '-t', 'proc', 'proc', join(root, 'proc'));
  const effective = run('chroot', '--userspec=65532:65532', root, '/usr/bin/node', '-e', script).trim();
  run('umount', join(root, 'proc'));
  assert.equal(effective, '0000000000001000');
  const version = run('chroot', root, '/usr/local/bin/kube-proxy', '--version');
  assert.match(version, new RegExp(String(JSON.parse(readFileSync('package.json', 'utf8')).version)));
});
