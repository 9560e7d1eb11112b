import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { writeKubeIpvsConfig } from '../support/kube-ipvs-config.js';
import { runLine } from '../support/lab-guest.js';
import { LastingConnection, NodePair, type PairedNode } from '../support/node-pair.js';
import { ready, serviceObject, sliceObject } from '../support/objects.js';

// Two nodes synchronize their connections; the client's packets move from one to the other, as with an announced address.

const folder = mkdtempSync(join(tmpdir(), 'connections-'));
const ports = ['http:8080/TCP'];
const http = { ports: ['http:80/TCP'] };

/** Requests to these are not masqueraded: no pod network is configured. The pod answers through the node that leads the client. */
const plain = { name: 'plain', addresses: ['10.96.0.1', 'fd00:96::1'] } as const;
const affine = { name: 'affine', addresses: ['203.0.113.2'] } as const;
const sticky = { name: 'sticky', addresses: ['203.0.113.5'] } as const;
const masqueraded = { name: 'masqueraded', addresses: ['203.0.113.3'] } as const;
const local = { name: 'local', addresses: ['203.0.113.4'] } as const;

/** mh would choose the same pod on both nodes anyway. */
const withAffinity = ({ name, addresses: [ip] }: typeof affine | typeof sticky): readonly object[] => [
  serviceObject(name, {
    ...http,
    type: 'LoadBalancer',
    clusterIPs: [ip.replace('203.0.113', '10.96.1')],
    ingress: [{ ip }],
    sessionAffinity: 'ClientIP',
    annotations: { 'ipvs.kube-ipvs.dev/scheduler': 'rr' },
  }),
  sliceObject(name, [ready('10.244.2.10'), ready('10.244.3.10')], { ports }),
];

const items = [
  ...withAffinity(affine),
  ...withAffinity(sticky),
  serviceObject(plain.name, { ...http, clusterIPs: plain.addresses, ipFamilies: ['IPv4', 'IPv6'] }),
  sliceObject(plain.name, [ready('10.244.3.10')], { ports }),
  sliceObject(plain.name, [ready('fd00:244:3::10')], { ports, family: 'IPv6', suffix: 'v6' }),
  serviceObject(local.name, {
    ...http,
    type: 'LoadBalancer',
    clusterIPs: ['10.96.0.4'],
    externalTrafficPolicy: 'Local',
    healthCheckNodePort: 31_000,
    ingress: [{ ip: local.addresses[0] }],
  }),
  sliceObject(local.name, [ready('10.244.2.10', { on: 'node2' })], { ports }),
  serviceObject(masqueraded.name, {
    ...http,
    type: 'LoadBalancer',
    clusterIPs: ['10.96.0.3'],
    ingress: [{ ip: masqueraded.addresses[0] }],
  }),
  sliceObject(masqueraded.name, [ready('10.244.2.10')], { ports }),
];

let pair: NodePair;
let daemons: Readonly<Record<PairedNode, DaemonProcess>>;

const config = join(folder, 'config.yaml');
const configure = (...fields: readonly string[]): void =>
  writeKubeIpvsConfig(config, `connectionSync: {${['interface: sync0', 'group: 7', ...fields].join(', ')}}`);

const start = (node: PairedNode): DaemonProcess => {
  const manifest = join(folder, 'world.json');
  writeFileSync(manifest, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  // A node that a connection returns to has not seen part of its packets.
  const flags = [
    '--ipvs-scheduler=mh',
    '--conntrack-tcp-be-liberal',
    `--hostname-override=${node}`,
    `--admin-socket=/run/${node}.sock`,
  ];
  return new DaemonProcess([`--source=${manifest}`, `--config=${config}`, ...flags], { namespace: node });
};

/** The connections that the node has from others, `CLIENT_PORT STATE`, as the kernel prints both. */
const synchronized = (node: PairedNode): readonly string[] =>
  runLine(`ip netns exec ${node} cat /proc/net/ip_vs_conn_sync`)
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[8] === 'SYNC')
    .map(([, , port = '', , , , , state = '']) => `${Number.parseInt(port, 16)} ${state}`);

const expectSynchronized = ({ localPort }: LastingConnection, node: PairedNode): Promise<void> =>
  eventually(() =>
    assert.ok(synchronized(node).includes(`${localPort} ESTABLISHED`), synchronized(node).join('\n')),
  );

before(async () => {
  pair = await NodePair.up();
  configure();
  daemons = { node1: start('node1'), node2: start('node2') };
  for (const daemon of Object.values(daemons))
    await eventually(() =>
      assert.equal(daemon.log.match(/"event":"connection-sync-started"/g)?.length, 2, daemon.log),
    );
});

after(async () => {
  for (const daemon of Object.values(daemons)) await daemon[Symbol.asyncDispose]();
  await pair[Symbol.asyncDispose]();
});

test('an open connection continues on the other node when its address moves, and back', async () => {
  for (const address of plain.addresses) {
    pair.lead(address, 'node1');
    await using connection = LastingConnection.open('client', address, 80);
    assert.equal(await connection.ask(), 'pod3');
    await expectSynchronized(connection, 'node2');
    for (const node of ['node2', 'node1'] as const) {
      pair.lead(address, node);
      for (let request = 0; request < 3; request += 1)
        assert.equal(await connection.ask(), 'pod3', `${address} through ${node}`);
    }
  }
});

test('without synchronization the same connection ends', async () => {
  const [address] = plain.addresses;
  pair.lead(address, 'node1');
  await using connection = LastingConnection.open('client', address, 80);
  assert.equal(await connection.ask(), 'pod3');
  await expectSynchronized(connection, 'node2');
  runLine('ip netns exec node2 ipvsadm --stop-daemon backup');
  await using late = LastingConnection.open('client', address, 80);
  assert.equal(await late.ask(), 'pod3');
  pair.lead(address, 'node2');
  assert.equal(await connection.ask(), 'pod3');
  assert.equal(await late.ask(), 'ECONNRESET');
  await eventually(() =>
    assert.match(runLine('ip netns exec node2 ipvsadm -L --daemon'), /backup sync daemon/),
  );
});

test('a connection that is masqueraded does not survive the move: the other node has another address', async () => {
  const [address] = masqueraded.addresses;
  pair.lead(address, 'node1');
  await using connection = LastingConnection.open('client', address, 80);
  assert.equal(await connection.ask(), 'pod2');
  await expectSynchronized(connection, 'node2');
  pair.lead(address, 'node2');
  assert.equal(await connection.ask(), 'ECONNRESET');
});

test('a connection to a pod of the node that took it in does not survive either: that node tracks it twice', async () => {
  const [address] = local.addresses;
  pair.lead(address, 'node2');
  await using connection = LastingConnection.open('client', address, 80);
  assert.equal(await connection.ask(), 'pod2');
  await expectSynchronized(connection, 'node1');
  pair.lead(address, 'node1');
  assert.equal(await connection.ask(), 'ECONNRESET');
});

/** Connects through node1: another client first, so that the scheduler does not give our client the pod that it begins with. */
const connectSecond = async (address: string): Promise<readonly [LastingConnection, string]> => {
  await using first = LastingConnection.open('pod1', address, 80);
  const firstPod = await first.ask();
  const connection = LastingConnection.open('client', address, 80);
  const pod = await connection.ask();
  assert.notEqual(pod, firstPod);
  return [connection, pod];
};

const expectPod = async (address: string, pod: string): Promise<void> => {
  for (let request = 0; request < 6; request += 1) {
    await using connection = LastingConnection.open('client', address, 80);
    assert.equal(await connection.ask(), pod);
  }
};

const expectAffinityOnly = (value: '0' | '1'): Promise<void> =>
  eventually(() => {
    for (const node of ['node1', 'node2'])
      assert.equal(runLine(`ip netns exec ${node} sysctl -n net.ipv4.vs.sync_persist_mode`).trim(), value);
  });

test('with affinityOnly the affinity is synchronized, and single connections of that Service are not', async () => {
  configure('affinityOnly: true');
  await expectAffinityOnly('1');
  const [plainAddress] = plain.addresses;
  const [address] = sticky.addresses;
  for (const each of [plainAddress, address]) pair.lead(each, 'node1');
  const [connection, pod] = await connectSecond(address);
  await using _first = connection;
  await using other = LastingConnection.open('client', plainAddress, 80);
  assert.equal(await other.ask(), 'pod3');
  await expectSynchronized(other, 'node2');
  assert.deepEqual(
    synchronized('node2').filter((line) => line.startsWith(`${connection.localPort} `)),
    [],
  );
  pair.lead(address, 'node2');
  await expectPod(address, pod);
  configure();
  await expectAffinityOnly('0');
});

test('open connections and the affinity of clients survive the death of the node that took them in', async () => {
  const [address] = plain.addresses;
  const [affineAddress] = affine.addresses;
  for (const each of [address, affineAddress]) pair.lead(each, 'node1');
  await using connection = LastingConnection.open('client', address, 80);
  assert.equal(await connection.ask(), 'pod3');
  const [first, pod] = await connectSecond(affineAddress);
  await using _first = first;
  await expectSynchronized(connection, 'node2');
  await expectSynchronized(first, 'node2');
  pair.kill('node1');
  for (const each of [address, affineAddress]) pair.lead(each, 'node2');
  for (let request = 0; request < 3; request += 1) assert.equal(await connection.ask(), 'pod3');
  await expectPod(affineAddress, pod);
});
