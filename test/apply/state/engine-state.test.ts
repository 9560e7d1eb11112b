import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isBound } from '../../../src/model/settings/vip-binding.js';
import { EngineState } from '../../../src/apply/state/engine-state.js';
import { virtualServerKey, type VirtualServer } from '../../../src/model/virtual-server.js';
import { setElement } from '../../../src/nftables/declarations.js';
import { ip } from '../../support/objects.js';

const vip = ip('10.96.0.1');
const identity = { by: 'address', protocol: 'TCP', address: vip, port: 80 } as const;
const server: VirtualServer = {
  key: virtualServerKey(identity),
  identity,
  scheduler: 'rr',
  persistence: undefined,
  flags: [],
};
const bind = { kind: 'bind-address', address: vip, binding: 'address' } as const;
const applied = { status: 'applied' } as const;

test('an address that another program removes while it is being bound is absent, regardless of the outcome', () => {
  const state = new EngineState();
  state.sendAddresses([bind]);
  assert.equal(
    state.notifyAddress(vip, 'address', false),
    true,
    'the notification differs from the result of the operation',
  );
  state.record(bind, applied);
  assert.equal(isBound(state, vip), false);
});

test('the notification of an operation by kube-ipvs reports no drift', () => {
  const state = new EngineState();
  state.sendAddresses([bind]);
  assert.equal(state.notifyAddress(vip, 'address', true), false);
  state.record(bind, applied);
  assert.equal(isBound(state, vip), true);
  assert.equal(state.notifyAddress(vip, 'address', false), true);
  assert.equal(isBound(state, vip), false);
});

test('an address whose device is deleted while it is being bound is lost with the others', () => {
  const state = new EngineState();
  const other = { kind: 'bind-address', address: ip('10.96.0.2'), binding: 'address' } as const;
  state.sendAddresses([other]);
  state.record(other, applied);
  state.sendAddresses([bind]);
  assert.deepEqual([...state.setAddresses({ address: [], route: [] })].toSorted(), [
    '10.96.0.1',
    '10.96.0.2',
  ]);
});

test('a dump that lists one address twice does not hide that another is gone', () => {
  const state = new EngineState();
  const other = ip('10.96.0.2');
  state.setAddresses({ address: [vip, other], route: [] });
  assert.deepEqual([...state.setAddresses({ address: [vip, vip], route: [] })], [other]);
});

test('a virtual server that is read anew is on no known page of the table file', () => {
  const state = new EngineState();
  const { virtualServers } = state;
  state.record({ kind: 'add-virtual-server', server }, applied);
  const before = state.virtualServer(server.key);
  assert.ok(before);
  before.page = { round: 1 };
  const revision = virtualServers.revision(server.key);
  virtualServers.read(identity, { server, realServers: [] }, { isAdopted: true, revision });
  assert.equal(before.page, undefined);
  assert.equal(state.virtualServer(server.key)?.page, undefined);
});

test('a read that began before an operation was recorded is stale', () => {
  const state = new EngineState();
  const { virtualServers } = state;
  const revision = virtualServers.revision(server.key);
  state.record({ kind: 'add-virtual-server', server }, applied);
  virtualServers.read(identity, undefined, { isAdopted: false, revision });
  assert.equal(state.virtualServer(server.key)?.server, server);
  virtualServers.read(identity, undefined, {
    isAdopted: false,
    revision: virtualServers.revision(server.key),
  });
  assert.equal(state.virtualServer(server.key), undefined);
});

test('a deferred element is not in the kernel, and is dirty once its family is read', () => {
  const state = new EngineState();
  const added = setElement('IPv4', 'vips', [vip]);
  const removed = setElement('IPv4', 'vips', [ip('10.96.0.2')]);
  state.setElements([removed]);
  state.recordElement({ kind: 'add-element', element: added }, { status: 'deferred' });
  state.recordElement({ kind: 'delete-element', element: removed }, { status: 'deferred' });
  assert.deepEqual([state.element(added.key), state.element(removed.key)], [undefined, removed]);
  assert.deepEqual([...state.setElements([removed])].toSorted(), [added.key, removed.key].toSorted());
  assert.deepEqual([...state.setElements([removed])], []);
});

test('the bindings of a VIP are known apart, and a dump tells which changed', () => {
  const state = new EngineState();
  const route = { ...bind, binding: 'route' } as const;
  for (const operation of [bind, route]) {
    state.sendAddresses([operation]);
    state.record(operation, applied);
  }
  assert.deepEqual(state.bindings(vip), ['address', 'route']);
  assert.deepEqual([...state.addresses()], [vip]);
  assert.equal(state.notifyAddress(vip, 'address', false), true);
  assert.deepEqual(state.bindings(vip), ['route']);
  assert.deepEqual([...state.setAddresses({ address: [], route: [vip] })], []);
  assert.deepEqual([...state.setAddresses({ address: [vip], route: [] })], [vip]);
  assert.deepEqual(state.bindings(vip), ['address']);
});
