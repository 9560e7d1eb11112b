// externalTrafficPolicy Local with inClusterEndpoints all: over the fake kernel, in virtual time.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { firewallMark } from '../../src/model/firewall-mark.js';
import { virtualServerKey } from '../../src/model/virtual-server.js';
import { real, virtual } from '../support/virtual-server-entries.js';
import { local, ready, service, slice } from '../support/objects.js';
import { ProductionNode } from '../support/production-node.js';

const web = service('web', {
  type: 'LoadBalancer',
  clusterIP: '10.96.0.1',
  externalIPs: ['198.51.100.1'],
  ingress: [{ ip: '203.0.113.1' }],
  externalTrafficPolicy: 'Local',
});
const [here, there] = [local(ready('10.1.0.1')), ready('10.1.0.2')];
const both = [slice('web', [here, there])];
const onlyThere = [slice('web', [there])];

const fwmark = firewallMark(web.key, { protocol: 'TCP', port: 80 }, 'IPv4');
const marked = { by: 'fwmark', fwmark, family: 'IPv4' } as const;
const key = virtualServerKey(marked);

const servingWeb = async (): Promise<ProductionNode> => {
  const node = await ProductionNode.start({ settings: { inClusterEndpoints: 'all' } });
  await node.change(web.key, web, both);
  return node;
};

/** The elements that lead to the virtual server on the mark, and its ownership marker. */
const markElements = ({ elements }: ProductionNode): readonly string[] =>
  elements.filter((element) => element.includes(' in-cluster'));

const allMarkElements = [
  `IPv4 in-cluster 198.51.100.1 . TCP . 80 : ${fwmark}`,
  `IPv4 in-cluster 203.0.113.1 . TCP . 80 : ${fwmark}`,
  `IPv4 in-cluster-marks ${fwmark}`,
];

test('one virtual server on a firewall mark has all endpoints, those by address the local ones', async () => {
  await using node = await servingWeb();
  assert.deepEqual(node.lines, [
    `${key} → 10.1.0.1:80, 10.1.0.2:80`,
    'TCP 10.96.0.1:80 → 10.1.0.1:80, 10.1.0.2:80',
    'TCP 198.51.100.1:80 → 10.1.0.1:80',
    'TCP 203.0.113.1:80 → 10.1.0.1:80',
  ]);
  assert.deepEqual(markElements(node), allMarkElements);
});

test('without the setting, and where both kinds of requests have the same endpoints, there is none', async () => {
  await using node = await servingWeb();
  await node.change(web.key, web, [slice('web', [here])]);
  assert.deepEqual([node.lines.length, markElements(node)], [3, []]);
  await node.change(web.key, web, both);
  await node.changeSettings({ inClusterEndpoints: 'local' });
  assert.deepEqual([node.lines.length, markElements(node)], [3, []]);
});

test('the next process adopts it, and a resync finds nothing to change', async () => {
  await using node = await servingWeb();
  assert.deepEqual(await node.restart(), []);
  assert.deepEqual(await node.resync(), []);
});

test('a periodic resync repairs what another program does to it', async () => {
  await using node = await servingWeb();
  const before = node.lines;
  await node.other.apply({
    kind: 'update-real-server',
    of: marked,
    server: real('10.1.0.2', 80, { weight: 7 }),
  });
  assert.notDeepEqual(node.lines, before);
  await node.advance(61 * 60_000);
  assert.deepEqual(node.lines, before);
});

test('without local endpoints it drains: requests leave it at once, connections stay', async () => {
  await using node = await servingWeb();
  node.kernel.ipvs.busy = true;
  const refusing: (readonly string[])[] = [];
  node.kernel.faults.always = () => {
    const isClosed = node.lines.some((line) => line.startsWith(key) && line.endsWith('weight 0'));
    if (isClosed && node.elements.some((element) => element.startsWith('IPv4 in-cluster ')))
      refusing.push(node.lines);
    return undefined;
  };
  await node.change(web.key, web, onlyThere);
  node.kernel.faults.always = () => undefined;
  assert.deepEqual(refusing, [], 'no request is led to it while its real servers take none');
  assert.ok(
    node.lines.includes(`${key} → 10.1.0.1:80 weight 0, 10.1.0.2:80 weight 0`),
    node.lines.join('\n'),
  );
  assert.deepEqual(
    markElements(node).filter((element) => !element.includes('draining')),
    [`IPv4 in-cluster-marks ${fwmark}`],
  );
  assert.deepEqual(await node.restart(), [], 'the next process goes on with it');
  node.kernel.ipvs.busy = false;
  await node.advance(60_000);
  assert.deepEqual([node.lines.some((line) => line.startsWith('FWM')), markElements(node)], [false, []]);
});

/** A node on which only a client of the cluster has a connection, to the endpoint of another node. */
const withConnection = async (): Promise<ProductionNode> => {
  const node = await servingWeb();
  node.kernel.ipvs.connections.set(`${key} → 10.1.0.2:80`, 1);
  return node;
};

const externalAddresses = ['198.51.100.1/32', '203.0.113.1/32'];
const orphan = `${key} → 10.1.0.2:80 weight 0`;

test('after the Service is deleted, its addresses stay for the connections, over a restart too', async () => {
  await using node = await withConnection();
  await node.change(web.key, undefined, []);
  const kept = [node.lines, node.addresses, markElements(node)];
  assert.deepEqual(kept, [[orphan], externalAddresses, allMarkElements]);
  assert.deepEqual(await node.restart({ services: [], slices: [] }), []);
  assert.deepEqual(await node.resync(), []);
  assert.deepEqual([node.lines, node.addresses, markElements(node)], kept);
  node.kernel.ipvs.connections.clear();
  await node.advance(60_000);
  assert.deepEqual(
    [node.lines, node.addresses, node.elements.filter((each) => !each.includes('take-over'))],
    [[], [], []],
  );
});

test('a Service that takes over an address of the deleted one gets its requests, while the connections stay', async () => {
  await using node = await withConnection();
  await node.change(web.key, undefined, []);
  const heir = service('heir', {
    clusterIP: '10.96.0.2',
    ingress: [{ ip: '203.0.113.1' }],
    type: 'LoadBalancer',
  });
  await node.change(heir.key, heir, [slice('heir', [ready('10.1.0.3')])]);
  assert.ok(node.lines.includes(orphan) && node.lines.includes('TCP 203.0.113.1:80 → 10.1.0.3:80'));
  assert.deepEqual(
    markElements(node).filter((element) => element.startsWith('IPv4 in-cluster ')),
    [`IPv4 in-cluster 198.51.100.1 . TCP . 80 : ${fwmark}`],
  );
  await node.change(heir.key, undefined, []);
  assert.deepEqual(node.addresses, externalAddresses);
  node.kernel.ipvs.connections.clear();
  await node.advance(60_000);
  assert.deepEqual([node.lines, node.addresses], [[], []]);
});

test('an endpoint that does not answer is quarantined in it too, over a restart', async () => {
  await using node = await ProductionNode.start({ settings: { inClusterEndpoints: 'all' } });
  const careful = { ...web, annotations: { quarantine: '30s' } };
  await node.change(web.key, careful, both);
  for (let seconds = 1n; seconds <= 12n; seconds += 1n) {
    for (const [pod, outPackets] of [
      ['10.1.0.1', seconds],
      ['10.1.0.2', 0n],
    ] as const)
      node.kernel.ipvs.counters.set(`${key} → ${pod}:80`, {
        connections: seconds,
        inPackets: 4n * seconds,
        outPackets,
      });
    await node.advance(1_000);
  }
  const quarantined = `${key} → 10.1.0.1:80, 10.1.0.2:80 weight 0`;
  assert.ok(node.lines.includes(quarantined), node.lines.join('\n'));
  assert.deepEqual(await node.restart(), []);
  assert.ok(node.lines.includes(quarantined));
  await node.advance(31_000);
  assert.ok(node.lines.includes(`${key} → 10.1.0.1:80, 10.1.0.2:80`), node.lines.join('\n'));
});

test('it is wanted again before its connections end', async () => {
  await using node = await servingWeb();
  node.kernel.ipvs.busy = true;
  await node.change(web.key, web, onlyThere);
  await node.change(web.key, web, both);
  assert.ok(node.lines.includes(`${key} → 10.1.0.1:80, 10.1.0.2:80`));
  assert.deepEqual(markElements(node), allMarkElements);
});

test('requests are led to it after it has its real servers', async () => {
  await using node = await ProductionNode.start({ settings: { inClusterEndpoints: 'all' } });
  const seen: (readonly [boolean, number])[] = [];
  node.kernel.faults.always = () => {
    const complete = node.lines.includes(`${key} → 10.1.0.1:80, 10.1.0.2:80`);
    seen.push([complete, markElements(node).length]);
    return undefined;
  };
  await node.change(web.key, web, both);
  assert.ok(
    seen.some(([, elements]) => elements === 1),
    'the ownership marker comes first',
  );
  assert.deepEqual(
    seen.filter(([complete, elements]) => !complete && elements > 1),
    [],
  );
});

test('another program deletes it: the next resync makes it again', async () => {
  await using node = await servingWeb();
  const before = node.lines;
  await node.other.apply({ kind: 'delete-virtual-server', server: marked });
  await node.resync();
  assert.deepEqual(node.lines, before);
});

test('a virtual server of another program on the mark is left alone, and requests are not led to it', async () => {
  await using node = await ProductionNode.start({ settings: { inClusterEndpoints: 'all' } });
  await node.other.apply({ kind: 'add-virtual-server', server: virtual(marked, { scheduler: 'wlc' }) });
  await node.change(web.key, web, both);
  assert.ok(node.lines.includes(`${key} wlc → —`));
  assert.deepEqual(markElements(node), []);
  await node.other.apply({ kind: 'delete-virtual-server', server: marked });
  await node.resync();
  assert.ok(node.lines.includes(`${key} → 10.1.0.1:80, 10.1.0.2:80`));
  assert.deepEqual(markElements(node), allMarkElements);
});

test('in two families it has two marks', async () => {
  await using node = await ProductionNode.start({ settings: { inClusterEndpoints: 'all' } });
  const dual = service('web', {
    type: 'LoadBalancer',
    clusterIPs: ['10.96.0.1', 'fd00:96::1'],
    ipFamilies: ['IPv4', 'IPv6'],
    externalIPs: ['198.51.100.1', '2001:db8::1'],
    externalTrafficPolicy: 'Local',
  });
  const six = slice('web', [local(ready('fd00::1')), ready('fd00::2')], { family: 'IPv6', suffix: 'six' });
  await node.change(dual.key, dual, [...both, six]);
  assert.equal(node.lines.filter((line) => line.startsWith('FWM')).length, 2);
  assert.deepEqual(await node.resync(), []);
});
