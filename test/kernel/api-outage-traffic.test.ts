import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sampleNode, sampleService, sampleSlice } from '../support/api-samples.js';
import { ApiServer } from '../support/api-server.js';
import { ClusterNetwork } from '../support/cluster-network.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { run, runLine, savedTable } from '../support/lab-guest.js';
import { mutationsIn, logWithoutTrace, traceDaemons } from '../support/netlink-trace.js';
import { SingleSocketClient } from '../support/single-socket-client.js';
import { elapse } from '../support/virtual-clock.js';

// What goes on while nobody answers, and while somebody sets the clock: connections, drains with their deadlines, the node's
// addresses. In virtual time. A drain lasts 15 minutes at most, a delay between two tries seconds: longer outages show no more.

const virtual = '10.96.0.10';
const pod = (number: number): string => `10.244.0.1${number}`;
const minute = 60_000;
const clients = new Map<string, SingleSocketClient>();
let network: ClusterNetwork;
let server: ApiServer;
let daemon: DaemonProcess;

const has = (...parts: readonly string[]): boolean =>
  savedTable('node').some((line) => parts.every((part) => line.includes(part)));
/** How many real servers of the ClusterIP take new connections. */
const taking = (): number =>
  savedTable('node').filter((line) => line.startsWith(`-a -t ${virtual}:80`) && line.endsWith('-w 1')).length;

/** The longest pause before the next try included. */
const becomes = (wanted: boolean, ...parts: readonly string[]): Promise<void> =>
  eventually(() => {
    const message = `${parts.join(' ')}\n${savedTable('node').join('\n')}\n${logWithoutTrace(daemon.log).slice(-3_000)}`;
    assert.equal(has(...parts), wanted, message);
  }, 2 * minute);

/** A watch that brings not even these is not believed, and another list is asked for. */
const asReal = { bookmarkMilliseconds: minute };

const clientOf = (name: string): SingleSocketClient => {
  const client = clients.get(name);
  assert.ok(client);
  return client;
};

/** Sends a request on the kept connection to a pod; what comes of it. */
const asked = async (name: string): Promise<string> => {
  const client = clientOf(name);
  const before = client.lines.length;
  client.ask();
  await eventually(() => assert.ok(client.lines.length > before));
  return client.last;
};

/** One more connection to each of the pods. */
const connect = async (...names: readonly string[]): Promise<void> => {
  for (const _ of names) {
    const client = new SingleSocketClient('client', 'tcp', virtual, 80);
    client.ask();
    await eventually(() => assert.notEqual(client.last, ''));
    await clients.get(client.last)?.[Symbol.asyncDispose]();
    clients.set(client.last, client);
  }
  for (const name of names) assert.ok(clients.has(name), name);
};

const fill = (filled: ApiServer, pods: readonly number[]): void =>
  filled.put(
    sampleService('web', {
      type: 'NodePort',
      ports: [{ name: 'http', protocol: 'TCP', port: 80, targetPort: 8080, nodePort: 30_080 }],
    }),
    sampleSlice('web', pods.map(pod)),
    sampleNode('n1', 'a'),
    // Where the pods are: what was on a node that is gone does not drain.
    sampleNode('node-1', 'a'),
  );

const lists = (of: ApiServer): readonly string[] =>
  of.requests
    .filter(({ verb, path }) => verb !== 'watch' && verb !== 'get' && !path.includes('/events'))
    .map(({ resource, verb }) => `${verb} ${resource}`)
    .toSorted();

/** After the time for everything that may follow: nothing was sent to the kernel since the log had that length. */
const nothingSince = async (length: number): Promise<void> => {
  await elapse(2 * minute);
  assert.deepEqual(mutationsIn(daemon.log.slice(length)), []);
};

before(async () => {
  traceDaemons();
  network = await ClusterNetwork.up(3);
  server = await ApiServer.start({ host: network.linkNode(), ...asReal });
  fill(server, [1, 2, 3]);
  daemon = new DaemonProcess([`--master=${server.url}`, '--hostname-override=n1', '--ipvs-scheduler=rr'], {
    namespace: 'node',
  });
  await eventually(() => assert.equal(taking(), 3));
  await connect('pod1', 'pod2', 'pod3');
});
after(async () => {
  for (const client of clients.values()) await client[Symbol.asyncDispose]();
  assert.equal(await daemon.stop(), 0, logWithoutTrace(daemon.log));
  await server[Symbol.asyncDispose]();
  await network[Symbol.asyncDispose]();
});

test('twenty minutes without a server: connections go on, a drain ends at its deadline, an address is followed', async () => {
  server.put(sampleSlice('web', [2, 3].map(pod)));
  await becomes(true, `-t ${virtual}:80`, pod(1), '-w 0');
  const { port, version } = server;
  await server[Symbol.asyncDispose]();
  for (let minutes = 4; minutes <= 12; minutes += 4) {
    await elapse(4 * minute);
    assert.deepEqual([await asked('pod1'), await asked('pod2')], ['pod1', 'pod2'], `${minutes} minutes`);
  }
  runLine('ip -n node address add 198.18.0.6/30 dev link0');
  await becomes(true, '-t 198.18.0.6:30080', pod(2));
  await elapse(4 * minute);
  await becomes(false, pod(1));
  assert.match(daemon.log, new RegExp(`"realServer":"${pod(1)}:8080","reason":"deadline"`));
  assert.equal(await asked('pod1'), 'ECONNRESET');
  for (let minutes = 16; minutes <= 20; minutes += 4) {
    await elapse(4 * minute);
    assert.equal(await asked('pod2'), 'pod2', `${minutes} minutes`);
  }
  const back = daemon.log.length;
  const before = savedTable('node');
  server = await ApiServer.start({ host: '198.18.0.1', port, ...asReal });
  server.rewind(version + 9_000);
  fill(server, [2, 3]);
  server.compact();
  const each = ['watchlist endpointslices', 'watchlist nodes', 'watchlist services'];
  await eventually(() => assert.deepEqual(lists(server), each), 2 * minute);
  await nothingSince(back);
  assert.deepEqual([lists(server), savedTable('node')], [each, before]);
  assert.equal(await asked('pod2'), 'pod2');
});

test('twenty minutes in which packets to the server vanish: the same, and not even a list', async () => {
  const [listed, from] = [lists(server), daemon.log.length];
  runLine('nft add table ip cut');
  for (const hook of ['input', 'output'])
    runLine(`nft add chain ip cut ${hook} { type filter hook ${hook} priority 0 ; policy drop ; }`);
  server.put(sampleSlice('web', [2].map(pod)));
  for (let minutes = 0; minutes < 20; minutes += 5) {
    await elapse(5 * minute);
    assert.equal(await asked('pod2'), 'pod2', `${minutes} minutes`);
  }
  assert.match(daemon.log.slice(from), /resource-not-followed/);
  assert.deepEqual(mutationsIn(daemon.log.slice(from)), []);
  runLine('nft delete table ip cut');
  await becomes(false, pod(3), '-w 1');
  assert.equal(await asked('pod2'), 'pod2');
  assert.deepEqual(lists(server), listed);
});

/** Sets the clock that people read, by so many hours. */
const setClock = (hours: number): string =>
  runLine(`date -s @${Math.round(Date.now() / 1_000) + hours * 3_600}`);

const health = (): string =>
  run(
    'ip',
    'netns',
    'exec',
    'node',
    'bash',
    '-c',
    'exec 3<>/dev/tcp/127.0.0.1/10256; printf "GET /healthz HTTP/1.0\\r\\n\\r\\n" >&3; head -1 <&3',
  );

test('a clock set back and forth by hours shortens and lengthens nothing', async () => {
  server.put(sampleSlice('web', [2, 3].map(pod)));
  await becomes(true, `-t ${virtual}:80`, pod(3), '-w 1');
  const listed = lists(server);
  server.put(sampleSlice('web', [3].map(pod)));
  await becomes(true, `-t ${virtual}:80`, pod(2), '-w 0');
  for (const [minutes, hours] of [
    [4, -5],
    [8, 30],
    [12, -3],
  ] as const) {
    setClock(hours);
    server.dropConnections();
    server.put(sampleSlice('web', [3, 4 + minutes].map(pod)));
    await becomes(true, `-t ${virtual}:80`, pod(4 + minutes), '-w 1');
    await elapse(4 * minute);
    assert.equal(await asked('pod2'), 'pod2', `${minutes} minutes`);
    assert.match(health(), / 200 /);
  }
  await elapse(4 * minute);
  await becomes(false, pod(2));
  assert.equal(await asked('pod2'), 'ECONNRESET');
  assert.deepEqual(lists(server), listed);
});

test('a server that has nothing any more is believed, and connections end in their own time', async () => {
  server.put(sampleSlice('web', [3].map(pod)));
  await eventually(() => assert.equal(taking(), 1));
  await connect('pod3');
  const { port, version } = server;
  await server[Symbol.asyncDispose]();
  server = await ApiServer.start({ host: '198.18.0.1', port, ...asReal });
  server.rewind(version + 9_000);
  server.put(sampleNode('n1', 'a'), sampleNode('node-1', 'a'));
  server.compact();
  await becomes(false, '-w 1');
  assert.equal(await asked('pod3'), 'pod3');
  fill(server, [3]);
  await becomes(true, `-t ${virtual}:80`, pod(3), '-w 1');
  assert.equal(await asked('pod3'), 'pod3');
});
