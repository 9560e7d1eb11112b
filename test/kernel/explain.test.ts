import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { AdminClient } from '../../src/cli/admin/admin-client.js';
import { main } from '../support/program.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { runLine } from '../support/lab-guest.js';
import { local, notReady, ready, serviceObject, sliceObject, thisNode } from '../support/objects.js';

// `kube-ipvs explain` beside a daemon, for what is well and for what is not. Its texts are in test/fixtures/explain.

const golden = fileURLToPath(new URL('../../../test/fixtures/explain', import.meta.url));
// Its name is in the texts.
const scratch = '/tmp/kube-ipvs-explain';
mkdirSync(scratch, { recursive: true });
const manifests = join(scratch, 'manifests.json');
const path = join(scratch, 'admin.sock');
const client = new AdminClient(path);

const rollingEndpoints = [
  { ...local(ready('192.0.2.10')), pod: 'rolling-1' },
  { ...ready('10.244.2.7'), pod: 'rolling-2' },
];

const write = (rolling: readonly ReturnType<typeof ready>[]): void => {
  const items = [
    serviceObject('web', {
      type: 'NodePort',
      clusterIPs: ['10.96.0.1', 'fd00:10:96::1'],
      ipFamilies: ['IPv4', 'IPv6'],
      externalTrafficPolicy: 'Local',
      externalIPs: ['198.51.100.80'],
      ports: ['http:80@30080'],
    }),
    sliceObject(
      'web',
      [
        { ...local(ready('10.244.1.1')), pod: 'web-1', zone: 'a' },
        { ...ready('10.244.2.1'), pod: 'web-2', zone: 'b' },
        { ...notReady('10.244.2.2'), pod: 'web-3', zone: 'b' },
      ],
      { ports: ['http:8080'] },
    ),
    sliceObject('web', [{ ...local(ready('fd00:10:244:1::1')), pod: 'web-1', zone: 'a' }], {
      ports: ['http:8080'],
      family: 'IPv6',
      suffix: 'ipv6',
    }),
    serviceObject('shop/web', { clusterIP: '10.96.0.2' }),
    sliceObject('shop/web', [{ ...notReady('10.244.2.9'), pod: 'web-9' }], { ports: [':8080'] }),
    serviceObject('rolling', { clusterIP: '10.96.0.3' }),
    sliceObject('rolling', rolling, { ports: [':8080'] }),
    serviceObject('mine', { clusterIP: '10.96.0.4' }),
    sliceObject('mine', [{ ...ready('10.244.2.4'), pod: 'mine-1' }], { ports: [':8080'] }),
    serviceObject('none', { clusterIP: '10.96.0.5' }),
    serviceObject('elsewhere', {
      clusterIP: '10.96.0.6',
      type: 'LoadBalancer',
      externalTrafficPolicy: 'Local',
      ports: [':80@30086'],
      ingress: [{ ip: '203.0.113.6' }],
      loadBalancerSourceRanges: ['172.31.0.0/24'],
    }),
    sliceObject('elsewhere', [{ ...ready('10.244.2.6'), pod: 'elsewhere-1' }], { ports: [':8080'] }),
  ];
  writeFileSync(`${manifests}.new`, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  renameSync(`${manifests}.new`, manifests);
};

const explain = (...args: readonly string[]) =>
  spawnSync(process.execPath, [main, 'explain', '--admin-socket', path, ...args], { encoding: 'utf8' });

/** What differs from run to run and from kernel to kernel is left out: ages, and the settings of this node. */
const normalised = (text: string): string =>
  text
    .replaceAll(/^Node\n(?: .*\n)+\n/gm, '')
    .replaceAll(/\bkube-ipvs (?:\d+\.\d+\.\d+\S*|development) on n1\b/g, 'kube-ipvs VERSION on n1')
    .replaceAll(/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, 'TIME');

/** Explains, and compares with the text that is kept; KUBE_IPVS_SHOW_TEXTS=1 shows the texts instead, as `node build/test/support/explain-texts.js` takes them. */
const tells = (name: string, status: number, ...args: readonly string[]): void => {
  const answer = explain(...args);
  const text = normalised(answer.stdout);
  assert.equal(answer.status, status, answer.stdout + answer.stderr);
  if (process.env['KUBE_IPVS_SHOW_TEXTS'] === undefined)
    assert.equal(text, readFileSync(join(golden, `${name}.txt`), 'utf8'));
  else process.stdout.write(`TEXT ${JSON.stringify([name, text])}\n`);
};

let daemon: DaemonProcess;
before(async () => {
  for (const line of [
    'ip link set lo up',
    'ip link add eth0 type dummy',
    'ip address add 192.0.2.10/24 dev eth0',
    'ip address add fd00:192::10/64 dev eth0 nodad',
    'ip link set eth0 up',
    'ip route add default via 192.0.2.1',
    'sysctl -w net.ipv6.conf.all.forwarding=1',
    'ipvsadm -A -t 10.96.0.4:80 -s wlc',
    'ipvsadm -a -t 10.96.0.4:80 -r 192.0.2.77:80 -m',
  ])
    runLine(line);
  write(rollingEndpoints);
  daemon = new DaemonProcess([
    `--source=${manifests}`,
    `--hostname-override=${thisNode}`,
    `--admin-socket=${path}`,
    '--cluster-cidr=10.244.0.0/16,fd00:10:244::/48',
    '--ipvs-sync-period=1h',
  ]);
  await eventually(async () => assert.equal((await client.status()).synced, true));
});
after(async () => daemon.stop());

test('a Service without problems has a verdict without problems', () => {
  tells('well', 0, 'default/web');
  tells('ipv6', 0, '[fd00:10:96::1]:80', '--from', 'outside');
});

test('a packet is traced from outside, from a pod and from the node', () => {
  tells('from-outside', 0, ':30080', '--from', 'outside=172.31.0.7');
  tells('from-pod', 0, 'TCP 10.96.0.1:80', '--from', '10.244.1.1');
  tells('from-node', 0, '10.96.0.1', '--from', 'node');
});

test('without ready endpoints the verdict names a pod to look at; without any the selector', () => {
  tells('none-ready', 1, 'shop/web', '--from', 'pod');
  tells('no-endpoints', 1, 'svc/none', '-n', 'default');
});

test('traffic policy Local without an endpoint here, and source ranges', () => {
  tells('local-elsewhere', 0, 'elsewhere', '--from', 'outside');
});

test('the report of a pod that is not ready says why it gets no connections', () => {
  tells('pod', 1, 'pod/web-3', '-n', 'default');
});

test('a virtual server that another program created is contested', () => {
  tells('contested', 1, 'default/mine');
});

test('a draining real server is listed with its reason', async () => {
  const server = createServer((socket) => socket.resume()).listen(8080, '192.0.2.10');
  await once(server, 'listening');
  // One of them goes to the endpoint that is here.
  const sockets = [1, 2].map(() => connect(80, '10.96.0.3').on('error', () => {}));
  await eventually(() => assert.match(runLine('ipvsadm -Ln'), /192\.0\.2\.10:8080\s+\S+\s+1\s+1\s/));
  write(rollingEndpoints.slice(1));
  await eventually(async () => {
    const { report } = await client.service('default', 'rolling');
    const known = report?.virtualServers[0]?.realServers['192.0.2.10:8080'];
    assert.notEqual(known?.drain, undefined);
  });
  const { stdout } = explain('rolling');
  for (const socket of sockets) socket.destroy();
  server.close();
  assert.match(stdout, /192\.0\.2\.10:8080 {2}rolling-1 {2}draining \w+, 1\dm\w* left \(gone\)/);
  assert.match(stdout, /2 active and 0 inactive connections[^]*Verdict: ✓ no problems found/);
});

test('changes of the kernel behind the daemon are listed as differences', () => {
  runLine('ipvsadm -e -t 10.96.0.1:80 -r 10.244.1.1:8080 -m -w 7');
  runLine('ipvsadm -d -t 10.96.0.1:80 -r 10.244.2.1:8080');
  runLine('ipvsadm -a -t 10.96.0.1:80 -r 192.0.2.99:80 -m');
  runLine('ipvsadm -D -t 198.51.100.80:80');
  tells('changed', 1, 'default/web');
});

test('a wrong setting of the node is the verdict if there is no other problem', () => {
  runLine('sysctl -w net.ipv4.vs.expire_nodest_conn=0');
  const { stdout, status } = explain('[fd00:10:96::1]:80');
  assert.match(stdout, /✗ expire-nodest-conn: net\.ipv4\.vs\.expire_nodest_conn is 0\./);
  assert.match(
    stdout,
    /Verdict: ✗ 1 error\n {2}expire-nodest-conn[^]*\n {6}sysctl -w net\.ipv4\.vs\.expire_nodest_conn=1\n/,
  );
  assert.equal(status, 1);
  runLine('sysctl -w net.ipv4.vs.expire_nodest_conn=1');
});

test('JSON has the same checks, the trace, and the facts', () => {
  const { stdout } = explain('shop/web', '--from', 'pod', '-o', 'json');
  const report = JSON.parse(stdout) as {
    readonly version: number;
    readonly stories: readonly {
      readonly subject: string;
      readonly verdict: { readonly mark: string };
      readonly traces: readonly { readonly end: string }[];
      readonly service: { readonly service: { readonly name: string } };
      readonly kernel: { readonly virtualServers: object };
    }[];
  };
  const [story] = report.stories;
  assert.deepEqual(
    [report.version, story?.subject, story?.verdict.mark, story?.traces.map(({ end }) => end)],
    [1, 'shop/web', 'fail', ['refused']],
  );
  assert.equal(story?.service.service.name, 'shop/web');
  assert.deepEqual(Object.keys(story?.kernel.virtualServers ?? {}), ['TCP 10.96.0.2:80']);
});

test('several Services of a name are listed, for an unknown name a similar one is suggested', () => {
  const several = explain('web');
  assert.equal(several.status, 1);
  assert.match(
    several.stderr,
    /"web" matches 2 Services[^]*kube-ipvs explain default\/web [^]*kube-ipvs explain shop\/web /,
  );
  const wrong = explain('default/wbe');
  assert.equal(wrong.status, 1);
  assert.match(wrong.stderr, /Did you mean default\/web\?/);
  const nowhere = explain('192.0.2.200:99');
  assert.equal(nowhere.status, 1);
  assert.match(nowhere.stderr, /target "192\.0\.2\.200:99" not found/);
  assert.equal(explain('web', '--from', 'anyone').status, 2);
});

test('without the daemon an address is explained by the kernel alone, and a name is rejected', async () => {
  assert.equal(await daemon.stop(), 0);
  tells('without-daemon', 0, '10.96.0.2:80', '--from', 'pod');
  const named = explain('default/web');
  assert.equal(named.status, 1);
  assert.match(named.stderr, /Without the daemon, explain accepts only an address or a node port/);
});
