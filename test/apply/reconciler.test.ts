import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IpAddress } from '../../src/base/ip.js';
import { virtualServerKey, type VirtualServerKey } from '../../src/model/virtual-server.js';
import { NetlinkError } from '../../src/netlink/errors.js';
import { dirtyKeys, type DirtyKeys } from '../../src/plan/operations/diff.js';
import { mergeDirtyKeys } from '../support/dirty-keys.js';
import { defaultDrainSettings } from '../../src/plan/drain/drain-step.js';
import { render } from '../../src/plan/render/render.js';
import { failed, unknown } from '../support/faulty-kernel.js';
import { ip, ready, service, servingTerminating, slice, type EndpointSpec } from '../support/objects.js';
import { context, setUp } from '../support/reconciling.js';

const nothing = dirtyKeys();
const web = 'TCP 10.96.0.1:80' as VirtualServerKey;

test('a new Service costs one message per object, in an order that accepts no connection too early', async () => {
  const { kernel, reconciler, want } = setUp();
  const report = await reconciler.reconcile(want('web', '10.96.0.1', ['10.1.0.1', '10.1.0.2']));
  assert.deepEqual(report, { applied: 6, failed: 0 });
  assert.deepEqual(kernel.operations, [
    '+ virtual server TCP 10.96.0.1:80 rr',
    '+ real server TCP 10.96.0.1:80 → 10.1.0.1:80 masquerade weight 1',
    '+ real server TCP 10.96.0.1:80 → 10.1.0.2:80 masquerade weight 1',
    '+ address 10.96.0.1/32',
  ]);
  assert.deepEqual(kernel.read, []);
});

test('a virtual server in excludeCIDRs is served while a Service defines it, and left unchanged afterwards', async () => {
  const { kernel, reconciler, resync, want } = setUp({ excluded: '10.96.0.1' });
  await reconciler.reconcile(want('web', '10.96.0.1', ['10.1.0.1']));
  assert.deepEqual([...kernel.tables.keys()], [web]);
  const asked = kernel.operations.length + kernel.packetRuleOperations.length;
  assert.deepEqual(await reconciler.reconcile(want('web', '10.96.0.1', undefined)), {
    applied: 0,
    failed: 0,
  });
  await reconciler.reconcile(await resync.begin());
  assert.equal(kernel.operations.length + kernel.packetRuleOperations.length, asked);
  // kube-ipvs still owns it, so it is updated in place when a Service defines it again.
  await reconciler.reconcile(want('web', '10.96.0.1', ['10.1.0.2']));
  assert.deepEqual(kernel.operations.slice(3), [
    '+ real server TCP 10.96.0.1:80 → 10.1.0.2:80 masquerade weight 1',
    '~ real server TCP 10.96.0.1:80 → 10.1.0.1:80 masquerade weight 0',
    '- real server TCP 10.96.0.1:80 → 10.1.0.1:80',
  ]);
});

test('after stop, a large reconciliation ends with its current slice', async () => {
  const { kernel, reconciler, want } = setUp();
  const virtualServers = new Set<VirtualServerKey>();
  const addresses = new Set<IpAddress>();
  for (let index = 0; index < 2_000; index += 1) {
    const touched = want(`s${index}`, `10.96.${index >> 8}.${index & 255}`, ['10.1.0.1']);
    for (const key of touched.virtualServers) virtualServers.add(key);
    for (const address of touched.addresses) addresses.add(address);
  }
  kernel.fault = () => {
    reconciler.stop();
    return undefined;
  };
  await reconciler.reconcile(dirtyKeys({ virtualServers, addresses }));
  assert.ok(kernel.tables.size > 0 && kernel.tables.size < 1_000, `${kernel.tables.size}`);
  // The started slice is complete.
  for (const { realServers } of kernel.tables.values()) assert.equal(realServers.size, 1);
});

test('reconciling an unchanged Service sends nothing', async () => {
  const { kernel, reconciler, want } = setUp();
  await reconciler.reconcile(want('web', '10.96.0.1', ['10.1.0.1']));
  kernel.operations.length = 0;
  assert.deepEqual(await reconciler.reconcile(want('web', '10.96.0.1', ['10.1.0.1'])), {
    applied: 0,
    failed: 0,
  });
  assert.deepEqual(kernel.operations, []);
});

test('an idle endpoint is deleted at once; one with connections keeps weight 0 until they end', async () => {
  const { kernel, reconciler, want } = setUp();
  await reconciler.reconcile(want('web', '10.96.0.1', ['10.1.0.1', '10.1.0.2', '10.1.0.3']));
  kernel.operations.length = 0;
  const [busy] = [...(kernel.tables.get(web)?.realServers.keys() ?? [])].filter(
    (key) => key === '10.1.0.2:80',
  );
  assert.ok(busy !== undefined);
  kernel.connections.set(busy, 3);
  await reconciler.reconcile(want('web', '10.96.0.1', ['10.1.0.3']));
  // The order of real servers depends on the name of the node.
  assert.deepEqual(kernel.operations.slice(0, 2).toSorted(), [
    '~ real server TCP 10.96.0.1:80 → 10.1.0.1:80 masquerade weight 0',
    '~ real server TCP 10.96.0.1:80 → 10.1.0.2:80 masquerade weight 0',
  ]);
  assert.deepEqual(kernel.operations.slice(2), ['- real server TCP 10.96.0.1:80 → 10.1.0.1:80']);
  assert.equal(reconciler.drains.draining.size, 1);
  kernel.connections.clear();
  await reconciler.drainAll();
  assert.equal(kernel.operations.at(-1), '- real server TCP 10.96.0.1:80 → 10.1.0.2:80');
  assert.equal(reconciler.drains.draining.size, 0);
});

test('the flows of an endpoint that is deleted with open connections are cleaned; those of an idle one are not', async () => {
  const { kernel, clock, cleaned, reconciler, want } = setUp();
  await reconciler.reconcile(want('web', '10.96.0.1', ['10.1.0.1', '10.1.0.2', '10.1.0.3']));
  for (const key of kernel.tables.get(web)?.realServers.keys() ?? [])
    if (key !== '10.1.0.1:80') kernel.connections.set(key, 1);
  await reconciler.reconcile(want('web', '10.96.0.1', ['10.1.0.3']));
  assert.deepEqual(cleaned, []);
  clock.now += defaultDrainSettings.deadlines.TCP;
  await reconciler.drainAll();
  assert.equal(kernel.operations.at(-1), '- real server TCP 10.96.0.1:80 → 10.1.0.2:80');
  assert.deepEqual(cleaned, ['TCP 10.96.0.1:80 answered by 10.1.0.3:80']);
});

test('the flows of a drained UDP endpoint are cleaned when it is deleted', async () => {
  const { kernel, desired, cleaned, reconciler } = setUp();
  const dns = service('dns', { clusterIP: '10.96.0.1', ports: [':53/UDP'] });
  const want = (...endpoints: readonly string[]): DirtyKeys => {
    const slices = [
      slice(
        'dns',
        endpoints.map((text) => ready(text)),
        { ports: [':53/UDP'] },
      ),
    ];
    return desired.replace(dns.key, render(dns, slices, context));
  };
  await reconciler.reconcile(want('10.1.0.1', '10.1.0.2'));
  for (const { realServers } of kernel.tables.values())
    for (const key of realServers.keys()) kernel.connections.set(key, 1);
  cleaned.length = 0;
  await reconciler.reconcile(want('10.1.0.2'));
  assert.deepEqual(cleaned, []);
  kernel.connections.clear();
  await reconciler.drainAll();
  assert.deepEqual(cleaned, ['UDP 10.96.0.1:53 answered by 10.1.0.2:53']);
});

test('a deleted node ends its drains and their flows at once; only drains without a terminating endpoint make a node suspect', async () => {
  const { kernel, desired, cleaned, gone, reconciler } = setUp();
  const object = service('web', { clusterIP: '10.96.0.1' });
  const want = (...endpoints: readonly EndpointSpec[]): DirtyKeys =>
    desired.replace(object.key, render(object, [slice('web', endpoints)], context));
  const [a, b, c] = [
    ready('10.1.0.1', { on: 'a' }),
    ready('10.1.0.2', { on: 'b' }),
    ready('10.1.0.3', { on: 'c' }),
  ];
  await reconciler.reconcile(want(a, b, c, ready('10.1.0.9')));
  for (const key of kernel.tables.get(web)?.realServers.keys() ?? [])
    if (key !== '10.1.0.3:80') kernel.connections.set(key, 1);
  await reconciler.reconcile(want(servingTerminating('10.1.0.1', { on: 'a' }), ready('10.1.0.9')));
  assert.deepEqual([...reconciler.drains.nodesToCheck()], ['b'], 'a terminates, c is idle');
  assert.deepEqual(
    [...reconciler.drains.all()].map(({ realServer, departure }) => `${realServer} ${departure}`),
    ['10.1.0.1:80 terminating', '10.1.0.2:80 removed'],
  );
  gone.add('b');
  await reconciler.drainAll();
  assert.equal(kernel.operations.at(-1), '- real server TCP 10.96.0.1:80 → 10.1.0.2:80');
  assert.deepEqual(cleaned, ['TCP 10.96.0.1:80 answered by 10.1.0.1:80 10.1.0.9:80']);
  assert.equal(reconciler.drains.counters.counts.TCP.ended['node-gone'], 1);
  assert.deepEqual([...reconciler.drains.nodesToCheck()], []);
  kernel.connections.clear();
  await reconciler.drainAll();
  assert.equal(desired.formerEndpoints.size, 0);
});

test('a draining endpoint that is desired again gets its weight back in place', async () => {
  const { kernel, reconciler, want } = setUp();
  await reconciler.reconcile(want('web', '10.96.0.1', ['10.1.0.1', '10.1.0.2']));
  for (const key of kernel.tables.get(web)?.realServers.keys() ?? []) kernel.connections.set(key, 1);
  await reconciler.reconcile(want('web', '10.96.0.1', ['10.1.0.1']));
  assert.equal(reconciler.drains.draining.size, 1);
  kernel.operations.length = 0;
  await reconciler.reconcile(want('web', '10.96.0.1', ['10.1.0.1', '10.1.0.2']));
  assert.deepEqual(kernel.operations, ['~ real server TCP 10.96.0.1:80 → 10.1.0.2:80 masquerade weight 1']);
  assert.equal(reconciler.drains.draining.size, 0);
});

test('a refused Service blocks no other, is retried later and is reported once', async () => {
  const { kernel, reconciler, warnings, clock, want } = setUp();
  kernel.fault = (operation) =>
    operation.kind === 'add-virtual-server' && operation.server.key === web ? failed('ENOMEM') : undefined;
  const bad = want('web', '10.96.0.1', ['10.1.0.1']);
  const good = want('good', '10.96.0.2', ['10.1.0.2']);
  const report = await reconciler.reconcile(mergeDirtyKeys([bad, good]));
  assert.equal(report.failed, 1);
  assert.deepEqual([...kernel.tables.keys()], ['TCP 10.96.0.2:80']);
  assert.equal(warnings.length, 1);
  const wait = reconciler.nextRetry;
  assert.ok(wait !== undefined && wait > 0);
  clock.now += wait;
  await reconciler.reconcile(nothing);
  assert.equal(warnings.length, 1, 'a failure with the same reason is not logged again');
  kernel.fault = () => undefined;
  clock.now += reconciler.nextRetry ?? 0;
  await reconciler.reconcile(nothing);
  assert.deepEqual([...(kernel.tables.get(web)?.realServers.keys() ?? [])], ['10.1.0.1:80']);
  assert.equal(reconciler.nextRetry, undefined);
});

test('a refused family is logged in a few lines', async () => {
  const { kernel, reconciler, warnings, want } = setUp();
  kernel.fault = ({ kind }) => (kind === 'bind-address' ? failed('EACCES') : undefined);
  const touched = Array.from({ length: 50 }, (_, index) => want(`s${index}`, `10.96.0.${index + 1}`, []));
  await reconciler.reconcile(mergeDirtyKeys(touched));
  assert.equal(warnings.length, 11);
  assert.deepEqual(warnings.at(-1), { event: 'operation-refused', more: 40 });
});

test('an unreadable virtual server blocks no other object', async () => {
  const { kernel, reconciler, warnings, want } = setUp();
  kernel.fault = (operation) =>
    operation.kind === 'add-virtual-server' && operation.server.key === web
      ? failed('EAFNOSUPPORT')
      : undefined;
  const read = kernel.virtualServer.bind(kernel);
  kernel.virtualServer = async (identity) => {
    if (virtualServerKey(identity) === web) throw new NetlinkError('read virtual', 97);
    return read(identity);
  };
  const bad = want('web', '10.96.0.1', []);
  const good = want('good', '10.96.0.2', ['10.1.0.2']);
  const report = await reconciler.reconcile(mergeDirtyKeys([bad, good]));
  assert.equal(report.failed, 1);
  assert.deepEqual([...kernel.tables.keys()], ['TCP 10.96.0.2:80']);
  assert.ok(kernel.addresses.has(ip('10.96.0.2')));
  assert.equal(warnings.length, 1);
  assert.deepEqual(reconciler.givenUp, { 'virtual-server': 1, address: 0, element: 0 });
  assert.equal(reconciler.nextRetry, undefined);
});

test('a permanent failure is retried only after a change or when a resync begins', async () => {
  const { kernel, reconciler, warnings, clock, want } = setUp();
  kernel.fault = ({ kind }) => (kind === 'add-virtual-server' ? failed('ENOENT') : undefined);
  await reconciler.reconcile(want('web', '10.96.0.1', ['10.1.0.1']));
  assert.deepEqual(reconciler.givenUp, { 'virtual-server': 1, address: 0, element: 0 });
  assert.equal(reconciler.nextRetry, undefined);
  const asked = (): number =>
    kernel.operations.filter((line) => line === '+ virtual server TCP 10.96.0.1:80 rr').length;
  clock.now += 3_600_000;
  await reconciler.reconcile(nothing);
  assert.equal(asked(), 1);
  await reconciler.reconcile(want('web', '10.96.0.1', ['10.1.0.1', '10.1.0.2']));
  assert.equal(asked(), 2, 'it changed');
  reconciler.retryGivenUp();
  assert.equal(reconciler.nextRetry, 0);
  await reconciler.reconcile(nothing);
  assert.deepEqual([asked(), reconciler.nextRetry], [3, undefined]);
  assert.equal(warnings.length, 1, 'a failure with the same reason is not logged again');
  kernel.fault = () => undefined;
  reconciler.retryGivenUp();
  await reconciler.reconcile(nothing);
  assert.deepEqual([...(kernel.tables.get(web)?.realServers.keys() ?? [])], ['10.1.0.1:80', '10.1.0.2:80']);
  assert.equal(reconciler.refused, 0);
});

test('an unreadable unconfirmed virtual server is read at its next attempt, even if no Service defines it any more', async () => {
  const { kernel, observed, reconciler, clock, want } = setUp();
  kernel.fault = ({ kind }) => (kind === 'add-virtual-server' ? unknown : undefined);
  const read = kernel.virtualServer.bind(kernel);
  kernel.virtualServer = async () => {
    throw new NetlinkError('read virtual', 12);
  };
  await reconciler.reconcile(want('web', '10.96.0.1', ['10.1.0.1']));
  assert.equal(observed.virtualServer(web), undefined, 'the kernel has it, and the engine does not know');
  kernel.virtualServer = read;
  kernel.fault = () => undefined;
  want('web', '10.96.0.1', undefined);
  clock.now += reconciler.nextRetry ?? 0;
  await reconciler.reconcile(nothing);
  assert.deepEqual([...kernel.tables.keys()], []);
});

test('stale observed state is read again and repaired in the same call', async () => {
  const { kernel, observed, reconciler, want } = setUp();
  await reconciler.reconcile(want('web', '10.96.0.1', ['10.1.0.1', '10.1.0.2']));
  // Another program deleted the virtual server, and the engine's state does not show it yet.
  kernel.tables.delete(web);
  await reconciler.reconcile(want('web', '10.96.0.1', ['10.1.0.1', '10.1.0.3']));
  assert.deepEqual([...(kernel.tables.get(web)?.realServers.keys() ?? [])].toSorted(), [
    '10.1.0.1:80',
    '10.1.0.3:80',
  ]);
  assert.deepEqual([...(observed.virtualServer(web)?.realServers.keys() ?? [])].toSorted(), [
    '10.1.0.1:80',
    '10.1.0.3:80',
  ]);
});

test('an operation without a reply makes only its virtual server untrusted, which is read again', async () => {
  const { kernel, reconciler, want } = setUp();
  let lost = true;
  kernel.fault = (operation) => {
    if (operation.kind !== 'add-real-server' || !lost) return undefined;
    lost = false;
    return unknown;
  };
  await reconciler.reconcile(want('web', '10.96.0.1', ['10.1.0.1', '10.1.0.2']));
  assert.deepEqual(kernel.read, [web, `${web} real servers`]);
  assert.equal(
    kernel.operations.filter((line) => line.includes('10.1.0.1:80')).length,
    1,
    'it was done, so not again',
  );
  assert.equal(kernel.tables.get(web)?.realServers.size, 2);
});

test('an address operation without a reply is repeated, because it may not have been applied', async () => {
  const { kernel, reconciler, clock, want } = setUp();
  let lost = 0;
  kernel.fault = ({ kind }) => (kind === 'bind-address' && (lost += 1) === 1 ? unknown : undefined);
  await reconciler.reconcile(want('web', '10.96.0.1', []));
  kernel.addresses.clear();
  clock.now += reconciler.nextRetry ?? 0;
  await reconciler.reconcile(nothing);
  assert.deepEqual([...kernel.addresses], ['10.96.0.1']);
  assert.equal(reconciler.nextRetry, undefined);
});

test('deleting a missing object and binding a bound address succeed', async () => {
  const { kernel, observed, reconciler, want } = setUp();
  kernel.addresses.add(ip('10.96.0.1'));
  assert.deepEqual(await reconciler.reconcile(want('web', '10.96.0.1', ['10.1.0.1'])), {
    applied: 5,
    failed: 0,
  });
  kernel.tables.clear();
  kernel.addresses.clear();
  assert.deepEqual(await reconciler.reconcile(want('web', '10.96.0.1', undefined)), {
    applied: 4,
    failed: 0,
  });
  assert.equal(observed.virtualServer(web), undefined);
});

test('adopting a kernel that matches the desired state changes nothing', async () => {
  const first = setUp();
  await first.reconciler.reconcile(first.want('web', '10.96.0.1', ['10.1.0.1']));
  const second = setUp();
  for (const [key, table] of first.kernel.tables) second.kernel.tables.set(key, table);
  for (const address of first.kernel.addresses) second.kernel.addresses.add(address);
  const touched = second.want('web', '10.96.0.1', ['10.1.0.1']);
  second.observed.setElements([...touched.elements].flatMap((key) => first.observed.element(key) ?? []));
  await second.resync.begin();
  assert.deepEqual(await second.reconciler.reconcile(touched), { applied: 0, failed: 0 });
});

test('a resync finds and repairs drift, and does not modify foreign virtual servers', async () => {
  const { kernel, reconciler, resync, want } = setUp();
  await reconciler.reconcile(want('web', '10.96.0.1', ['10.1.0.1', '10.1.0.2']));
  const table = kernel.tables.get(web);
  assert.ok(table !== undefined);
  const [victim] = table.realServers.values();
  assert.ok(victim !== undefined);
  table.realServers.set(victim.key, { ...victim, weight: 7 });
  kernel.addresses.delete(ip('10.96.0.1'));
  const identity = { by: 'address', protocol: 'TCP', address: ip('192.0.2.9'), port: 99 } as const;
  const foreign = virtualServerKey(identity);
  kernel.tables.set(foreign, { server: { ...table.server, key: foreign, identity }, realServers: new Map() });
  kernel.operations.length = 0;
  await reconciler.reconcile(await resync.begin());
  while (resync.remaining > 0) await reconciler.reconcile(await resync.step(1));
  assert.deepEqual(kernel.operations, [
    '+ address 10.96.0.1/32',
    '~ real server TCP 10.96.0.1:80 → 10.1.0.1:80 masquerade weight 1',
  ]);
  assert.ok(kernel.tables.has(foreign));
});

test('the stale flows of a UDP virtual server are cleaned when real servers are deleted or first added', async () => {
  const { cleaned, reconciler, desired } = setUp();
  const dns = service('dns', { clusterIP: '10.96.0.9', ports: ['dns:53/UDP'] });
  const serve = async (...addresses: readonly string[]): Promise<void> => {
    const endpoints = addresses.map((address) => ready(address));
    const slices = [slice('dns', endpoints, { ports: ['dns:53/UDP'] })];
    await reconciler.reconcile(desired.replace(dns.key, render(dns, slices, context)));
  };
  const since = (): readonly string[] => cleaned.splice(0);
  await serve('10.1.0.1');
  assert.deepEqual(since(), ['UDP 10.96.0.9:53 answered by 10.1.0.1:53']);
  await serve('10.1.0.1', '10.1.0.2');
  assert.deepEqual(since(), [], 'a frontend with real servers keeps its flows');
  await serve('10.1.0.2');
  assert.deepEqual(since(), ['UDP 10.96.0.9:53 answered by 10.1.0.2:53']);
  await serve();
  assert.deepEqual(since(), ['UDP 10.96.0.9:53 answered by ']);
  await reconciler.reconcile(desired.replace(dns.key, undefined));
  assert.deepEqual(since(), ['UDP 10.96.0.9:53 answered by ']);
});
