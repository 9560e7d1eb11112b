// What another program does to the daemon's objects, and how soon the daemon repairs it: over the fake kernel, in virtual time.
import { defaultInstance } from '../../src/model/instance-names.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip, ready, service, slice } from '../support/objects.js';
import { ProductionNode } from '../support/production-node.js';
import { at, virtual } from '../support/virtual-server-entries.js';

const vip = '10.96.0.1';
const web = service('web', { clusterIP: vip });
const identity = at('TCP', vip, 80);
const syncPeriod = 3_600_000;

const servingWeb = async (): Promise<ProductionNode> => {
  const node = await ProductionNode.start({ settings: { syncPeriod } });
  await node.change(web.key, web, [slice('web', [ready('10.1.0.1'), ready('10.1.0.2')])]);
  return node;
};

test('an address that another program unbinds is bound again at once', async () => {
  await using node = await servingWeb();
  assert.deepEqual(
    await node.act(() => node.kernel.route.removeAddress(`${defaultInstance.dummyInterface} ${vip}/32`)),
    [`- address ${vip}/32`, `+ address ${vip}/32`],
  );
});

test('an address that another program binds to kube-ipvs0 is unbound at once', async () => {
  await using node = await servingWeb();
  assert.deepEqual(await node.act(() => node.kernel.route.bindDummyAddress(ip('10.96.0.9'))), [
    '+ address 10.96.0.9/32',
    '- address 10.96.0.9/32',
  ]);
});

test('kube-ipvs0 is made again with its addresses', async () => {
  await using node = await servingWeb();
  await node.act(() => node.kernel.route.removeLink(defaultInstance.dummyInterface));
  assert.deepEqual(node.addresses, [`${vip}/32`]);
});

test('where notifications were lost all addresses are read again', async () => {
  await using node = await servingWeb();
  node.kernel.notifications = 'lost';
  await node.act(() => node.kernel.route.removeAddress(`${defaultInstance.dummyInterface} ${vip}/32`));
  assert.deepEqual(node.addresses, [`${vip}/32`]);
});

test('packet rules that another program deletes are declared again within a second, with their elements', async () => {
  await using node = await servingWeb();
  const elements = [...node.elements];
  await node.other.changeRules({ kind: 'delete-table', family: 'IPv4', name: defaultInstance.table });
  assert.deepEqual(node.elements, []);
  await node.advance(1_000);
  assert.deepEqual(node.elements, elements);
});

test('a virtual server that another program deletes is there again with the next resync', async () => {
  await using node = await servingWeb();
  const { lines } = node;
  await node.other.apply({ kind: 'delete-virtual-server', server: identity });
  assert.deepEqual(await node.advance(syncPeriod - 1_000), []);
  await node.advance(2_000);
  assert.deepEqual(node.lines, lines);
});

test('a real server that another program changes is as before within one and a half sync periods', async () => {
  await using node = await servingWeb();
  const { lines } = node;
  const [server] = await node.other.ipvs.realServers(identity);
  assert.ok(server);
  await node.other.apply({ kind: 'update-real-server', of: identity, server: { ...server, weight: 9 } });
  await node.advance(1.5 * syncPeriod + 1_000);
  assert.deepEqual(node.lines, lines);
});

test('a virtual server that another program made first is left alone and reported, until it goes', async () => {
  await using node = await ProductionNode.start({ settings: { syncPeriod } });
  await node.other.apply({ kind: 'add-virtual-server', server: virtual(identity, { scheduler: 'wlc' }) });
  await node.change(web.key, web, [slice('web', [ready('10.1.0.1')])]);
  await node.advance(2 * syncPeriod);
  assert.deepEqual(node.lines, [`TCP ${vip}:80 wlc → —`]);
  assert.deepEqual(node.addresses, []);
  assert.deepEqual(node.problems, ['ForeignVirtualServer']);
  await node.other.apply({ kind: 'delete-virtual-server', server: identity });
  await node.advance(2 * syncPeriod);
  assert.deepEqual(node.lines, [`TCP ${vip}:80 → 10.1.0.1:80`]);
  assert.deepEqual(node.addresses, [`${vip}/32`]);
  assert.deepEqual(node.problems, []);
});
