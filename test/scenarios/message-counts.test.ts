// What a change costs in messages to the kernel, counted by the fake kernel.
import assert from 'node:assert/strict';
import { before, after, test } from 'node:test';
import type { EndpointSlice } from '../../src/model/endpoint.js';
import type { Service } from '../../src/model/service.js';
import { ready, service, slice } from '../support/objects.js';
import { ProductionNode } from '../support/production-node.js';

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

let node: ProductionNode;

/** Does the change and gives the kinds of the messages until the kernel is as it should be, with all that follows within a minute. */
const messagesOf = async (change: () => Promise<unknown>): Promise<readonly string[]> => {
  const sent = node.kernel.received.length;
  await change();
  await node.advance(60_000);
  return node.kernel.received.slice(sent).map(({ kind }) => kind);
};

const put = (index: number, pods: readonly number[]): Promise<readonly string[]> =>
  node.change(serviceOf(index).key, serviceOf(index), [sliceOf(index, pods)]);

const lineOf = (index: number): string | undefined =>
  node.lines.find((line) => line.startsWith(`TCP ${clusterIp(index)}:80 `));
/** Virtual servers and real servers. */
const entries = (): number =>
  node.kernel.ipvs.tables().reduce((sum, { realServers }) => sum + 1 + realServers.size, 0);

before(async () => {
  node = await ProductionNode.start();
  const indexes = Array.from({ length: count }, (_, index) => index + 1);
  await node.replace({
    services: indexes.map(serviceOf),
    slices: indexes.map((index) => sliceOf(index, tenPods)),
  });
});
after(() => node[Symbol.asyncDispose]());

test('the kernel holds all of it, and it took a message each and the packet rules', () => {
  assert.equal(entries(), count * 11);
  assert.equal(node.kernel.changes.length, count * 12);
});

test('one endpoint that comes costs one message', async () => {
  assert.deepEqual(await messagesOf(() => put(7, [...tenPods, 10])), ['ipvs 5']);
  assert.ok(lineOf(7)?.endsWith(`, ${podIp(7, 10)}:80`));
});

test('one endpoint that goes costs three messages: without weight, its connections, gone', async () => {
  assert.deepEqual(await messagesOf(() => put(7, tenPods)), ['ipvs 6', 'ipvs 8 dump', 'ipvs 7']);
  assert.ok(lineOf(7)?.includes(podIp(7, 10)) === false);
});

// A transaction of packet rules is a begin, a message for each set, and an end.
test('one Service with ten endpoints that comes costs at most eight messages and its endpoints', async () => {
  const messages = await messagesOf(() => put(2_000, tenPods));
  assert.ok(messages.length <= 8 + 10, messages.join(', '));
  assert.equal(entries(), (count + 1) * 11);
});

test('one Service that goes costs at most eight messages, whatever its endpoints', async () => {
  const messages = await messagesOf(() => node.change(serviceOf(2_000).key, undefined, []));
  assert.ok(messages.length <= 8, messages.join(', '));
  assert.equal(entries(), count * 11);
});

test('a change of the scheduler costs one message and deletes nothing', async () => {
  const changed = service(nameOf(9), {
    clusterIP: clusterIp(9),
    annotations: { 'ipvs.kube-ipvs.dev/scheduler': 'sh' },
  });
  const messages = await messagesOf(() => node.change(changed.key, changed, [sliceOf(9, tenPods)]));
  assert.deepEqual(messages, ['ipvs 2']);
  assert.ok(lineOf(9)?.startsWith(`TCP ${clusterIp(9)}:80 sh → ${podIp(9, 0)}:80,`));
});

test('an object that came again unchanged costs nothing', async () => {
  assert.deepEqual(await messagesOf(() => put(11, tenPods)), []);
});

test('that an IPv6 address of ours comes back as an event costs nothing', async () => {
  const messagesFor = (name: string, address: string) => {
    const added = service(name, { clusterIP: address });
    return messagesOf(() => node.change(added.key, added, []));
  };
  assert.deepEqual(await messagesFor('six', 'fd00::96'), await messagesFor('four', '10.97.0.1'));
});
