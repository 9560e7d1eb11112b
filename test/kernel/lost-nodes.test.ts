import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ApiObject } from '../support/api-objects.js';
import { sampleNode, sampleService } from '../support/api-samples.js';
import { ApiServer } from '../support/api-server.js';
import { ClusterNetwork } from '../support/cluster-network.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { grantedRights } from '../support/granted-rights.js';
import { runLine, savedTable } from '../support/lab-guest.js';
import { SingleSocketClient } from '../support/single-socket-client.js';
import { elapse } from '../support/virtual-clock.js';

// Kept-open connections to pods that leave: those of a node that is gone end at once, those of a node that only is not heard of when the pod is dead; all others go on.

const virtual = '10.96.0.10';
const pods = [1, 2, 3, 4, 5] as const;
type Pod = (typeof pods)[number];
type State = 'ready' | 'not-ready' | 'terminating' | 'removed';

const conditions = {
  ready: { ready: true, serving: true, terminating: false },
  'not-ready': { ready: false, serving: false, terminating: false },
  terminating: { ready: false, serving: true, terminating: true },
};
const nodeOf = (pod: Pod): string => `node-of-${pod}`;
const addressOf = (pod: Pod): string => `10.244.0.1${pod}`;
const states = new Map<Pod, State>();
const clients = new Map<string, SingleSocketClient>();
let network: ClusterNetwork;
let server: ApiServer;
let daemon: DaemonProcess;

const slice = (): ApiObject => ({
  kind: 'EndpointSlice',
  metadata: { name: 'web-x', namespace: 'default', labels: { 'kubernetes.io/service-name': 'web' } },
  addressType: 'IPv4',
  ports: [
    { name: 'http', protocol: 'TCP', port: 8080 },
    { name: 'dns', protocol: 'UDP', port: 8080 },
  ],
  endpoints: pods.flatMap((pod) => {
    const state = states.get(pod) ?? 'ready';
    if (state === 'removed') return [];
    return [{ addresses: [addressOf(pod)], nodeName: nodeOf(pod), conditions: conditions[state] }];
  }),
});

const become = (pod: Pod, state: State): void => {
  states.set(pod, state);
  server.put(slice());
};

const silent = (name: string): ApiObject => ({
  ...sampleNode(name, 'a'),
  status: { conditions: [{ type: 'Ready', status: 'Unknown' }] },
});

/** The Nodes that were asked for, sorted. */
const asked = (): readonly string[] =>
  server.requests
    .filter(({ resource, verb }) => resource === 'nodes' && verb === 'get')
    .map(({ path }) => path.split('/').at(-1) ?? '')
    .toSorted();

const clientOf = (pod: Pod): SingleSocketClient => {
  const client = clients.get(`pod${pod}`);
  assert.ok(client);
  return client;
};

const drains = (pod: Pod): Promise<void> =>
  eventually(() =>
    assert.ok(
      savedTable('node').some(
        (line) => line.startsWith('-a -t') && line.includes(addressOf(pod)) && line.endsWith('-w 0'),
      ),
      daemon.log,
    ),
  );

/** How long until the client of the pod, which goes on asking, hears that its connection has ended. */
const untilReset = async (pod: Pod): Promise<number> => {
  const client = clientOf(pod);
  const started = performance.now();
  const asking = setInterval(() => client.ask(), 100);
  try {
    await eventually(() => assert.equal(client.last, 'ECONNRESET'), 60_000);
  } finally {
    clearInterval(asking);
  }
  return (client.lines.at(-1)?.at ?? Number.POSITIVE_INFINITY) - started;
};

const answers = async (pod: Pod): Promise<void> => {
  const client = clientOf(pod);
  const before = client.lines.length;
  client.ask();
  await eventually(() => assert.ok(client.lines.length > before));
  assert.equal(client.last, `pod${pod}`);
};

before(async () => {
  network = await ClusterNetwork.up(pods.length);
  server = await ApiServer.start({ host: network.linkNode() });
  const ports = [
    { name: 'http', protocol: 'TCP', port: 80 },
    { name: 'dns', protocol: 'UDP', port: 53 },
  ];
  server.put(sampleService('web', { ports }), slice(), sampleNode('n1', 'a'));
  for (const pod of pods) server.put(sampleNode(nodeOf(pod), 'a'));
  daemon = new DaemonProcess(
    [`--master=${server.url}`, '--hostname-override=n1', '--ipvs-min-sync-period=0s'],
    { namespace: 'node' },
  );
  await eventually(() =>
    assert.equal(
      savedTable('node').filter((line) => line.endsWith('-w 1')).length,
      2 * pods.length,
      daemon.log,
    ),
  );
  for (const _ of pods) {
    const client = new SingleSocketClient('client', 'tcp', virtual, 80);
    client.ask();
    await eventually(() => assert.notEqual(client.last, ''));
    clients.set(client.last, client);
  }
  assert.equal(clients.size, pods.length);
});

after(async () => {
  for (const client of clients.values()) await client[Symbol.asyncDispose]();
  assert.equal(await daemon.stop(), 0, daemon.log);
  await server[Symbol.asyncDispose]();
  await network[Symbol.asyncDispose]();
});

test('a normal rollout asks for no Node, and its connections go on', async () => {
  become(4, 'terminating');
  await drains(4);
  become(4, 'removed');
  await elapse(1_500);
  await answers(4);
  assert.deepEqual(asked(), []);
});

test('a pod that is merely not ready keeps its connections: its Node is there', async () => {
  become(3, 'not-ready');
  await drains(3);
  await eventually(() => assert.deepEqual(asked(), [nodeOf(3)]));
  assert.ok(grantedRights().includes('get /nodes'));
  await elapse(500);
  await answers(3);
});

test('a Node that is deleted: the client of its pod is reset within 2 s, and a UDP client goes elsewhere', async () => {
  await using udp = new SingleSocketClient('client', 'udp', virtual, 53);
  await eventually(() => assert.notEqual(udp.last, ''));
  runLine('ip -n pod1 link set eth0 down');
  server.delete('Node', nodeOf(1));
  become(1, 'removed');
  const reset = await untilReset(1);
  console.log(`reset after ${(reset / 1_000).toFixed(2)} s`);
  assert.ok(reset < 2_000, `${reset} ms\n${daemon.log}`);
  await eventually(() => assert.ok(!savedTable('node').some((line) => line.includes(addressOf(1)))));
  await eventually(() => assert.match(udp.last, /^pod[25]$/));
  assert.match(daemon.log, /"event":"draining-node-deleted","node":"node-of-1","realServers":\d/);
  assert.match(daemon.log, /"realServer":"10\.244\.0\.11:8080","reason":"node-gone"/);
});

test('a Node from which nothing is heard, and a pod there that answers: it keeps its connections', async () => {
  server.put(silent(nodeOf(2)));
  become(2, 'not-ready');
  await eventually(() => assert.ok(asked().includes(nodeOf(2))));
  for (let seconds = 0; seconds < 15; seconds += 3) {
    await answers(2);
    await elapse(3_000);
  }
});

test('… and one that answers no more: its client is reset, as that of any dead pod', async () => {
  runLine('ip -n pod2 link set eth0 down');
  await untilReset(2);
  assert.match(daemon.log, /"realServer":"10\.244\.0\.12:8080","reason":"dead"/);
});

test('all the while the others kept theirs', async () => {
  for (const pod of [3, 4, 5] as const) await answers(pod);
  assert.ok(!asked().includes(nodeOf(4)) && !asked().includes(nodeOf(5)), asked().join(' '));
});
