import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ClusterNetwork } from '../support/cluster-network.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { runLine, savedTable } from '../support/lab-guest.js';
import { ready, serviceObject, sliceObject } from '../support/objects.js';
import { SingleSocketClient } from '../support/single-socket-client.js';

// Pods that leave with open connections: dead ones, whose clients are to learn of it, and living ones, who are to be left.

const virtual = '10.96.0.10';
const podAddress = (pod: number): string => `10.244.0.1${pod}`;
const manifest = join(mkdtempSync(join(tmpdir(), 'dead-backend-')), 'world.json');
const endMilliseconds = 15_000;
let network: ClusterNetwork;
let daemon: DaemonProcess;
const clients: SingleSocketClient[] = [];

/** A Service `web` with these pods; what stood there before with others drains. */
const program = async (pods: readonly number[]): Promise<void> => {
  const items = [
    serviceObject('web', { clusterIPs: [virtual], ports: ['http:80/TCP'] }),
    sliceObject(
      'web',
      pods.map((pod) => ready(podAddress(pod))),
      { ports: ['http:8080/TCP'] },
    ),
  ];
  writeFileSync(`${manifest}.next`, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  renameSync(`${manifest}.next`, manifest);
  await eventually(() => {
    const taking = savedTable('node').filter((line) => line.endsWith('-w 1'));
    assert.equal(taking.length, pods.length, daemon.log);
  });
};

const holds = (pod: number): boolean => savedTable('node').some((line) => line.includes(podAddress(pod)));

/** A connection to each pod, by the pod's name, each of a client of its own. */
const connections = async (pods: readonly number[]): Promise<ReadonlyMap<string, SingleSocketClient>> => {
  const found = new Map<string, SingleSocketClient>();
  for (const _ of pods) {
    const client = new SingleSocketClient('client', 'tcp', virtual, 80);
    clients.push(client);
    client.ask();
    await eventually(() => assert.notEqual(client.last, ''));
    found.set(client.last, client);
  }
  assert.equal(found.size, pods.length);
  return found;
};

/** Sends a request on a connection to a dead pod, and expects its end: by the first packet that the client sends once the pod is known to be dead. */
const expectReset = async (client: SingleSocketClient, pod: number): Promise<void> => {
  const started = performance.now();
  client.ask();
  await eventually(() => assert.ok(!holds(pod), daemon.log), endMilliseconds);
  const found = performance.now() - started;
  await eventually(() => assert.equal(client.last, 'ECONNRESET'), 60_000);
  const reset = (client.lines.at(-1)?.at ?? Number.POSITIVE_INFINITY) - started;
  console.log(`seen dead after ${(found / 1_000).toFixed(1)} s, reset after ${(reset / 1_000).toFixed(1)} s`);
};

before(async () => {
  network = await ClusterNetwork.up(3);
  daemon = new DaemonProcess(
    [`--source=${manifest}`, '--ipvs-min-sync-period=0s', '--hostname-override=n1'],
    { namespace: 'node' },
  );
});
after(async () => {
  for (const client of clients) await client[Symbol.asyncDispose]();
  assert.equal(await daemon.stop(), 0, daemon.log);
  await network[Symbol.asyncDispose]();
});

test('the client of a pod that died gets a reset; an idle connection to a pod that drains stays', async () => {
  await program([1, 2, 3]);
  const byPod = await connections([1, 2, 3]);
  const [dead, living] = [byPod.get('pod1'), byPod.get('pod2')];
  assert.ok(dead !== undefined && living !== undefined);
  runLine('ip -n pod1 link set eth0 down');
  await program([3]);
  await expectReset(dead, 1);
  assert.ok(holds(2), 'the living one drains on');
  living.ask();
  await eventually(() =>
    assert.deepEqual(
      living.lines.map(({ text }) => text),
      ['pod2', 'pod2'],
    ),
  );
  await eventually(() => assert.match(daemon.log, /"realServer":"10\.244\.0\.11:8080","reason":"dead"/));
});
