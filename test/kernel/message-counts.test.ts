import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { before, after, test } from 'node:test';
import type { EndpointSlice } from '../../src/model/endpoint.js';
import type { Service } from '../../src/model/service.js';
import { ready, service, slice } from '../support/objects.js';
import { startInProcess, type InProcessDaemon } from '../support/in-process-daemon.js';
import { elapse } from '../support/virtual-clock.js';

const count = 1_000;
const nameOf = (index: number): string => `s${index}`;
const clusterIp = (index: number): string => `10.96.${index >> 8}.${index & 255}`;
const podIp = (index: number, pod: number): string => `10.${128 + pod}.${index >> 8}.${index & 255}`;

const serviceOf = (index: number): Service => service(nameOf(index), { clusterIP: clusterIp(index) });
const sliceOf = (index: number, pods: readonly number[]): EndpointSlice =>
  slice(
    nameOf(index),
    pods.map((pod) => ready(podIp(index, pod))),
  );
const tenPods = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

let daemon: InProcessDaemon;

/** Does the change and gives the number of messages until the kernel is as it should be. */
const messagesFor = async (change: () => void): Promise<number> => {
  const messages = daemon.messages();
  change();
  await elapse(200);
  return daemon.messages() - messages;
};

const table = (): string[] => execFileSync('ipvsadm', ['-Sn'], { encoding: 'utf8' }).trim().split('\n');
const put = (index: number, pods: readonly number[]): void => {
  const value = sliceOf(index, pods);
  daemon.wired.store.apply([{ kind: 'endpointSlice', key: value.key, value }]);
};

before(async () => {
  daemon = await startInProcess('--ipvs-sync-period=1h');
  const indexes = Array.from({ length: count }, (_, index) => index + 1);
  const first = daemon.wired.syncLoop.start();
  daemon.wired.store.replace('services', new Map(indexes.map(serviceOf).map((value) => [value.key, value])));
  daemon.wired.store.replace(
    'endpointSlices',
    new Map(indexes.map((index) => sliceOf(index, tenPods)).map((value) => [value.key, value])),
  );
  assert.deepEqual(await first, { applied: count * 14, failed: 0 });
  // The events of our own addresses come back; they must cost nothing.
  await elapse(500);
});
after(async () => {
  await daemon[Symbol.asyncDispose]();
});

test('the kernel holds all of it', () => {
  assert.equal(table().length, count * 11);
});

test('one endpoint that comes costs one message', async () => {
  assert.equal(await messagesFor(() => put(7, [...tenPods, 10])), 1);
  assert.ok(table().includes(`-a -t ${clusterIp(7)}:80 -r ${podIp(7, 10)}:80 -m -w 1`));
});

test('one endpoint that goes costs at most three messages', async () => {
  assert.ok((await messagesFor(() => put(7, tenPods))) <= 3);
  assert.ok(!table().some((line) => line.includes(`${podIp(7, 10)}:80`)));
});

// A transaction of packet rules is a begin, a message for each set, and an end.
test('one Service with ten endpoints that comes costs at most eight messages and its endpoints', async () => {
  const added = serviceOf(2_000);
  const endpoints = sliceOf(2_000, tenPods);
  const messages = await messagesFor(() =>
    daemon.wired.store.apply([
      { kind: 'service', key: added.key, value: added },
      { kind: 'endpointSlice', key: endpoints.key, value: endpoints },
    ]),
  );
  assert.ok(messages <= 8 + 10, `${messages} messages`);
  assert.equal(table().length, (count + 1) * 11);
});

test('one Service that goes costs at most eight messages, whatever its endpoints', async () => {
  const { key } = serviceOf(2_000);
  const messages = await messagesFor(() =>
    daemon.wired.store.apply([
      { kind: 'service', key, value: undefined },
      { kind: 'endpointSlice', key: sliceOf(2_000, []).key, value: undefined },
    ]),
  );
  assert.ok(messages <= 8, `${messages} messages`);
  assert.equal(table().length, count * 11);
});

test('a change of the scheduler costs one message and deletes nothing', async () => {
  const value = service(nameOf(9), {
    clusterIP: clusterIp(9),
    annotations: { 'ipvs.kube-ipvs.dev/scheduler': 'sh' },
  });
  assert.equal(
    await messagesFor(() => daemon.wired.store.apply([{ kind: 'service', key: value.key, value }])),
    1,
  );
  assert.ok(table().includes(`-A -t ${clusterIp(9)}:80 -s sh`));
  assert.deepEqual(
    Object.keys(daemon.wired.counters.snapshot()).filter(
      (name) => name.startsWith('delete') && name.includes('E'),
    ),
    [],
  );
});

test('an object that came again unchanged costs nothing', async () => {
  assert.equal(await messagesFor(() => put(11, tenPods)), 0);
});
