// The scenarios of kube-proxy (by their numbers) in which one state follows another, and what each change may cost.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cidrContains, parseCidr } from '../../src/base/ip.js';
import { serviceKey } from '../../src/model/service.js';
import { virtualServerKey, type VirtualServerIdentity } from '../../src/model/virtual-server.js';
import { defaultDrainSettings } from '../../src/plan/drain/drain-step.js';
import { ownershipOf } from '../../src/plan/ownership/ownership.js';
import {
  ip,
  local,
  nodeFacts,
  ready,
  service,
  slice,
  type EndpointSpec,
  type ServiceSpec,
} from '../support/objects.js';
import { ProductionNode } from '../support/production-node.js';

const minute = 60_000;
const vip = '10.20.30.41';
const key = serviceKey('default', 'web');
const web = (fields: ServiceSpec = {}) => service('web', { clusterIP: vip, ...fields });
const webSlice = (...endpoints: readonly EndpointSpec[]) => slice('web', endpoints);
const a = ready('10.0.1.1');
const b = ready('10.0.1.2');
const c = ready('10.0.1.3');

/** A node on which `web` is served by a and b. */
const servingWeb = async (fields: ServiceSpec = {}): Promise<ProductionNode> => {
  const node = await ProductionNode.start();
  await node.change(key, web(fields), [webSlice(a, b)]);
  return node;
};

const virtual = (address: string, port: number, protocol: 'TCP' | 'UDP' = 'TCP'): VirtualServerIdentity => ({
  by: 'address',
  protocol,
  address: ip(address),
  port,
});

test('11: the virtual server and its address outlive its last slice', async () => {
  await using node = await servingWeb();
  assert.equal((await node.change(key, web(), [])).length, 4, 'weight 0 and deletion, twice');
  assert.deepEqual(node.lines, [`TCP ${vip}:80 → —`]);
  assert.deepEqual(node.addresses, [`${vip}/32`]);
});

test('13: a port that goes takes its virtual server and leaves the address to the others', async () => {
  await using node = await servingWeb({ ports: [':80', 'second:81'] });
  assert.deepEqual(await node.change(key, web(), [webSlice(a, b)]), [`- virtual server TCP ${vip}:81`]);
  assert.deepEqual(node.addresses, [`${vip}/32`]);
});

test('14, 101: a Service that goes takes its virtual server with its real servers, then its address', async () => {
  await using node = await servingWeb();
  assert.deepEqual(await node.change(key, undefined, []), [
    `- virtual server TCP ${vip}:80`,
    `- address ${vip}/32`,
  ]);
  assert.deepEqual([...node.lines, ...node.addresses], []);
});

test('a new Service comes from the inside out', async () => {
  await using node = await ProductionNode.start();
  assert.deepEqual(await node.change(key, web(), [webSlice(a, b)]), [
    `+ virtual server TCP ${vip}:80 rr`,
    `+ real server TCP ${vip}:80 → 10.0.1.1:80 masquerade weight 1`,
    `+ real server TCP ${vip}:80 → 10.0.1.2:80 masquerade weight 1`,
    `+ address ${vip}/32`,
  ]);
});

test('an endpoint that comes is one operation; one that is replaced comes before the other goes', async () => {
  await using node = await servingWeb();
  assert.deepEqual(await node.change(key, web(), [webSlice(a, b, c)]), [
    `+ real server TCP ${vip}:80 → 10.0.1.3:80 masquerade weight 1`,
  ]);
  assert.deepEqual(await node.change(key, web(), [webSlice(a, b, ready('10.0.1.4'))]), [
    `+ real server TCP ${vip}:80 → 10.0.1.4:80 masquerade weight 1`,
    `~ real server TCP ${vip}:80 → 10.0.1.3:80 masquerade weight 0`,
    `- real server TCP ${vip}:80 → 10.0.1.3:80`,
  ]);
});

test('93, 96: affinity and scheduler change in place, and the real servers stay', async () => {
  await using node = await servingWeb({ sessionAffinity: 'ClientIP' });
  assert.deepEqual(await node.change(key, web(), [webSlice(a, b)]), [`~ virtual server TCP ${vip}:80 rr`]);
  const annotations = { 'ipvs.kube-ipvs.dev/scheduler': 'mh' };
  assert.deepEqual(await node.change(key, web({ annotations }), [webSlice(a, b)]), [
    `~ virtual server TCP ${vip}:80 mh mh-port`,
  ]);
  assert.deepEqual(node.lines, [`TCP ${vip}:80 mh mh-port → 10.0.1.1:80, 10.0.1.2:80`]);
});

test('96: a virtual server of ours that is not as we left it is set right in place at the start', async () => {
  await using node = await servingWeb();
  await node.stop();
  const identity = virtual(vip, 80);
  await node.other.apply({
    kind: 'update-virtual-server',
    server: {
      key: virtualServerKey(identity),
      identity,
      scheduler: 'wlc',
      persistence: { seconds: 5, prefixLength: 24 },
      flags: ['ops'],
    },
  });
  assert.deepEqual(node.lines, [`TCP ${vip}:80 wlc persistent 5 ops → 10.0.1.1:80, 10.0.1.2:80`]);
  assert.deepEqual(await node.restart(), [`~ virtual server TCP ${vip}:80 rr`]);
});

test('97: an address that is bound already is not bound again', async () => {
  await using node = await ProductionNode.start();
  await node.other.apply({ kind: 'bind-address', address: ip(vip), binding: 'address' });
  assert.deepEqual(await node.change(key, web(), []), [`+ virtual server TCP ${vip}:80 rr`]);
});

test('98, 99: a weight changed from outside, or left by a process before, is repaired at any time', async () => {
  await using node = await servingWeb();
  const of = virtual(vip, 80);
  const [found] = await node.other.ipvs.realServers(of);
  assert.ok(found);
  for (const weight of [0, 7]) {
    await node.other.apply({ kind: 'update-real-server', of, server: { ...found, weight } });
    assert.deepEqual(await node.resync(), [`~ real server TCP ${vip}:80 → 10.0.1.1:80 masquerade weight 1`]);
    // One resync that is asked for waits until some time after the one before.
    await node.advance(minute);
  }
});

test('100, 102, 103: of what nobody wants only what is provably ours may be deleted', async () => {
  const excluded = ['3.3.3.0/24', '4.4.4.0/24', 'fd03::/64']
    .map(parseCidr)
    .filter((cidr) => cidr !== undefined);
  const dummy = new Set(['3.3.3.3', '5.5.5.5', 'fd05::5', 'fd03::3'].map(ip));
  const facts = {
    isBoundVip: (address: ReturnType<typeof ip>) => dummy.has(address),
    hasNodeAddress: (address: ReturnType<typeof ip>) => address === ip('10.200.0.2'),
    isExcluded: (address: ReturnType<typeof ip>) => excluded.some((cidr) => cidrContains(cidr, address)),
    hasMarker: () => false,
    canHaveMarker: () => true,
    isTakingOver: () => true,
    isDesired: () => false,
    adoptForeign: () => false,
  };
  const cases = [
    ['5.5.5.5', 80, 'ours'],
    ['fd05::5', 80, 'ours'],
    ['3.3.3.3', 80, 'foreign'],
    ['fd03::3', 80, 'foreign'],
    ['4.4.4.4', 30_000, 'foreign'],
    ['6.6.6.6', 80, 'foreign'],
    ['6.6.6.6', 30_000, 'foreign'],
    ['10.200.0.2', 29_999, 'foreign'],
    ['10.200.0.2', 30_000, 'ours'],
    ['10.200.0.2', 32_767, 'ours'],
    ['10.200.0.2', 32_768, 'foreign'],
  ] as const;
  for (const [address, port, expected] of cases)
    assert.equal(ownershipOf(virtual(address, port), facts), expected, `${address}:${port}`);
  assert.equal(ownershipOf({ by: 'fwmark', fwmark: 5, family: 'IPv4' }, facts), 'foreign');
});

test('104: a TCP real server without connections is deleted at once', async () => {
  await using node = await servingWeb();
  await node.change(key, web(), [webSlice(a)]);
  assert.deepEqual(node.lines, [`TCP ${vip}:80 → 10.0.1.1:80`]);
});

const connectionTo = (address: string): string => `TCP ${vip}:80 → ${address}:80`;

test('105: with connections it stays with weight 0 until they are gone', async () => {
  await using node = await servingWeb();
  node.kernel.ipvs.connections.set(connectionTo('10.0.1.2'), 10);
  assert.deepEqual(await node.change(key, web(), [webSlice(a)]), [
    `~ real server TCP ${vip}:80 → 10.0.1.2:80 masquerade weight 0`,
  ]);
  assert.deepEqual(node.lines, [`TCP ${vip}:80 → 10.0.1.1:80, 10.0.1.2:80 weight 0`]);
  assert.deepEqual(await node.advance(minute), []);
  assert.deepEqual(await node.resync(), [], 'a resync knows that it drains');
  node.kernel.ipvs.connections.clear();
  assert.deepEqual(await node.advance(minute), [`- real server TCP ${vip}:80 → 10.0.1.2:80`]);
});

test('105: or until the deadline, which kube-proxy does not have', async () => {
  await using node = await servingWeb();
  node.kernel.ipvs.connections.set(connectionTo('10.0.1.2'), 1);
  await node.change(key, web(), [webSlice(a)]);
  assert.deepEqual(await node.advance(15 * minute - 1), []);
  assert.deepEqual(await node.advance(1), [`- real server TCP ${vip}:80 → 10.0.1.2:80`]);
});

test('106: UDP and SCTP real servers are deleted at once where it is configured so, whatever connections they have', async () => {
  for (const protocol of ['UDP', 'SCTP'] as const) {
    await using node = await ProductionNode.start({
      settings: { drainDeadlines: { ...defaultDrainSettings.deadlines, UDP: 0, SCTP: 0 } },
    });
    const ports = [`:80/${protocol}`];
    await node.change(key, web({ ports }), [slice('web', [a, b], { ports })]);
    node.kernel.ipvs.connections.set(`${protocol} ${vip}:80 → 10.0.1.2:80`, 10);
    assert.deepEqual(await node.change(key, web({ ports }), [slice('web', [a], { ports })]), [
      `- real server ${protocol} ${vip}:80 → 10.0.1.2:80`,
    ]);
  }
});

test('106: else they drain for a short time, or for as long as their Service says', async () => {
  const seconds = async (
    protocol: 'UDP' | 'SCTP',
    annotations: Readonly<Record<string, string>> = {},
  ): Promise<number> => {
    await using node = await ProductionNode.start();
    const ports = [`:80/${protocol}`];
    await node.change(key, web({ ports, annotations }), [slice('web', [a, b], { ports })]);
    node.kernel.ipvs.connections.set(`${protocol} ${vip}:80 → 10.0.1.2:80`, 1);
    assert.deepEqual(await node.change(key, web({ ports, annotations }), [slice('web', [a], { ports })]), [
      `~ real server ${protocol} ${vip}:80 → 10.0.1.2:80 masquerade weight 0`,
    ]);
    for (let second = 1; second < 1_000; second += 1)
      if ((await node.advance(1_000)).length > 0) return second;
    return Infinity;
  };
  assert.equal(await seconds('UDP'), 5);
  assert.equal(await seconds('SCTP'), 60);
  assert.equal(await seconds('UDP', { 'ipvs.kube-ipvs.dev/drain-deadline': '1m30s' }), 90);
  assert.equal(await seconds('SCTP', { 'ipvs.kube-ipvs.dev/drain-deadline': '10' }), 60, 'no duration');
});

test('107: a draining real server that vanished is forgotten', async () => {
  await using node = await servingWeb();
  node.kernel.ipvs.connections.set(connectionTo('10.0.1.2'), 1);
  await node.change(key, web(), [webSlice(a)]);
  const [server] = (await node.other.ipvs.realServers(virtual(vip, 80))).filter(({ weight }) => weight === 0);
  assert.ok(server);
  await node.other.apply({ kind: 'delete-real-server', of: virtual(vip, 80), server });
  assert.deepEqual(await node.advance(minute), []);
  assert.deepEqual(node.lines, [`TCP ${vip}:80 → 10.0.1.1:80`]);
});

test('108: an endpoint that returns while it drains gets its weight back in place, and a new deadline later', async () => {
  await using node = await servingWeb();
  node.kernel.ipvs.connections.set(connectionTo('10.0.1.2'), 1);
  await node.change(key, web(), [webSlice(a)]);
  await node.advance(minute);
  assert.deepEqual(await node.change(key, web(), [webSlice(a, b)]), [
    `~ real server TCP ${vip}:80 → 10.0.1.2:80 masquerade weight 1`,
  ]);
  assert.deepEqual(await node.advance(19 * minute), []);
  assert.deepEqual(await node.change(key, web(), [webSlice(a)]), [
    `~ real server TCP ${vip}:80 → 10.0.1.2:80 masquerade weight 0`,
  ]);
  assert.deepEqual(await node.advance(15 * minute - 1), []);
  assert.deepEqual(await node.advance(1), [`- real server TCP ${vip}:80 → 10.0.1.2:80`]);
});

test('sh falls back to another real server while one drains, so that no client is refused, and only then', async () => {
  await using node = await ProductionNode.start({ settings: { scheduler: 'sh' } });
  await node.change(key, web(), [webSlice(a, b)]);
  node.kernel.ipvs.connections.set(connectionTo('10.0.1.2'), 1);
  assert.deepEqual(await node.change(key, web(), [webSlice(a)]), [
    `~ virtual server TCP ${vip}:80 sh sh-fallback`,
    `~ real server TCP ${vip}:80 → 10.0.1.2:80 masquerade weight 0`,
  ]);
  assert.deepEqual(await node.resync(), []);
  node.kernel.ipvs.connections.clear();
  assert.deepEqual(await node.advance(minute), [
    `- real server TCP ${vip}:80 → 10.0.1.2:80`,
    `~ virtual server TCP ${vip}:80 sh`,
  ]);
});

test('with dh nothing drains while a real server is left: one has all clients of an address, and weight 0 would refuse them', async () => {
  await using node = await ProductionNode.start({ settings: { scheduler: 'dh' } });
  await node.change(key, web(), [webSlice(a, b)]);
  node.kernel.ipvs.connections.set(connectionTo('10.0.1.2'), 1);
  assert.deepEqual(await node.change(key, web(), [webSlice(a)]), [
    `- real server TCP ${vip}:80 → 10.0.1.2:80`,
  ]);
});

test('what an earlier process left draining goes on draining, and its deadline does not begin anew', async () => {
  await using node = await servingWeb();
  node.kernel.ipvs.connections.set(connectionTo('10.0.1.2'), 1);
  await node.change(key, web(), [webSlice(a)]);
  await node.advance(10 * minute);
  assert.deepEqual(await node.restart(), []);
  assert.deepEqual(await node.advance(5 * minute - 1_000), []);
  assert.deepEqual(await node.advance(1_000), [`- real server TCP ${vip}:80 → 10.0.1.2:80`]);
});

test('114: slices, ports and endpoints in another order change nothing', async () => {
  await using node = await servingWeb();
  assert.deepEqual(await node.change(key, web(), [webSlice(b), slice('web', [a], { suffix: 'other' })]), []);
});

test('an address that another interface gets is left to it, and comes back when it loses it', async () => {
  await using node = await servingWeb();
  const taken = nodeFacts(['lo 127.0.0.1/8', `eth0 ${vip}/24`]);
  assert.deepEqual(await node.setFacts(taken), [`- address ${vip}/32`]);
  assert.deepEqual(node.problems, ['ClusterIpOnInterface']);
  assert.deepEqual(await node.setFacts(nodeFacts()), [`+ address ${vip}/32`]);
});

test('a node address that comes or goes takes the node ports along and nothing else', async () => {
  await using node = await servingWeb({ type: 'NodePort', ports: [':80@30080'] });
  assert.deepEqual(await node.setFacts(nodeFacts(['eth0 10.9.0.1/24'])), [
    '+ virtual server TCP 10.9.0.1:30080 rr',
    '+ real server TCP 10.9.0.1:30080 → 10.0.1.1:80 masquerade weight 1',
    '+ real server TCP 10.9.0.1:30080 → 10.0.1.2:80 masquerade weight 1',
  ]);
  assert.deepEqual(await node.setFacts(nodeFacts()), ['- virtual server TCP 10.9.0.1:30080']);
});

test('a change of policy is only the difference', async () => {
  await using node = await ProductionNode.start();
  await node.change(key, web(), [webSlice(local(a), b)]);
  assert.deepEqual(await node.change(key, web({ internalTrafficPolicy: 'Local' }), [webSlice(local(a), b)]), [
    `~ real server TCP ${vip}:80 → 10.0.1.2:80 masquerade weight 0`,
    `- real server TCP ${vip}:80 → 10.0.1.2:80`,
  ]);
});
