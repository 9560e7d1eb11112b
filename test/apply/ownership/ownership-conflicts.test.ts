import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { VirtualServerKey } from '../../../src/model/virtual-server.js';
import { dirtyKeys, type DirtyKeys } from '../../../src/plan/operations/diff.js';
import { hasOwnershipMarker } from '../../../src/plan/packet-rules/packet-elements.js';
import { render } from '../../../src/plan/render/render.js';
import { failed, type FaultyKernel, unknown } from '../../support/faulty-kernel.js';
import { ip, ready, service, slice } from '../../support/objects.js';
import { at, real, virtual } from '../../support/virtual-server-entries.js';
import { context, reconcilerParts } from '../../support/reconciling.js';

const web = 'TCP 10.96.0.1:80' as VirtualServerKey;

/** A reconciler and a resync on a kernel in which another program also creates virtual servers. */
const setUp = () => {
  const { kernel, observed, desired, contested, reconciler, resync } = reconcilerParts({
    isOurs: (identity, known) => hasOwnershipMarker(identity, (key) => known.element(key) !== undefined),
  });
  /** Service `web` on 10.96.0.1 with one endpoint. */
  const want = ({ takeOver = false, ports = ['http:80'] } = {}): DirtyKeys =>
    desired.replace(
      service('web', { clusterIP: '10.96.0.1' }).key,
      render(
        service('web', {
          clusterIP: '10.96.0.1',
          ports,
          annotations: takeOver ? { 'ipvs.kube-ipvs.dev/take-over-foreign': 'true' } : {},
        }),
        [slice('web', [ready('10.1.0.1')], { ports: ports.map((port) => `${port.split(':')[0]}:80`) })],
        context,
      ),
    );
  /** Another program creates a virtual server with wlc and one real server. */
  const somebodyMakes = (address: string, port: number): void => {
    const server = virtual(at('TCP', address, port), { scheduler: 'wlc' });
    kernel.tables.set(server.key, {
      server,
      realServers: new Map([real('192.0.2.7', 80)].map((each) => [each.key, each])),
    });
  };
  const contestedNow = (): readonly string[] =>
    [...contested.conflicts()].map(({ key, service: of }) => `${key} for ${of}`);
  return { kernel, observed, desired, contested, contestedNow, reconciler, resync, want, somebodyMakes };
};

/** The remaining real servers of the virtual server that `somebodyMakes` created. */
const othersTable = (kernel: FaultyKernel, key: VirtualServerKey): unknown => {
  const table = kernel.tables.get(key);
  return [table?.server.scheduler, [...(table?.realServers.keys() ?? [])]];
};
const asMade = ['wlc', ['192.0.2.7:80']];

test('a virtual server that another program created earlier is not modified, and its address is not bound', async () => {
  const { kernel, reconciler, resync, want, somebodyMakes, contestedNow } = setUp();
  somebodyMakes('10.96.0.1', 80);
  await resync.begin();
  assert.deepEqual(await reconciler.reconcile(want()), { applied: 0, failed: 0 });
  assert.deepEqual([...kernel.operations, ...kernel.packetRuleOperations], []);
  assert.deepEqual(othersTable(kernel, web), asMade);
  assert.deepEqual(contestedNow(), ['TCP 10.96.0.1:80 for default/web']);
});

test('another port of the Service is served on the same address despite a conflict', async () => {
  const { kernel, reconciler, resync, want, somebodyMakes } = setUp();
  somebodyMakes('10.96.0.1', 80);
  await resync.begin();
  await reconciler.reconcile(want({ ports: ['http:80', 'tls:443'] }));
  assert.deepEqual(kernel.operations, [
    '+ virtual server TCP 10.96.0.1:443 rr',
    '+ real server TCP 10.96.0.1:443 → 10.1.0.1:80 masquerade weight 1',
    '+ address 10.96.0.1/32',
  ]);
  assert.deepEqual(kernel.packetRuleOperations, [
    '+ element IPv4 cluster-ip 10.96.0.1 . TCP . 443',
    '+ element IPv4 vips 10.96.0.1',
  ]);
  // A VIP that is bound for another port is no evidence of ownership.
  await reconciler.reconcile(await resync.begin({ ignoreKnown: true }));
  assert.deepEqual(othersTable(kernel, web), asMade);
});

test('a virtual server that another program creates first gets no real server and no ownership marker', async () => {
  const { kernel, reconciler, observed, want, somebodyMakes, contestedNow } = setUp();
  somebodyMakes('10.96.0.1', 80);
  await reconciler.reconcile(want());
  assert.deepEqual(kernel.operations, ['+ virtual server TCP 10.96.0.1:80 rr']);
  assert.deepEqual(othersTable(kernel, web), asMade);
  assert.deepEqual(contestedNow(), ['TCP 10.96.0.1:80 for default/web']);
  assert.deepEqual([...observed.elementKeys()], []);
  assert.deepEqual([...kernel.addresses], []);
  assert.equal(reconciler.refused, 0);
});

test('a virtual server whose creation got no reply is owned, even if a second attempt fails with EEXIST', async () => {
  const { kernel, reconciler, observed, want, contestedNow } = setUp();
  kernel.fault = (operation) => (operation.kind === 'add-virtual-server' ? unknown : undefined);
  await reconciler.reconcile(want());
  assert.deepEqual(contestedNow(), []);
  assert.equal(observed.virtualServer(web)?.realServers.size, 1);
});

test('a virtual server that was created before the connection broke is owned', async () => {
  const { kernel, reconciler, resync, want, contestedNow } = setUp();
  kernel.breaksAfter = 1;
  await assert.rejects(reconciler.reconcile(want()), /broke/);
  await resync.begin({ ignoreKnown: true });
  await reconciler.reconcile(want());
  assert.deepEqual(contestedNow(), []);
  assert.deepEqual([...(kernel.tables.get(web)?.realServers.keys() ?? [])], ['10.1.0.1:80']);
});

test('an owned virtual server that a dump does not list stays owned', async () => {
  const { kernel, reconciler, resync, want, contestedNow } = setUp();
  await reconciler.reconcile(want());
  const table = kernel.tables.get(web);
  assert.ok(table);
  kernel.tables.delete(web);
  const drifted = await resync.begin();
  kernel.tables.set(web, table);
  await reconciler.reconcile(drifted);
  assert.deepEqual(contestedNow(), []);
  assert.equal((await reconciler.reconcile(await resync.begin())).applied, 0);
});

test('a creation that fails with another error is not a conflict', async () => {
  const { kernel, reconciler, want, contestedNow } = setUp();
  kernel.fault = (operation) => (operation.kind === 'add-virtual-server' ? failed('ENOMEM') : undefined);
  assert.equal((await reconciler.reconcile(want())).failed, 1);
  assert.deepEqual(contestedNow(), []);
});

test('when the foreign virtual server is deleted, the next resync adds the desired one', async () => {
  const { kernel, reconciler, resync, want, somebodyMakes, contestedNow } = setUp();
  somebodyMakes('10.96.0.1', 80);
  await resync.begin();
  await reconciler.reconcile(want());
  kernel.tables.delete(web);
  await reconciler.reconcile(await resync.begin());
  assert.deepEqual(contestedNow(), []);
  assert.deepEqual(kernel.operations, [
    '+ virtual server TCP 10.96.0.1:80 rr',
    '+ real server TCP 10.96.0.1:80 → 10.1.0.1:80 masquerade weight 1',
    '+ address 10.96.0.1/32',
  ]);
  assert.deepEqual([...kernel.addresses], [ip('10.96.0.1')]);
});

test('a change of the Service also detects that the foreign virtual server was deleted', async () => {
  const { kernel, reconciler, resync, want, somebodyMakes, contestedNow } = setUp();
  somebodyMakes('10.96.0.1', 80);
  await resync.begin();
  kernel.tables.delete(web);
  await reconciler.reconcile(want());
  assert.deepEqual(contestedNow(), []);
  assert.equal(kernel.tables.get(web)?.server.scheduler, 'rr');
});

test('a Service with the annotation adopts the foreign virtual server in place', async () => {
  const { kernel, reconciler, resync, want, somebodyMakes, contestedNow } = setUp();
  somebodyMakes('10.96.0.1', 80);
  await resync.begin();
  await reconciler.reconcile(want());
  await reconciler.reconcile(want({ takeOver: true }));
  assert.deepEqual(contestedNow(), []);
  assert.deepEqual(kernel.operations, [
    '~ virtual server TCP 10.96.0.1:80 rr',
    '+ real server TCP 10.96.0.1:80 → 10.1.0.1:80 masquerade weight 1',
    '~ real server TCP 10.96.0.1:80 → 192.0.2.7:80 masquerade weight 0',
    '+ address 10.96.0.1/32',
    '- real server TCP 10.96.0.1:80 → 192.0.2.7:80',
  ]);
  // It stays owned after the annotation is removed.
  await reconciler.reconcile(want());
  assert.deepEqual(await reconciler.reconcile(await resync.begin({ ignoreKnown: true })), {
    applied: 0,
    failed: 0,
  });
  assert.deepEqual(contestedNow(), []);
});

test('an address with only foreign virtual servers stays bound or unbound', async () => {
  const { kernel, reconciler, resync, want, somebodyMakes } = setUp();
  somebodyMakes('10.96.0.1', 80);
  kernel.addresses.add(ip('10.96.0.1'));
  await resync.begin();
  await reconciler.reconcile(dirtyKeys({ ...want(), addresses: new Set([ip('10.96.0.1')]) }));
  assert.deepEqual(kernel.operations, []);
});

test('an undesired foreign virtual server becomes a conflict when a Service defines it', async () => {
  const { kernel, reconciler, resync, contested, contestedNow, want, somebodyMakes } = setUp();
  somebodyMakes('10.96.0.1', 80);
  await resync.begin();
  assert.deepEqual([contested.size, contestedNow()], [1, []]);
  await reconciler.reconcile(want());
  assert.deepEqual([contested.size, contestedNow().length], [1, 1]);
  assert.deepEqual(kernel.packetRuleOperations, []);
});

test('a virtual server whose creation failed before the connection broke is foreign if another program creates it later', async () => {
  const { kernel, desired, reconciler, resync, observed, want, somebodyMakes } = setUp();
  kernel.breaksAfter = 1;
  await assert.rejects(reconciler.reconcile(want()), /broke/);
  await resync.begin({ ignoreKnown: true });
  await reconciler.reconcile(want());
  await reconciler.reconcile(desired.replace(service('web', { clusterIP: '10.96.0.1' }).key, undefined));
  assert.equal(kernel.tables.size, 0);
  somebodyMakes('10.96.0.1', 80);
  await reconciler.reconcile(await resync.begin());
  assert.deepEqual(othersTable(kernel, web), asMade);
  assert.equal(observed.virtualServer(web), undefined);
});
