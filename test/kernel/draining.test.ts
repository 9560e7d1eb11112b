// lab: --timeout 600 -K time-travel
import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ClusterNetwork } from '../support/cluster-network.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { addressesOf, runLine, savedTable } from '../support/guest.js';
import { ready, serviceObject, sliceObject, type ServiceSpec } from '../support/objects.js';
import { OneSocket } from '../support/one-socket.js';

// Open connections to what is wanted no more, in virtual time: waiting costs nothing, and every deadline is the real one.

const vip = '10.96.0.10';
const external = '203.0.113.9';
const manifest = join(mkdtempSync(join(tmpdir(), 'draining-')), 'world.json');
const second = 1_000;
const minute = 60 * second;
let network: ClusterNetwork;
let daemon: DaemonProcess;
const clients: OneSocket[] = [];

const pod = (number: number): string => `10.244.0.1${number}`;

/** A Service `web` with these pods. */
const web = (pods: readonly number[], fields: ServiceSpec = {}): readonly object[] => {
  const spec = { clusterIPs: [vip], ports: ['http:80/TCP'], ...fields };
  const ports = spec.ports.map((text) => text.replace(/:\d+\//, ':8080/'));
  return [
    serviceObject('web', spec),
    sliceObject(
      'web',
      pods.map((number) => ready(pod(number))),
      { ports },
    ),
  ];
};

/** Puts the objects in the place of those before. */
const program = (items: readonly object[]): void => {
  writeFileSync(`${manifest}.next`, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  renameSync(`${manifest}.next`, manifest);
};

const start = (): DaemonProcess =>
  new DaemonProcess([`--source=${manifest}`, '--ipvs-min-sync-period=0s', '--hostname-override=n1'], {
    namespace: 'node',
  });

const has = (line: string): boolean => savedTable('node').includes(line);
const holds = async (line: string, milliseconds?: number): Promise<void> =>
  eventually(
    () => assert.ok(has(line), `${line}\n${savedTable('node').join('\n')}\n${daemon.log}`),
    milliseconds,
  );
/** Every look starts programs, which takes real time: for a long wait look seldom. */
const isGone = async (text: string, milliseconds = 40 * second): Promise<void> => {
  const deadline = performance.now() + milliseconds;
  while (savedTable('node').some((line) => line.includes(text))) {
    assert.ok(performance.now() < deadline, `${savedTable('node').join('\n')}\n${daemon.log}`);
    await sleep(milliseconds / 40);
  }
};

const rules = (): string => runLine('ip netns exec node nft list table ip kube-ipvs');

const connect = async (address: string, port: number): Promise<OneSocket> => {
  const client = new OneSocket('client', 'tcp', address, port);
  clients.push(client);
  await answers(client);
  return client;
};

/** Sends a request on the client's connection, and expects an answer of a pod. */
const answers = async (client: OneSocket): Promise<void> => {
  const before = client.lines.length;
  client.ask();
  await eventually(() => assert.equal(client.lines.length, before + 1));
  assert.match(client.last, /^pod\d$/, daemon.log);
};

const isRefused = (address: string, port: number): void =>
  assert.deepEqual(network.ask('client', 'tcp', address, port, 1), ['ECONNREFUSED']);

before(async () => {
  network = await ClusterNetwork.up(2);
  program([]);
  daemon = start();
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client[Symbol.asyncDispose]();
  program([]);
  await isGone('-a', 5 * minute);
});
after(async () => {
  assert.equal(await daemon.stop(), 0, daemon.log);
  await network[Symbol.asyncDispose]();
});

test('a connection of a deleted Service goes on, new ones are refused; when it ends nothing is left', async () => {
  program(web([1]));
  await holds(`-a -t ${vip}:80 -r ${pod(1)}:8080 -m -w 1`);
  const client = await connect(vip, 80);
  program([]);
  await holds(`-a -t ${vip}:80 -r ${pod(1)}:8080 -m -w 0`);
  await answers(client);
  isRefused(vip, 80);
  assert.deepEqual(addressesOf('kube-ipvs0', 'node'), [`${vip}/32`]);
  assert.match(daemon.log, /it stays for its open connections/);
  await sleep(2 * minute);
  await answers(client);
  await client[Symbol.asyncDispose]();
  await isGone(vip, 5 * minute);
  await eventually(() => assert.deepEqual(addressesOf('kube-ipvs0', 'node'), []));
  await eventually(() => assert.ok(!rules().includes(vip), rules()));
  assert.match(daemon.log, /"virtualServer":"TCP 10\.96\.0\.10:80","end":"idle"/);
});

test('so it is with a deleted port and a deleted external IP; the rest of the Service serves on', async () => {
  program(web([1], { ports: ['http:80/TCP', 'admin:81/TCP'], externalIPs: [external] }));
  await holds(`-a -t ${external}:80 -r ${pod(1)}:8080 -m -w 1`);
  const [admin, outside] = [await connect(vip, 81), await connect(external, 80)];
  program(web([1]));
  await holds(`-a -t ${vip}:81 -r ${pod(1)}:8080 -m -w 0`);
  await holds(`-a -t ${external}:80 -r ${pod(1)}:8080 -m -w 0`);
  await isGone(`${external}:81`);
  await answers(admin);
  await answers(outside);
  isRefused(vip, 81);
  isRefused(external, 80);
  assert.deepEqual(network.ask('client', 'tcp', vip, 80, 1), ['pod1']);
});

test('a Service that comes back, and an endpoint that comes back, take over in place: connections stay', async () => {
  program(web([1]));
  await holds(`-a -t ${vip}:80 -r ${pod(1)}:8080 -m -w 1`);
  const client = await connect(vip, 80);
  for (const without of [[], web([2])]) {
    program(without);
    await holds(`-a -t ${vip}:80 -r ${pod(1)}:8080 -m -w 0`);
    program(web([1]));
    await holds(`-a -t ${vip}:80 -r ${pod(1)}:8080 -m -w 1`);
    await answers(client);
    assert.deepEqual(network.ask('client', 'tcp', vip, 80, 1), ['pod1']);
  }
});

test('15 minutes count over a restart, which changes nothing', async () => {
  program(web([1, 2]));
  await holds(`-a -t ${vip}:80 -r ${pod(2)}:8080 -m -w 1`);
  const pair = [await connect(vip, 80), await connect(vip, 80)];
  const began = performance.now();
  const passed = (milliseconds: number): Promise<void> =>
    sleep(Math.max(0, began + milliseconds - performance.now()));
  program(web([2]));
  await holds(`-a -t ${vip}:80 -r ${pod(1)}:8080 -m -w 0`);
  const client = pair.find(({ last }) => last === 'pod1');
  assert.ok(client !== undefined);
  await eventually(() =>
    assert.match(
      rules(),
      /10\.96\.0\.10 \. tcp \. 80 \. 10\.244\.0\.11 \. 8080 comment "since [\d.]+ s after boot"/,
    ),
  );
  await passed(5 * minute);
  await answers(client);
  const before = [savedTable('node'), rules()];
  assert.equal(await daemon.stop(), 0, daemon.log);
  await passed(10 * minute);
  daemon = start();
  await sleep(20 * second);
  assert.deepEqual([savedTable('node'), rules()], before);
  assert.doesNotMatch(daemon.log, /"applied":/);
  await answers(client);
  await passed(15 * minute - 20 * second);
  await answers(client);
  await isGone(pod(1), minute);
  const ended = performance.now() - began;
  assert.ok(ended > 15 * minute && ended < 15 * minute + 10 * second, `${ended} ms\n${daemon.log}`);
  client.ask();
  await eventually(() => assert.equal(client.last, 'ECONNRESET'));
  assert.match(daemon.log, /"realServer":"10\.244\.0\.11:8080","reason":"deadline"/);
  await eventually(() => assert.doesNotMatch(rules(), /after boot/));
});

test('a lingering virtual server lingers on over a restart, which changes nothing, for as long as its Service said', async () => {
  const annotations = { 'ipvs.kube-ipvs.dev/drain-deadline': '90s' };
  program(web([1], { annotations }));
  await holds(`-a -t ${vip}:80 -r ${pod(1)}:8080 -m -w 1`);
  const client = await connect(vip, 80);
  const began = performance.now();
  program([]);
  await holds(`-a -t ${vip}:80 -r ${pod(1)}:8080 -m -w 0`);
  await eventually(() => assert.match(rules(), /after boot, for 90 s"/));
  const before = [savedTable('node'), addressesOf('kube-ipvs0', 'node'), rules()];
  assert.equal(await daemon.stop(), 0, daemon.log);
  daemon = start();
  await sleep(20 * second);
  assert.deepEqual([savedTable('node'), addressesOf('kube-ipvs0', 'node'), rules()], before);
  assert.doesNotMatch(daemon.log, /"applied":/);
  await answers(client);
  await isGone(vip, 2 * minute);
  const ended = performance.now() - began;
  assert.ok(ended > 90 * second && ended < 95 * second, `${ended} ms\n${daemon.log}`);
});

test('a UDP flow is given 5 seconds for what it asked, and goes to another pod then', async () => {
  const ports = ['dns:53/UDP'];
  program(web([1], { ports }));
  await holds(`-a -u ${vip}:53 -r ${pod(1)}:8080 -m -w 1`);
  const client = new OneSocket('client', 'udp', vip, 53);
  clients.push(client);
  await eventually(() => assert.equal(client.last, 'pod1'));
  program(web([2], { ports }));
  await holds(`-a -u ${vip}:53 -r ${pod(1)}:8080 -m -w 0`);
  const began = performance.now();
  await isGone(pod(1));
  const ended = performance.now() - began;
  assert.ok(ended > 4 * second && ended < 6 * second, `${ended} ms\n${daemon.log}`);
  await eventually(() => assert.equal(client.last, 'pod2'), 5 * second);
});
