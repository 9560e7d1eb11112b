// What a change of weight costs in messages to the kernel, counted by the fake kernel, and what it means for a drain.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod, PodKey } from '../../src/model/pod.js';
import { ready, service, slice } from '../support/objects.js';
import { ProductionNode } from '../support/production-node.js';

const annotations = { 'ipvs.kube-ipvs.dev/weight-by': 'pod' };
const web = service('web', { clusterIP: '10.96.0.1', annotations });
const plain = service('plain', { clusterIP: '10.96.0.2' });
const pods = ['p1', 'p2', 'p3'];
const endpoints = pods.map((pod, index) => ready(`10.1.0.${index + 1}`, { pod }));
const webSlice = slice('web', endpoints);

const setWeights = (node: ProductionNode, weights: Readonly<Record<string, number | undefined>>) =>
  node.act(() =>
    node.composition.store.apply(
      Object.entries(weights).map(([name, weight]) => ({
        kind: 'pod',
        key: `default/${name}` as PodKey,
        value: { weight, cpuRequest: undefined } satisfies Pod,
      })),
    ),
  );

const start = async (): Promise<ProductionNode> => {
  const node = await ProductionNode.start();
  await node.replace({ services: [web, plain], slices: [webSlice, slice('plain', endpoints)] });
  return node;
};

/** The kinds of the messages to the kernel until nothing follows any more. */
const messagesOf = async (
  node: ProductionNode,
  change: () => Promise<unknown>,
): Promise<readonly string[]> => {
  const sent = node.kernel.received.length;
  await change();
  await node.advance(60_000);
  return node.kernel.received.slice(sent).map(({ kind }) => kind);
};

const schedulers = (node: ProductionNode): readonly string[] =>
  node.kernel.ipvs
    .tables()
    .map(({ server }) => `${server.key} ${server.scheduler}`)
    .toSorted();

/** IPVS_CMD_SET_SERVICE, IPVS_CMD_SET_DEST. */
const [setService, setDestination] = ['ipvs 2', 'ipvs 6'];

test('a change of one weight is one message, and only the first difference changes the scheduler too', async () => {
  await using node = await start();
  assert.deepEqual(node.lines, [
    'TCP 10.96.0.1:80 → 10.1.0.1:80 weight 100, 10.1.0.2:80 weight 100, 10.1.0.3:80 weight 100',
    'TCP 10.96.0.2:80 → 10.1.0.1:80, 10.1.0.2:80, 10.1.0.3:80',
  ]);
  assert.deepEqual(schedulers(node), ['TCP 10.96.0.1:80 rr', 'TCP 10.96.0.2:80 rr']);
  assert.deepEqual(await messagesOf(node, () => setWeights(node, { p1: 10 })), [setService, setDestination]);
  assert.deepEqual(schedulers(node), ['TCP 10.96.0.1:80 wrr', 'TCP 10.96.0.2:80 rr']);
  assert.deepEqual(await messagesOf(node, () => setWeights(node, { p1: 20 })), [setDestination]);
  assert.deepEqual(node.lines.slice(0, 1), [
    'TCP 10.96.0.1:80 wrr → 10.1.0.1:80 weight 20, 10.1.0.2:80 weight 100, 10.1.0.3:80 weight 100',
  ]);
  assert.deepEqual(await messagesOf(node, () => setWeights(node, { p1: 20, p2: undefined, other: 7 })), []);
});

test('a pod of weight 0 stays a real server, and drains like any other when its endpoint goes', async () => {
  await using node = await start();
  assert.deepEqual(await messagesOf(node, () => setWeights(node, { p1: 0 })), [setDestination]);
  assert.deepEqual(schedulers(node), ['TCP 10.96.0.1:80 rr', 'TCP 10.96.0.2:80 rr']);
  const [first = ''] = node.lines;
  assert.ok(first.includes('10.1.0.1:80 weight 0'), first);
  await node.change(web.key, web, [slice('web', endpoints.slice(1))]);
  await node.advance(60_000);
  assert.deepEqual(node.lines.slice(0, 1), [
    'TCP 10.96.0.1:80 → 10.1.0.2:80 weight 100, 10.1.0.3:80 weight 100',
  ]);
});

test('a pod of weight 0 whose connections are open drains until they end', async () => {
  await using node = await start();
  await setWeights(node, { p1: 0 });
  const connections = 'TCP 10.96.0.1:80 → 10.1.0.1:80';
  node.kernel.ipvs.connections.set(connections, 1);
  await node.change(web.key, web, [slice('web', endpoints.slice(1))]);
  await node.advance(60_000);
  assert.match(node.lines[0] ?? '', /10\.1\.0\.1:80 weight 0/);
  node.kernel.ipvs.connections.delete(connections);
  await node.advance(60_000);
  assert.doesNotMatch(node.lines[0] ?? '', /10\.1\.0\.1/);
});

test('weights of the configuration take effect without a restart', async () => {
  await using node = await start();
  await setWeights(node, { p1: 10 });
  await node.changeSettings({ weightBy: 'pod' });
  await node.advance(60_000);
  assert.match(node.lines[1] ?? '', /10\.1\.0\.1:80 weight 10,/);
  await setWeights(node, { p1: 20 });
  await node.advance(60_000);
  assert.match(node.lines[1] ?? '', /10\.1\.0\.1:80 weight 20,/);
  await node.changeSettings({ weightBy: 'none' });
  await node.advance(60_000);
  assert.equal(node.lines[1], 'TCP 10.96.0.2:80 → 10.1.0.1:80, 10.1.0.2:80, 10.1.0.3:80');
});

test('with slow start, a new pod climbs to its own weight, and one of weight 0 stays there', async () => {
  await using node = await ProductionNode.start();
  const slow = { ...web, annotations: { ...web.annotations, 'slow-start': '10s' } };
  await node.replace({ services: [slow], slices: [slice('web', endpoints.slice(0, 1))] });
  await setWeights(node, { p1: 5, p2: 0, p3: 20 });
  await node.change(slow.key, slow, [webSlice]);
  const line = (third: number): readonly string[] => [
    `TCP 10.96.0.1:80 wrr → 10.1.0.1:80 weight 50, 10.1.0.2:80 weight 0, 10.1.0.3:80 weight ${third}`,
  ];
  assert.deepEqual(node.lines, line(20));
  await node.advance(5_000);
  assert.deepEqual(node.lines, line(100));
  await setWeights(node, { p3: 40 });
  assert.deepEqual(node.lines, line(200));
  await node.advance(5_000);
  assert.deepEqual(node.lines, line(400));
});
