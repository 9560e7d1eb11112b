import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isBound } from '../../../src/model/settings/vip-binding.js';
import type { ElementKey } from '../../../src/nftables/declarations.js';
import type { VirtualServerKey } from '../../../src/model/virtual-server.js';
import { dirtyKeys } from '../../../src/plan/operations/diff.js';
import { drainRecord } from '../../../src/plan/drain/drain-records.js';
import { defaultDrainSettings } from '../../../src/plan/drain/drain-step.js';
import { failed } from '../../support/faulty-kernel.js';
import { ip } from '../../support/objects.js';
import { setUp } from '../../support/reconciling.js';
import { cpuMilliseconds } from '../../support/cpu-time.js';

const vip = '10.96.0.1';
const web = `TCP ${vip}:80` as VirtualServerKey;
const refuses = `IPv4 no-endpoints ${vip} . TCP . 80`;

/** A Service with two endpoints, the first with a connection, and the requests to the kernel since then. */
const serving = async () => {
  const parts = setUp();
  await parts.reconciler.reconcile(parts.want('web', vip, ['10.1.0.1', '10.1.0.2']));
  for (const key of parts.kernel.tables.get(web)?.realServers.keys() ?? [])
    if (key === '10.1.0.1:80') parts.kernel.connections.set(key, 1);
  const since = (): readonly string[] => [
    ...parts.kernel.packetRuleOperations.splice(0),
    ...parts.kernel.operations.splice(0),
  ];
  since();
  return { ...parts, since };
};

test('a deleted Service with a connection keeps its virtual server and its address without new connections until the last one ends', async () => {
  const { kernel, observed, reconciler, lingering, want, since } = await serving();
  await reconciler.reconcile(want('web', vip, undefined));
  assert.deepEqual(since(), [
    '+ element IPv4 no-endpoints 10.96.0.1 . TCP . 80',
    '- element IPv4 cluster-ip 10.96.0.1 . TCP . 80',
    '+ element IPv4 draining 10.96.0.1 . TCP . 80 . 10.1.0.1 . 80',
    '~ real server TCP 10.96.0.1:80 → 10.1.0.1:80 masquerade weight 0',
    '~ real server TCP 10.96.0.1:80 → 10.1.0.2:80 masquerade weight 0',
    '- real server TCP 10.96.0.1:80 → 10.1.0.2:80',
  ]);
  assert.ok(lingering.has(web) && isBound(observed, ip(vip)));
  assert.deepEqual([...reconciler.drains.nodesToCheck()], [], 'an orphan makes no node suspect');
  kernel.connections.clear();
  await reconciler.drainAll();
  assert.deepEqual(since(), [
    '- element IPv4 draining 10.96.0.1 . TCP . 80 . 10.1.0.1 . 80',
    '- element IPv4 no-endpoints 10.96.0.1 . TCP . 80',
    '- element IPv4 vips 10.96.0.1',
    '- real server TCP 10.96.0.1:80 → 10.1.0.1:80',
    '- virtual server TCP 10.96.0.1:80',
    '- address 10.96.0.1/32',
  ]);
  assert.equal(lingering.size, 0);
});

test('without connections a virtual server is deleted at once, after one dump', async () => {
  const { kernel, reconciler, lingering, want } = await serving();
  kernel.connections.clear();
  kernel.read.length = 0;
  await reconciler.reconcile(want('web', vip, undefined));
  assert.equal(kernel.tables.size, 0);
  assert.equal(lingering.size, 0);
  assert.deepEqual(kernel.read, ['TCP 10.96.0.1:80 real servers']);
});

test('at the deadline an orphaned virtual server is deleted, and its connections are reset', async () => {
  const { kernel, clock, cleaned, reconciler, want } = await serving();
  await reconciler.reconcile(want('web', vip, undefined));
  clock.now += defaultDrainSettings.deadlines.TCP;
  await reconciler.drainAll();
  assert.equal(kernel.tables.size, 0);
  assert.deepEqual(cleaned, ['TCP 10.96.0.1:80 answered by ']);
});

test('a Service that is created again takes over its orphaned virtual server in place', async () => {
  const { kernel, observed, reconciler, lingering, want, since } = await serving();
  await reconciler.reconcile(want('web', vip, undefined));
  since();
  await reconciler.reconcile(want('other', vip, ['10.1.0.1', '10.1.0.3']));
  assert.deepEqual(since(), [
    '+ element IPv4 cluster-ip 10.96.0.1 . TCP . 80',
    '- element IPv4 no-endpoints 10.96.0.1 . TCP . 80',
    '- element IPv4 draining 10.96.0.1 . TCP . 80 . 10.1.0.1 . 80',
    '~ real server TCP 10.96.0.1:80 → 10.1.0.1:80 masquerade weight 1',
    '+ real server TCP 10.96.0.1:80 → 10.1.0.3:80 masquerade weight 1',
  ]);
  assert.equal(lingering.size, 0);
  assert.equal(observed.element(refuses as never), undefined);
  assert.deepEqual([...(kernel.tables.get(web)?.realServers.keys() ?? [])].length, 2);
});

test('an orphan without a local address is deleted at once; one that another program deletes is not created again', async () => {
  const first = await serving();
  first.kernel.addresses.clear();
  first.observed.setAddresses({ address: [], route: [] });
  await first.reconciler.reconcile(first.want('web', vip, undefined));
  assert.equal(first.kernel.tables.size, 0);
  const second = await serving();
  await second.reconciler.reconcile(second.want('web', vip, undefined));
  second.kernel.tables.clear();
  await second.reconciler.reconcile(await second.resync.begin());
  assert.deepEqual([second.kernel.tables.size, second.kernel.addresses.size], [0, 0]);
});

test('an orphaned virtual server that a dump does not list is retained', async () => {
  const { kernel, reconciler, resync, lingering, observed, want } = await serving();
  await reconciler.reconcile(want('web', vip, undefined));
  kernel.missingFromDumps.add(web);
  await reconciler.reconcile(await resync.begin());
  kernel.missingFromDumps.clear();
  assert.ok(lingering.has(web));
  assert.ok(observed.element(refuses as ElementKey) !== undefined);
  kernel.connections.clear();
  await reconciler.drainAll();
  assert.deepEqual([kernel.tables.size, lingering.size], [0, 0]);
});

test('an address that another interface gets is unbound while its orphaned virtual server stays', async () => {
  const { kernel, interfaces, reconciler, lingering, want } = await serving();
  await reconciler.reconcile(want('web', vip, undefined));
  interfaces.add(vip);
  await reconciler.reconcile(lingering.keys());
  assert.deepEqual([[...kernel.addresses], [...kernel.tables.keys()]], [[], [web]]);
});

test('after a restart an orphaned virtual server stays unchanged and keeps the start of its drain', async () => {
  const before = await serving();
  await before.reconciler.reconcile(before.want('web', vip, undefined));
  const after = setUp({ kernel: before.kernel });
  after.observed.setElements([...before.observed.elementsOf('IPv4')]);
  before.since();
  after.clock.now = 61_000;
  const touched = await after.resync.begin({ ignoreKnown: true });
  await after.reconciler.reconcile({ ...touched, elements: new Set(after.observed.keys().elements) });
  assert.deepEqual(before.since(), []);
  assert.ok(after.lingering.has(web));
  assert.deepEqual(
    [...after.reconciler.drains.all()].map(({ realServer, since }) => [realServer, since]),
    [['10.1.0.1:80', 1_000]],
  );
  after.clock.now = 1_000 + defaultDrainSettings.deadlines.TCP - 1;
  await after.reconciler.drainAll();
  assert.equal(before.kernel.tables.size, 1);
  assert.equal(after.reconciler.drains.nextCheckDelay, 1, 'the deadline is the next check');
  after.clock.now += 1;
  await after.reconciler.drainDue();
  assert.equal(before.kernel.tables.size, 0);
  assert.deepEqual([...after.observed.elementsOf('IPv4')], []);
});

test('the record of a drain is deleted when the drain ends, and restored if another program deleted it', async () => {
  const { observed, reconciler, want, since } = await serving();
  const stale = drainRecord(
    { by: 'address', protocol: 'TCP', address: ip(vip), port: 80 },
    { address: ip('10.1.0.2'), port: 80 },
    500,
    undefined,
  );
  await reconciler.reconcile(want('web', vip, ['10.1.0.2']));
  const [record] = [...observed.elementsOf('IPv4')].filter(({ set }) => set === 'draining');
  assert.equal(record?.comment, 'since 1 s after boot');
  const others = [...observed.elementsOf('IPv4')].filter(({ set }) => set !== 'draining');
  since();
  await reconciler.reconcile(dirtyKeys({ elements: observed.setElements([...others, stale]) }));
  assert.deepEqual(since(), [
    '+ element IPv4 draining 10.96.0.1 . TCP . 80 . 10.1.0.1 . 80',
    '- element IPv4 draining 10.96.0.1 . TCP . 80 . 10.1.0.2 . 80',
  ]);
});

test('a record with another comment is replaced at the next check', async () => {
  const { observed, reconciler, want, since } = await serving();
  await reconciler.reconcile(want('web', vip, ['10.1.0.2']));
  const place = 'draining 10.96.0.1 . TCP . 80 . 10.1.0.1 . 80';
  observed.setElements(
    [...observed.elementsOf('IPv4')].map((element) =>
      element.set === 'draining' ? { ...element, comment: 'since yesterday' } : element,
    ),
  );
  since();
  await reconciler.drainAll();
  assert.deepEqual(since(), [`- element IPv4 ${place}`, `+ element IPv4 ${place}`]);
  await reconciler.drainAll();
  assert.deepEqual(since(), []);
  assert.equal(observed.element(`IPv4 ${place}` as never)?.comment, 'since 1 s after boot');
});

test('after a restart an invalid record is replaced, and the drain starts again', async () => {
  const before = await serving();
  await before.reconciler.reconcile(before.want('web', vip, undefined));
  const after = setUp({ kernel: before.kernel });
  after.observed.setElements(
    [...before.observed.elementsOf('IPv4')].map((element) => ({ ...element, comment: undefined })),
  );
  after.clock.now = 61_000;
  const touched = await after.resync.begin({ ignoreKnown: true });
  await after.reconciler.reconcile({ ...touched, elements: new Set(after.observed.keys().elements) });
  await after.reconciler.drainAll();
  const [record] = [...after.observed.elementsOf('IPv4')].filter(({ set }) => set === 'draining');
  assert.equal(record?.comment, 'since 61 s after boot');
});

test('the ownership marker of a virtual server stays while the kernel refuses to delete the virtual server', async () => {
  const { kernel, clock, observed, reconciler, want } = await serving();
  kernel.connections.clear();
  kernel.fault = ({ kind }) => (kind === 'delete-virtual-server' ? failed('EBUSY') : undefined);
  await reconciler.reconcile(want('web', vip, undefined));
  const named = `IPv4 cluster-ip ${vip} . TCP . 80`;
  assert.ok(observed.element(named as never) !== undefined);
  kernel.fault = () => undefined;
  clock.now += 120_000;
  await reconciler.reconcile(dirtyKeys());
  assert.equal(kernel.tables.size, 0);
  assert.equal(observed.element(named as never), undefined);
});

test('deleting ten thousand idle Services costs one dump each', async () => {
  const { kernel, desired, reconciler, wantMany } = setUp();
  await reconciler.reconcile(wantMany(10_000, ['10.1.0.1']));
  kernel.read.length = 0;
  const started = cpuMilliseconds();
  await reconciler.reconcile(wantMany(10_000, undefined));
  assert.equal(kernel.tables.size, 0);
  assert.equal(kernel.read.length, 10_000);
  assert.equal(desired.serviceCount, 0);
  assert.ok(cpuMilliseconds() - started < 10_000);
});
