import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IpAddress } from '../../../src/base/ip.js';
import { setElement } from '../../../src/nftables/declarations.js';
import type { Operation } from '../../../src/model/operation.js';
import { formatEntry, planEntry, type ObservedVirtualServers } from '../../../src/model/plan-entry.js';
import {
  realServerKey,
  virtualServerKey,
  type RealServer,
  type VirtualServer,
  type VirtualServerKey,
} from '../../../src/model/virtual-server.js';
import { phases } from '../../../src/plan/operations/phases.js';
import {
  planGroups,
  planSummary,
  planText,
  operationReason,
  summaryText,
  type ServiceOwners,
} from '../../../src/plan/output/plan-text.js';

const address = (text: string): IpAddress => text as IpAddress;

const virtual = (vip: string, port: number, fields: Partial<VirtualServer> = {}): VirtualServer => {
  const identity = { by: 'address', protocol: 'TCP', address: address(vip), port } as const;
  return {
    key: virtualServerKey(identity),
    identity,
    scheduler: 'rr',
    persistence: undefined,
    flags: [],
    ...fields,
  };
};

const real = (ip: string, fields: Partial<RealServer> = {}): RealServer => ({
  key: realServerKey(address(ip), 8080),
  address: address(ip),
  port: 8080,
  weight: 1,
  forwarding: 'masquerade',
  upperThreshold: 0,
  lowerThreshold: 0,
  ...fields,
});

const web = virtual('10.96.0.9', 80);
const api = virtual('fd00:96::1', 443, {
  scheduler: 'mh',
  flags: ['mh-port'],
  persistence: { seconds: 10_800, prefixLength: 64 },
});
const gone = virtual('10.96.0.10', 80);

const found: ObservedVirtualServers = {
  virtualServer: (key) => {
    if (key === api.key)
      return {
        server: virtual('fd00:96::1', 443),
        realServers: new Map([real('fd00::7', { upperThreshold: 5 })].map((server) => [server.key, server])),
      };
    return undefined;
  },
};

const operations: readonly Operation[] = [
  { kind: 'delete-virtual-server', server: gone.identity },
  { kind: 'add-real-server', of: web.identity, server: real('10.244.0.10') },
  { kind: 'add-real-server', of: web.identity, server: real('10.244.0.9', { weight: 3, lowerThreshold: 2 }) },
  { kind: 'add-virtual-server', server: web },
  { kind: 'update-virtual-server', server: api },
  { kind: 'update-real-server', of: api.identity, server: real('fd00::7', { weight: 0 }) },
  { kind: 'delete-real-server', of: api.identity, server: real('fd00::8') },
  { kind: 'bind-address', address: address('10.96.0.9'), binding: 'address' },
  { kind: 'unbind-address', address: address('fd00:96::2'), binding: 'address' },
  { kind: 'add-element', element: setElement('IPv4', 'vips', [address('10.96.0.9')]) },
  { kind: 'add-element', element: setElement('IPv4', 'health-check-ports', [30_100]) },
  {
    kind: 'delete-element',
    element: setElement('IPv4', 'cluster-ip', [address('10.96.0.10'), 'TCP', 80]),
  },
];

const owners: ServiceOwners = {
  ownerOf: (key) => ({ [web.key]: 'shop/web', [api.key]: 'default/api' })[key],
  virtualServersAt: (vip): readonly VirtualServerKey[] => (vip === '10.96.0.9' ? [web.key] : []),
};

test('a real server that gets weight 0 drains, unless it is desired with that weight', () => {
  const off = { ...real('10.244.0.9'), weight: 0 };
  const operation = { kind: 'update-real-server', of: web.identity, server: off } as const;
  assert.equal(operationReason(operation, owners), 'shop/web: draining');
  const wants = { ...owners, virtualServer: () => ({ realServers: new Map([[off.key, off]]) }) };
  assert.equal(operationReason(operation, wants), 'shop/web');
  const wantsOthers = { ...owners, virtualServer: () => ({ realServers: new Map() }) };
  assert.equal(operationReason(operation, wantsOthers), 'shop/web: draining');
});

test('each step says which virtual server or address it is about', () => {
  const subjects = planGroups(phases(operations), owners, found)
    .flatMap(({ steps }) => steps)
    .map(({ op, kind, key, subject }) => `${op} ${kind} ${key}: ${Object.values(subject ?? {}).join()}`);
  assert.deepEqual(subjects.toSorted(), [
    'add address 10.96.0.9/32: 10.96.0.9',
    'add element IPv4 health-check-ports 30100: ',
    'add element IPv4 vips 10.96.0.9: 10.96.0.9',
    'add real-server 10.244.0.10:8080: TCP 10.96.0.9:80',
    'add real-server 10.244.0.9:8080: TCP 10.96.0.9:80',
    'add virtual-server TCP 10.96.0.9:80: TCP 10.96.0.9:80',
    'change real-server [fd00::7]:8080: TCP [fd00:96::1]:443',
    'change virtual-server TCP [fd00:96::1]:443: TCP [fd00:96::1]:443',
    'remove address fd00:96::2/128: fd00:96::2',
    'remove element IPv4 cluster-ip 10.96.0.10 . TCP . 80: TCP 10.96.0.10:80',
    'remove real-server [fd00::8]:8080: TCP [fd00:96::1]:443',
    'remove virtual-server TCP 10.96.0.10:80: TCP 10.96.0.10:80',
  ]);
});

test('a plan has groups in order of execution, numerically sorted lines, the Service of each line, and a summary', () => {
  const expected = `# packet rules
+ element IPv4 health-check-ports 30100

# delete virtual servers
- virtual server TCP 10.96.0.10:80  # no Service requests it

# unbind addresses
- address fd00:96::2/128  # no Service requests it

# virtual servers
~ virtual server TCP [fd00:96::1]:443: scheduler rr → mh, persistent none → 10800, persistent prefix length none → 64, flags none → mh-port  # default/api
+ virtual server TCP 10.96.0.9:80 rr  # shop/web

# real servers
+ real server TCP 10.96.0.9:80 → 10.244.0.9:8080 masquerade weight 3 lower threshold 2  # shop/web
+ real server TCP 10.96.0.9:80 → 10.244.0.10:8080 masquerade weight 1                   # shop/web

# bind addresses
+ address 10.96.0.9/32  # shop/web

# protect addresses
+ element IPv4 vips 10.96.0.9  # shop/web

# remove real servers
~ real server TCP [fd00:96::1]:443 → [fd00::7]:8080: weight 1 → 0, upper threshold 5 → none  # default/api: draining
- real server TCP [fd00:96::1]:443 → [fd00::8]:8080                                          # default/api

# remove packet rules
- element IPv4 cluster-ip 10.96.0.10 . TCP . 80

6 to add, 2 to change, 4 to remove
`;
  assert.equal(planText(planGroups(phases(operations), owners, found)), expected);
  assert.equal(planText(planGroups(phases(operations.toReversed()), owners, found)), expected);
});

test('an operation on an unknown object shows the desired state', () => {
  assert.equal(
    formatEntry(planEntry({ kind: 'update-virtual-server', server: api })),
    '~ virtual server TCP [fd00:96::1]:443 mh persistent 10800 persistent prefix length 64 mh-port',
  );
  const server = real('10.244.0.9');
  assert.equal(
    formatEntry(planEntry({ kind: 'update-real-server', of: web.identity, server })),
    '~ real server TCP 10.96.0.9:80 → 10.244.0.9:8080 masquerade weight 1',
  );
});

test('the JSON of a change has the desired and the found values of only the fields that differ', () => {
  assert.deepEqual(planEntry({ kind: 'update-virtual-server', server: api }, found), {
    op: 'change',
    kind: 'virtual-server',
    key: 'TCP [fd00:96::1]:443',
    wanted: { scheduler: 'mh', persistent: 10_800, persistentPrefixLength: 64, flags: 'mh-port' },
    found: { scheduler: 'rr' },
  });
});

test('signs and remarks are colored, and the width of the lines stays', () => {
  const painted = planText(planGroups(phases(operations), owners, found), {
    step: (op, line) => `<${op}>${line}</>`,
    remark: (text) => `(${text})`,
  });
  assert.match(painted, /^\(# packet rules\)\n<add>\+ element IPv4 health-check-ports 30100<\/>\n/);
  assert.match(painted, /<add>.*10\.244\.0\.10:8080 masquerade weight 1<\/> {19}\(# shop\/web\)\n/);
});

test('an empty plan says so', () => {
  assert.equal(planText([]), 'nothing to add, change or remove\n');
  assert.equal(summaryText(planSummary([])), 'nothing to add, change or remove');
});

test('an address names all Services on it, by name', () => {
  const services = new Map(
    [web, api, gone].map(({ key }, index) => [key, ['shop/web', 'bank/api', 'shop/web'][index]]),
  );
  const owners: ServiceOwners = {
    ownerOf: (key) => services.get(key),
    virtualServersAt: () => services.keys(),
  };
  assert.equal(
    operationReason({ kind: 'bind-address', address: address('10.96.0.9'), binding: 'address' }, owners),
    'bank/api, shop/web',
  );
});

test('the reason of a real server says that it drains, climbs or is quarantined', () => {
  const server = real('10.244.0.9', { weight: 0 });
  const reasonWith = (pace: string | undefined): string | undefined =>
    operationReason(
      { kind: 'update-real-server', of: web.identity, server },
      { ownerOf: () => 'shop/web', virtualServersAt: () => [], paceAt: () => pace },
    );
  assert.equal(reasonWith(undefined), 'shop/web: draining');
  assert.equal(reasonWith('quarantined'), 'shop/web: quarantined');
  assert.equal(reasonWith('climbing 40%'), 'shop/web: climbing 40%');
});
