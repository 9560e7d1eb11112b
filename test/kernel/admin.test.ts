import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { AdminClient, DaemonUnavailableError } from '../../src/cli/admin/admin-client.js';
import { main } from '../support/program.js';
import { responseProblems } from '../support/response-shapes.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { runLine } from '../support/lab-guest.js';
import { local, notReady, ready, serviceObject, sliceObject, thisNode } from '../support/objects.js';
import { readableProgram } from '../support/readable-program.js';

// The admin socket of a daemon that runs as a process of its own.

const scratch = mkdtempSync(join(tmpdir(), 'kube-ipvs-admin-'));
const manifests = join(scratch, 'manifests.json');
const path = join(scratch, 'run/admin.sock');

writeFileSync(
  manifests,
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'List',
    items: [
      serviceObject('web', {
        type: 'NodePort',
        clusterIP: '10.96.0.1',
        externalIPs: ['192.0.2.80'],
        ports: ['http:80@30080'],
      }),
      sliceObject(
        'web',
        [
          { ...local(ready('10.244.1.1')), pod: 'web-1', zone: 'a' },
          { ...ready('10.244.2.1'), pod: 'web-2' },
          { ...notReady('10.244.2.2'), pod: 'web-3' },
        ],
        { ports: ['http:8080'] },
      ),
    ],
  }),
);
for (const line of [
  'ip link set lo up',
  'ip link add eth0 type dummy',
  'ip address add 192.0.2.10/24 dev eth0',
  'ip link set eth0 up',
])
  runLine(line);

const start = (...flags: readonly string[]): DaemonProcess =>
  new DaemonProcess([
    `--source=${manifests}`,
    `--hostname-override=${thisNode}`,
    `--admin-socket=${path}`,
    ...flags,
  ]);
const client = new AdminClient(path);
const synced = () =>
  eventually(async () => assert.equal((await client.status()).synced, true, 'no sync has ended'));

test('a daemon tells its state on a socket that only its user may use, and takes it away at the end', async () => {
  await using daemon = start();
  await synced();
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(join(scratch, 'run')).mode & 0o777, 0o700);
  const status = await client.status();
  assert.deepEqual(
    [status.pid, status.node, status.healthy, status.source, status.refused, status.counts.services],
    [daemon.pid, thisNode, true, { name: `manifests ${manifests}`, manifests, delivered: true }, [], 1],
  );
  assert.deepEqual(status.packetRules, { IPv4: { inForce: true }, IPv6: { inForce: true } });
  assert.equal((status.lastSync?.applied ?? 0) > 10, true);
  assert.deepEqual((await client.virtualServers({ address: '10.96.0.1' })).virtualServers, {
    'TCP 10.96.0.1:80': {
      service: 'default/web',
      port: { name: 'http', port: 80 },
      frontend: 'ClusterIP',
      realServers: {
        '10.244.1.1:8080': { pod: 'default/web-1', node: 'n1', zone: 'a', state: 'ready' },
        '10.244.2.1:8080': { pod: 'default/web-2', node: 'n2', state: 'ready' },
      },
    },
  });
  assert.deepEqual((await client.plan()).operations, []);
  const wanted = await client.desired();
  assert.deepEqual(wanted.dummyAddresses, ['10.96.0.1/32', '192.0.2.80/32']);
  const { report } = await client.service('default', 'web');
  assert.deepEqual(
    report?.endpoints.map(({ realServer, cluster, local: near }) => [
      realServer,
      cluster.reason,
      near.reason,
    ]),
    [
      ['10.244.1.1:8080', 'ready', 'ready'],
      ['10.244.2.1:8080', 'ready', 'on-another-node'],
      ['10.244.2.2:8080', 'not-ready', 'on-another-node'],
    ],
  );
  for (const [name, answer] of Object.entries({
    StatusResponse: status,
    VirtualServersResponse: await client.virtualServers(),
    PlanResponse: await client.plan(),
    DesiredResponse: wanted,
    ServiceReportResponse: report,
    LookupResponse: await client.lookUp('10.96.0.1'),
    TargetsResponse: await client.targets('default/'),
  }))
    assert.deepEqual(responseProblems(name, answer), []);
  assert.equal(await daemon.stop(), 0);
  assert.equal(existsSync(path), false);
  await assert.rejects(client.status(), DaemonUnavailableError);
});

test('curl gets JSON; nothing but GET is answered, and a wrong question gets an error', async () => {
  await using _daemon = start();
  await synced();
  const curl = (...args: readonly string[]): { readonly body: string; readonly status: string } => {
    const output = runLine(`curl -s --unix-socket ${path} -w \\n%{http_code} ${args.join(' ')}`);
    const at = output.trimEnd().lastIndexOf('\n');
    return { body: output.slice(0, at).trim(), status: output.slice(at + 1).trim() };
  };
  assert.deepEqual(JSON.parse(curl('http://localhost/v1/lookup?q=30080').body), {
    version: 1,
    query: '30080',
    matches: [{ service: 'default/web', because: 'node port 30080', matched: 'node-port' }],
  });
  assert.deepEqual(
    [
      curl('-X', 'POST', 'http://localhost/v1/status').status,
      curl('http://localhost/v2').status,
      curl('http://localhost/v1/services/default/none').status,
      curl('http://localhost/v1/virtual-servers?address=x').status,
    ],
    ['405', '404', '404', '400'],
  );
});

test('a socket that a killed daemon left is replaced', async () => {
  const first = start();
  await synced();
  await first.stop('SIGKILL');
  assert.equal(existsSync(path), true);
  await assert.rejects(client.status(), /connection refused/);
  await using second = start();
  await eventually(async () => assert.equal((await client.status()).pid, second.pid));
});

test('a second daemon serves the socket when the first has ended', async () => {
  await using first = start();
  await synced();
  await using second = start();
  await eventually(() => assert.match(second.log, /"waiting-for-other-daemon"/));
  assert.equal((await client.status()).pid, first.pid);
  await first.stop();
  await eventually(async () => assert.equal((await client.status()).pid, second.pid));
});

test('where another process serves the socket the daemon works without, and takes over when that process ends', async () => {
  mkdirSync(dirname(path), { recursive: true });
  rmSync(path, { force: true });
  const other = createServer((socket) => socket.destroy()).listen(path);
  await once(other, 'listening');
  await using daemon = start();
  try {
    await eventually(() => assert.match(daemon.log, /another process serves .*admin\.sock/));
    await eventually(() => assert.match(daemon.log, /"manifests-read"/));
  } finally {
    other.close();
  }
  await eventually(async () => assert.equal((await client.status()).pid, daemon.pid));
});

test('what is somebody else’s is left alone, and the daemon works without', async () => {
  mkdirSync(join(scratch, 'other'), { recursive: true });
  const file = join(scratch, 'other/admin.sock');
  writeFileSync(file, 'precious');
  await using daemon = start(`--admin-socket=${file}`);
  await eventually(() => assert.match(daemon.log, /exists and is not a socket/));
  await eventually(() => assert.match(runLine('ipvsadm -Ln'), /10\.96\.0\.1:80/));
  assert.equal(await daemon.stop(), 0);
  assert.equal(statSync(file).size, 8);
});

test('where the directory may not be made the daemon tells once what to do, and works without', async () => {
  await using daemon = start('--admin-socket=/sys/kube-ipvs/admin.sock');
  await eventually(() => assert.match(daemon.log, /admin-socket-unavailable[^]*manifests-read/));
  assert.equal(await daemon.stop(), 0);
  const told = daemon.log.split('\n').filter((line) => line.includes('"admin-socket-unavailable"'));
  assert.equal(told.length, 1, daemon.log);
  assert.match(
    told[0] ?? '',
    /"remedy":"Give user 0 a directory \/sys\/kube-ipvs .*emptyDir.*--admin-socket=PATH/,
  );
});

test('a socket that another process put in its place is not taken away', async () => {
  await using daemon = start();
  await synced();
  runLine(`rm ${path}`);
  const other = createServer().listen(path);
  await once(other, 'listening');
  assert.equal(await daemon.stop(), 0);
  assert.equal(existsSync(path), true);
  other.close();
});

test('a user that is not root serves it in a directory of its own', async () => {
  const folder = join(scratch, 'theirs');
  mkdirSync(folder);
  chmodSync(scratch, 0o755);
  chmodSync(folder, 0o1777);
  const own = join(folder, 'admin.sock');
  const child = spawn(
    'setpriv',
    [
      '--reuid=65532',
      '--regid=65532',
      '--clear-groups',
      '--inh-caps=+net_admin',
      '--ambient-caps=+net_admin',
      ...readableProgram(),
      'run',
      `--source=${manifests}`,
      '--hostname-override=n1',
      `--admin-socket=${own}`,
    ],
    { stdio: 'ignore' },
  );
  try {
    await eventually(async () => assert.equal((await new AdminClient(own).status()).synced, true));
    const { uid, mode } = statSync(own);
    assert.deepEqual([uid, mode & 0o777], [65_532, 0o600]);
  } finally {
    child.kill();
    await once(child, 'close');
  }
  assert.equal(existsSync(own), false);
});

const dump = (...args: readonly string[]) =>
  spawnSync(process.execPath, [main, 'dump', ...args], {
    encoding: 'utf8',
    env: { ...process.env, KUBE_IPVS_ADMIN_SOCKET: path },
  });
const dumped = (...args: readonly string[]): string => {
  const { status, stdout, stderr } = dump(...args);
  assert.equal(status, 0, stderr);
  return stdout;
};

test('dump knows names where a daemon runs, by Service, pod and namespace, and says so where none does', async () => {
  await using daemon = start();
  await synced();
  const web = [
    'SERVER               SERVICE, POD      FRONTEND, NODE  SCHEDULER  WEIGHT  ACTIVE  INACTIVE',
    'TCP 10.96.0.1:80     default/web:http  ClusterIP       rr                      0         0',
    '  → 10.244.1.1:8080    default/web-1     n1                            1       0         0',
    '  → 10.244.2.1:8080    default/web-2     n2                            1       0         0',
  ];
  assert.equal(dumped('10.96.0.1'), `${web.join('\n')}\n`);
  const keys = 'TCP 10.96.0.1:80\nTCP 192.0.2.10:30080\nTCP 192.0.2.80:80\n';
  for (const args of [['default/web'], ['svc/web:http'], ['pod/web-2'], ['default/web-1'], ['-n', 'default']])
    assert.equal(dumped('-o', 'name', ...args), keys, args.join(' '));
  assert.equal(
    dumped('-o', 'custom-columns=AT:server,BY:frontend', '--no-headers', 'default/web'),
    [
      'TCP 10.96.0.1:80      ClusterIP',
      'TCP 192.0.2.10:30080  NodePort',
      'TCP 192.0.2.80:80     ExternalIP',
      '',
    ].join('\n'),
  );
  for (const of of [[], ['--rules'], ['--connections']]) {
    const { status, stdout, stderr } = dump(...of, 'default/wbe');
    assert.deepEqual(
      [status, stdout, stderr],
      [1, '', 'kube-ipvs: Service or pod default/wbe not found. Did you mean default/web?\n'],
    );
  }
  assert.match(dumped('--rules', 'default/web'), /elements = \{ 192\.0\.2\.10 \. tcp \. 30080/);
  await daemon.stop();
  const without = dump('10.96.0.1');
  assert.equal(without.status, 0);
  assert.match(
    without.stderr,
    /^No names: cannot connect to the kube-ipvs daemon at .*admin\.sock: no such file/,
  );
  assert.match(without.stdout, /^SERVER +SCHEDULER +WEIGHT/);
});
