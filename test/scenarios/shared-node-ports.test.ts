// nodePorts.sharing: node ports with one virtual server for all addresses, over the fake kernel, in virtual time.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodePortMark } from '../../src/model/firewall-mark.js';
import { virtualServerKey } from '../../src/model/virtual-server.js';
import { nodeFacts, ready, service, slice } from '../support/objects.js';
import { ProductionNode } from '../support/production-node.js';
import { virtual } from '../support/virtual-server-entries.js';

const nodePort = 30_080;
const web = service('web', { type: 'NodePort', clusterIP: '10.96.0.1', ports: [`:80@${nodePort}`] });
const endpoints = [slice('web', [ready('10.1.0.1'), ready('10.1.0.2')])];

const addresses = (...all: readonly string[]) => nodeFacts(all.map((address) => `eth0 ${address}/24`));

const fwmark = nodePortMark({ protocol: 'TCP', port: nodePort });
const marked = { by: 'fwmark', fwmark, family: 'IPv4' } as const;
const key = virtualServerKey(marked);
const real = '10.1.0.1:80, 10.1.0.2:80';

const sharedLines = [`${key} → ${real}`, `TCP 10.96.0.1:80 → ${real}`];
const byAddressLines = [
  `TCP 10.96.0.1:80 → ${real}`,
  `TCP 192.0.2.1:${nodePort} → ${real}`,
  `TCP 192.0.2.2:${nodePort} → ${real}`,
];

const sharedElements = [
  `IPv4 firewall-marks ${fwmark}`,
  'IPv4 node-port-addresses 192.0.2.1',
  'IPv4 node-port-addresses 192.0.2.2',
  `IPv4 node-port TCP . ${nodePort} : ${fwmark}`,
  `IPv4 node-ports-external TCP . ${nodePort}`,
];

const start = (nodePortSharing: boolean): Promise<ProductionNode> =>
  ProductionNode.start({ settings: { nodePortSharing }, facts: addresses('192.0.2.1', '192.0.2.2') });

const serving = async (nodePortSharing: boolean): Promise<ProductionNode> => {
  const node = await start(nodePortSharing);
  await node.change(web.key, web, endpoints);
  return node;
};

/** The elements that concern the node port. */
const nodePortElements = ({ elements }: ProductionNode): readonly string[] =>
  elements.filter((element) => /node-port|firewall-marks|: \d+$|192\.0\.2/.test(element)).toSorted();

/** Whether a new request to the node port of an address finds a virtual server with a real server that takes it. */
const isServed = ({ lines, elements }: ProductionNode, address: string): boolean => {
  const isLed =
    elements.includes(`IPv4 node-port-addresses ${address}`) &&
    elements.includes(`IPv4 node-port TCP . ${nodePort} : ${fwmark}`);
  const taking =
    isLed && lines.some((line) => line.startsWith(`${key} `)) ? key : `TCP ${address}:${nodePort}`;
  const line = lines.find((each) => each.startsWith(`${taking} `)) ?? '';
  return line.includes('10.1.0.') && !/10\.1\.0\.1:80 weight 0/.test(line);
};

/** Records each moment at which the node port is not served, while `change` runs. */
const gapsDuring = async (
  node: ProductionNode,
  change: () => Promise<unknown>,
): Promise<readonly string[]> => {
  const gaps: string[] = [];
  node.kernel.faults.always = () => {
    for (const address of ['192.0.2.1', '192.0.2.2'])
      if (!isServed(node, address)) gaps.push([address, ...node.lines].join('\n'));
    return undefined;
  };
  await change();
  node.kernel.faults.always = () => undefined;
  return gaps;
};

test('one virtual server serves the node port of all addresses', async () => {
  await using node = await serving(true);
  assert.deepEqual(node.lines, sharedLines);
  assert.deepEqual(nodePortElements(node), sharedElements.toSorted());
  assert.deepEqual(await node.restart(), [], 'the next process adopts it');
  assert.deepEqual(await node.resync(), []);
});

test('an address that comes or goes changes one element', async () => {
  await using node = await serving(true);
  const before = node.elements;
  await node.setFacts(addresses('192.0.2.1', '192.0.2.2', '192.0.2.3'));
  assert.deepEqual(node.lines, sharedLines);
  assert.deepEqual(
    node.elements.filter((element) => !before.includes(element)),
    ['IPv4 node-port-addresses 192.0.2.3'],
  );
  await node.setFacts(addresses('192.0.2.1', '192.0.2.2'));
  assert.deepEqual([node.lines, node.elements], [sharedLines, before]);
});

for (const [from, to, wanted] of [
  [false, true, sharedLines],
  [true, false, byAddressLines],
] as const)
  for (const busy of [false, true])
    test(`sharing ${from} → ${to}, ${busy ? 'with' : 'without'} open connections: the port is served at every moment`, async () => {
      await using node = await serving(from);
      const before = node.lines;
      node.kernel.ipvs.busy = busy;
      const gaps = await gapsDuring(node, () => node.changeSettings({ nodePortSharing: to }));
      assert.deepEqual(gaps, []);
      if (busy) {
        const draining = node.lines.filter((line) => line.includes('weight 0'));
        assert.equal(draining.length, from ? 1 : 2, before.join('\n'));
        assert.deepEqual(await node.restart(), [], 'the next process goes on with the drains');
      }
      node.kernel.ipvs.busy = false;
      await node.advance(60_000);
      assert.deepEqual(node.lines, wanted);
      assert.deepEqual(await node.resync(), []);
    });

for (const [from, to, successor] of [
  [false, true, sharedLines[0]],
  [true, false, byAddressLines[2]],
] as const)
  test(`sharing ${from} → ${to}: connections that begin while the successor is made stay`, async () => {
    await using node = await serving(from);
    node.kernel.faults.always = () => {
      if (node.lines.includes(successor ?? '')) node.kernel.ipvs.busy = true;
      return undefined;
    };
    await node.changeSettings({ nodePortSharing: to });
    node.kernel.faults.always = () => undefined;
    assert.equal(node.lines.filter((line) => line.includes('weight 0')).length, from ? 1 : 2);
    node.kernel.ipvs.busy = false;
    await node.advance(60_000);
    assert.deepEqual(node.lines, to ? sharedLines : byAddressLines);
  });

test('a Service with session affinity, and one whose requests from the cluster differ, keep one for each address', async () => {
  await using node = await start(true);
  const sticky = service('web', {
    type: 'NodePort',
    clusterIP: '10.96.0.1',
    ports: [`:80@${nodePort}`],
    sessionAffinity: 'ClientIP',
  });
  await node.change(web.key, sticky, endpoints);
  assert.equal(node.lines.filter((line) => line.startsWith('TCP 192.0.2.')).length, 2);
  assert.deepEqual(
    nodePortElements(node).filter((element) => element.includes('node-port')),
    [],
  );
  const gaps = await gapsDuring(node, () => node.change(web.key, web, endpoints));
  await node.advance(60_000);
  assert.deepEqual([gaps, node.lines], [[], sharedLines], 'affinity ends');
  await node.changeSettings({ inClusterEndpoints: 'all' });
  assert.deepEqual(node.lines, sharedLines, 'with the policy Cluster there is no difference');
  const localPolicy = service('web', {
    type: 'NodePort',
    clusterIP: '10.96.0.1',
    ports: [`:80@${nodePort}`],
    externalTrafficPolicy: 'Local',
  });
  await node.change(web.key, localPolicy, endpoints);
  await node.advance(60_000);
  assert.deepEqual(
    node.lines.filter((line) => line.startsWith(`${key} `)),
    [],
  );
  assert.equal(node.lines.filter((line) => line.startsWith('TCP 192.0.2.')).length, 2);
});

test('a Service that is deleted leaves nothing', async () => {
  await using node = await serving(true);
  await node.change(web.key, undefined, []);
  await node.advance(60_000);
  assert.deepEqual([node.lines, nodePortElements(node)], [[], []]);
});

test('another program deletes it, or its elements: both are made again', async () => {
  await using node = await serving(true);
  await node.other.apply({ kind: 'delete-virtual-server', server: marked });
  await node.resync();
  assert.deepEqual([node.lines, nodePortElements(node)], [sharedLines, sharedElements.toSorted()]);
});

test('a virtual server of another program on the mark is left alone, and requests are not led to it', async () => {
  await using node = await start(true);
  await node.other.apply({ kind: 'add-virtual-server', server: virtual(marked, { scheduler: 'wlc' }) });
  await node.change(web.key, web, endpoints);
  assert.ok(node.lines.includes(`${key} wlc → —`));
  assert.deepEqual(
    nodePortElements(node).filter((element) => !element.includes('addresses')),
    [],
  );
});

test('of two Services with one node port the older one has it; the other one follows', async () => {
  await using node = await serving(true);
  const younger = service('young', {
    type: 'NodePort',
    clusterIP: '10.96.0.2',
    ports: [`:80@${nodePort}`],
    createdAt: '2025-01-01T00:00:00Z',
  });
  const backends = [slice('young', [ready('10.1.0.9')])];
  await node.change(younger.key, younger, backends);
  assert.ok(node.lines.includes(sharedLines[0] ?? ''));
  assert.match(node.problems.join(), /AddressInUse/);
  await node.change(web.key, undefined, []);
  await node.advance(60_000);
  assert.ok(node.lines.includes(`${key} → 10.1.0.9:80`), node.lines.join('\n'));
});
