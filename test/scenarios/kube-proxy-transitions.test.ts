// The scenarios of kube-proxy (by their numbers) in which one state follows another, and what each change may cost.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cidrContains, parseCidr } from '../../src/base/ip.js';
import { serviceKey } from '../../src/model/service.js';
import {
  realServerKey,
  virtualServerKey,
  type VirtualServerIdentity,
} from '../../src/model/virtual-server.js';
import { defaultDrainSettings } from '../../src/plan/drain/drain-step.js';
import { ownershipOf } from '../../src/plan/ownership/ownership.js';
import {
  ip,
  local,
  nodeFacts,
  ready,
  service,
  settings,
  slice,
  type EndpointSpec,
  type ServiceSpec,
} from '../support/objects.js';
import { SimulatedNode } from '../support/simulated-node.js';

const vip = '10.20.30.41';
const key = serviceKey('default', 'web');
const web = (fields: ServiceSpec = {}) => service('web', { clusterIP: vip, ...fields });
const webSlice = (...endpoints: readonly EndpointSpec[]) => slice('web', endpoints);
const a = ready('10.0.1.1');
const b = ready('10.0.1.2');
const c = ready('10.0.1.3');

/** A node on which `web` is served by a and b. */
const servingWeb = (fields: ServiceSpec = {}): SimulatedNode => {
  const node = new SimulatedNode();
  node.change(key, web(fields), [webSlice(a, b)]);
  return node;
};

const virtual = (address: string, port: number, protocol: 'TCP' | 'UDP' = 'TCP'): VirtualServerIdentity => ({
  by: 'address',
  protocol,
  address: ip(address),
  port,
});

test('11: the virtual server and its address outlive its last slice', () => {
  const node = servingWeb();
  assert.deepEqual(node.change(key, web(), []).length, 4, 'weight 0 and deletion, twice');
  assert.deepEqual(node.lines, [`TCP ${vip}:80 → —`]);
  assert.deepEqual(node.addresses, [`${vip}/32`]);
});

test('13: a port that goes takes its virtual server and leaves the address to the others', () => {
  const node = servingWeb({ ports: [':80', 'second:81'] });
  assert.deepEqual(node.change(key, web(), [webSlice(a, b)]), [`- virtual server TCP ${vip}:81`]);
  assert.deepEqual(node.addresses, [`${vip}/32`]);
});

test('14, 101: a Service that goes takes its virtual server with its real servers, then its address', () => {
  const node = servingWeb();
  assert.deepEqual(node.change(key, undefined, []), [
    `- virtual server TCP ${vip}:80`,
    `- address ${vip}/32`,
  ]);
  assert.deepEqual([...node.lines, ...node.addresses], []);
});

test('a new Service comes from the inside out', () => {
  const node = new SimulatedNode();
  assert.deepEqual(node.change(key, web(), [webSlice(a, b)]), [
    `+ virtual server TCP ${vip}:80 rr`,
    `+ real server TCP ${vip}:80 → 10.0.1.1:80 masquerade weight 1`,
    `+ real server TCP ${vip}:80 → 10.0.1.2:80 masquerade weight 1`,
    `+ address ${vip}/32`,
  ]);
});

test('an endpoint that comes is one operation; one that is replaced comes before the other goes', () => {
  const node = servingWeb();
  assert.deepEqual(node.change(key, web(), [webSlice(a, b, c)]), [
    `+ real server TCP ${vip}:80 → 10.0.1.3:80 masquerade weight 1`,
  ]);
  assert.deepEqual(node.change(key, web(), [webSlice(a, b, ready('10.0.1.4'))]), [
    `+ real server TCP ${vip}:80 → 10.0.1.4:80 masquerade weight 1`,
    `~ real server TCP ${vip}:80 → 10.0.1.3:80 masquerade weight 0`,
    `- real server TCP ${vip}:80 → 10.0.1.3:80`,
  ]);
});

test('93, 96: affinity and scheduler change in place, and the real servers stay', () => {
  const node = servingWeb({ sessionAffinity: 'ClientIP' });
  assert.deepEqual(node.change(key, web(), [webSlice(a, b)]), [`~ virtual server TCP ${vip}:80 rr`]);
  const annotations = { 'ipvs.kube-ipvs.dev/scheduler': 'mh' };
  assert.deepEqual(node.change(key, web({ annotations }), [webSlice(a, b)]), [
    `~ virtual server TCP ${vip}:80 mh mh-port`,
  ]);
  assert.deepEqual(node.lines, [`TCP ${vip}:80 mh mh-port → 10.0.1.1:80, 10.0.1.2:80`]);
});

test('96: a virtual server of ours that another made is adopted and set right in place', () => {
  const node = new SimulatedNode();
  const identity = virtual(vip, 80);
  node.kernel.apply([
    {
      kind: 'add-virtual-server',
      server: {
        key: virtualServerKey(identity),
        identity,
        scheduler: 'wlc',
        persistence: { seconds: 5, prefixLength: 24 },
        flags: ['ops'],
      },
    },
  ]);
  assert.deepEqual(node.change(key, web(), []), [`~ virtual server TCP ${vip}:80 rr`, `+ address ${vip}/32`]);
});

test('97: an address that is bound already is not bound again', () => {
  const node = new SimulatedNode();
  node.kernel.apply([{ kind: 'bind-address', address: ip(vip) }]);
  assert.deepEqual(node.change(key, web(), []), [`+ virtual server TCP ${vip}:80 rr`]);
});

test('98, 99: a weight changed from outside, or left by a process before, is repaired at any time', () => {
  const node = servingWeb();
  const of = virtual(vip, 80);
  const found = node.kernel
    .virtualServer(virtualServerKey(virtual(vip, 80)))
    ?.realServers.get(realServerKey(ip('10.0.1.1'), 80));
  assert.ok(found);
  for (const weight of [0, 7]) {
    node.kernel.apply([{ kind: 'update-real-server', of, server: { ...found, weight } }]);
    assert.deepEqual(node.resync(), [`~ real server TCP ${vip}:80 → 10.0.1.1:80 masquerade weight 1`]);
  }
});

test('100, 102, 103: of what nobody wants only what is provably ours may be deleted', () => {
  const excluded = ['3.3.3.0/24', '4.4.4.0/24', 'fd03::/64']
    .map(parseCidr)
    .filter((cidr) => cidr !== undefined);
  const dummy = new Set(['3.3.3.3', '5.5.5.5', 'fd05::5', 'fd03::3'].map(ip));
  const facts = {
    hasDummyAddress: (address: ReturnType<typeof ip>) => dummy.has(address),
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

test('104: a TCP real server without connections is deleted at once', () => {
  const node = servingWeb();
  node.change(key, web(), [webSlice(a)]);
  assert.deepEqual(node.lines, [`TCP ${vip}:80 → 10.0.1.1:80`]);
  assert.equal(node.draining.size, 0);
});

const connectionTo = (address: string): string => `TCP ${vip}:80 → ${address}:80`;
const minute = 60_000;

test('105: with connections it stays with weight 0 until they are gone', () => {
  const node = servingWeb();
  node.kernel.connections.set(connectionTo('10.0.1.2'), 10);
  assert.deepEqual(node.change(key, web(), [webSlice(a)]), [
    `~ real server TCP ${vip}:80 → 10.0.1.2:80 masquerade weight 0`,
  ]);
  assert.deepEqual(node.lines, [`TCP ${vip}:80 → 10.0.1.1:80, 10.0.1.2:80 weight 0`]);
  assert.deepEqual(node.resync(minute), [], 'a resync knows that it drains');
  node.kernel.connections.clear();
  assert.deepEqual(node.lookAtDraining(undefined, 2 * minute), [`- real server TCP ${vip}:80 → 10.0.1.2:80`]);
  assert.equal(node.draining.size, 0);
});

test('105: or until the deadline, which kube-proxy does not have', () => {
  const node = servingWeb();
  node.kernel.connections.set(connectionTo('10.0.1.2'), 1);
  node.change(key, web(), [webSlice(a)], 0);
  assert.deepEqual(node.lookAtDraining(undefined, 15 * minute - 1), []);
  assert.deepEqual(node.lookAtDraining(undefined, 15 * minute), [
    `- real server TCP ${vip}:80 → 10.0.1.2:80`,
  ]);
});

test('106: UDP and SCTP real servers are deleted at once where it is configured so, whatever connections they have', () => {
  for (const protocol of ['UDP', 'SCTP'] as const) {
    const node = new SimulatedNode(nodeFacts(), settings(), {
      deadlines: { ...defaultDrainSettings.deadlines, UDP: 0, SCTP: 0 },
    });
    const ports = [`:80/${protocol}`];
    node.change(key, web({ ports }), [slice('web', [a, b], { ports })]);
    node.kernel.connections.set(`${protocol} ${vip}:80 → 10.0.1.2:80`, 10);
    assert.deepEqual(node.change(key, web({ ports }), [slice('web', [a], { ports })]), [
      `- real server ${protocol} ${vip}:80 → 10.0.1.2:80`,
    ]);
  }
});

test('106: else they drain for a short time, or for as long as their Service says', () => {
  const seconds = (protocol: 'UDP' | 'SCTP', annotations: Readonly<Record<string, string>> = {}): number => {
    const node = new SimulatedNode();
    const ports = [`:80/${protocol}`];
    node.change(key, web({ ports, annotations }), [slice('web', [a, b], { ports })]);
    node.kernel.connections.set(`${protocol} ${vip}:80 → 10.0.1.2:80`, 1);
    assert.deepEqual(node.change(key, web({ ports, annotations }), [slice('web', [a], { ports })]), [
      `~ real server ${protocol} ${vip}:80 → 10.0.1.2:80 masquerade weight 0`,
    ]);
    for (let second = 1; second < 1_000; second += 1)
      if (node.lookAtDraining(undefined, second * 1_000).length > 0) return second;
    return Infinity;
  };
  assert.equal(seconds('UDP'), 5);
  assert.equal(seconds('SCTP'), 60);
  assert.equal(seconds('UDP', { 'ipvs.kube-ipvs.dev/drain-deadline': '1m30s' }), 90);
  assert.equal(seconds('SCTP', { 'ipvs.kube-ipvs.dev/drain-deadline': '10' }), 60, 'no duration');
});

test('107: a draining real server that vanished is forgotten', () => {
  const node = servingWeb();
  node.kernel.connections.set(connectionTo('10.0.1.2'), 1);
  node.change(key, web(), [webSlice(a)]);
  const [server] = [...node.kernel.observe(virtual(vip, 80))].filter(({ weight }) => weight === 0);
  assert.ok(server);
  node.kernel.apply([{ kind: 'delete-real-server', of: virtual(vip, 80), server }]);
  assert.deepEqual(node.lookAtDraining(undefined, minute), []);
  assert.deepEqual(node.lines, [`TCP ${vip}:80 → 10.0.1.1:80`]);
});

test('108: an endpoint that returns while it drains gets its weight back in place, and a new deadline later', () => {
  const node = servingWeb();
  node.kernel.connections.set(connectionTo('10.0.1.2'), 1);
  node.change(key, web(), [webSlice(a)], 0);
  assert.deepEqual(node.change(key, web(), [webSlice(a, b)], minute), [
    `~ real server TCP ${vip}:80 → 10.0.1.2:80 masquerade weight 1`,
  ]);
  assert.equal(node.draining.size, 0);
  assert.deepEqual(node.change(key, web(), [webSlice(a)], 20 * minute), [
    `~ real server TCP ${vip}:80 → 10.0.1.2:80 masquerade weight 0`,
  ]);
  assert.deepEqual(node.lookAtDraining(undefined, 34 * minute), []);
});

test('sh falls back to another real server while one drains, so that no client is refused, and only then', () => {
  const node = new SimulatedNode(nodeFacts(), settings({ scheduler: 'sh' }));
  node.change(key, web(), [webSlice(a, b)]);
  node.kernel.connections.set(connectionTo('10.0.1.2'), 1);
  assert.deepEqual(node.change(key, web(), [webSlice(a)]), [
    `~ virtual server TCP ${vip}:80 sh sh-fallback`,
    `~ real server TCP ${vip}:80 → 10.0.1.2:80 masquerade weight 0`,
  ]);
  assert.deepEqual(node.resync(minute), []);
  node.kernel.connections.clear();
  assert.deepEqual(node.lookAtDraining(undefined, 2 * minute), [
    `- real server TCP ${vip}:80 → 10.0.1.2:80`,
    `~ virtual server TCP ${vip}:80 sh`,
  ]);
});

test('with dh nothing drains while a real server is left: one has all clients of an address, and weight 0 would refuse them', () => {
  const node = new SimulatedNode(nodeFacts(), settings({ scheduler: 'dh' }));
  node.change(key, web(), [webSlice(a, b)]);
  node.kernel.connections.set(connectionTo('10.0.1.2'), 1);
  assert.deepEqual(node.change(key, web(), [webSlice(a)]), [`- real server TCP ${vip}:80 → 10.0.1.2:80`]);
});

test('what an earlier process left draining goes on draining', () => {
  const before = servingWeb();
  before.kernel.connections.set(connectionTo('10.0.1.2'), 1);
  before.change(key, web(), [webSlice(a)]);
  before.draining = new Map();
  assert.deepEqual(before.resync(), []);
  assert.equal(before.draining.size, 1);
  before.kernel.connections.clear();
  assert.deepEqual(before.lookAtDraining(), [`- real server TCP ${vip}:80 → 10.0.1.2:80`]);
});

test('114: slices, ports and endpoints in another order change nothing', () => {
  const node = servingWeb();
  assert.deepEqual(node.change(key, web(), [webSlice(b), slice('web', [a], { suffix: 'other' })]), []);
});

test('an address that another interface gets is left to it, and comes back when it loses it', () => {
  const node = servingWeb();
  const taken = nodeFacts(['lo 127.0.0.1/8', `eth0 ${vip}/24`]);
  assert.deepEqual(node.setContext(taken), [`- address ${vip}/32`]);
  assert.deepEqual(node.problems, ['ClusterIpOnInterface']);
  assert.deepEqual(node.setContext(nodeFacts()), [`+ address ${vip}/32`]);
});

test('a node address that comes or goes takes the node ports along and nothing else', () => {
  const node = servingWeb({ type: 'NodePort', ports: [':80@30080'] });
  assert.deepEqual(node.setContext(nodeFacts(['eth0 10.9.0.1/24'])), [
    '+ virtual server TCP 10.9.0.1:30080 rr',
    '+ real server TCP 10.9.0.1:30080 → 10.0.1.1:80 masquerade weight 1',
    '+ real server TCP 10.9.0.1:30080 → 10.0.1.2:80 masquerade weight 1',
  ]);
  assert.deepEqual(node.setContext(nodeFacts()), ['- virtual server TCP 10.9.0.1:30080']);
});

test('a change of policy is only the difference', () => {
  const node = new SimulatedNode();
  node.change(key, web(), [webSlice(local(a), b)]);
  assert.deepEqual(node.change(key, web({ internalTrafficPolicy: 'Local' }), [webSlice(local(a), b)]), [
    `~ real server TCP ${vip}:80 → 10.0.1.2:80 masquerade weight 0`,
    `- real server TCP ${vip}:80 → 10.0.1.2:80`,
  ]);
});
