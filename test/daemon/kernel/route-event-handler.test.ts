import { defaultInstance } from '../../../src/model/instance-names.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DummyInterface } from '../../../src/apply/addresses/dummy-interface.js';
import { NodeAddresses } from '../../../src/apply/addresses/node-addresses.js';
import { EngineState } from '../../../src/apply/state/engine-state.js';
import type { IpAddress } from '../../../src/base/ip.js';
import { silentLogger } from '../../../src/base/log.js';
import { RouteEventHandler } from '../../../src/daemon/kernel/route-event-handler.js';
import { ip } from '../../support/objects.js';

/** Events about a node whose kube-ipvs0 has index 7 and 10.96.0.1, with what they led to. */
const setUp = async () => {
  const links = {
    link: async () => ({ index: 7, kind: 'dummy' }),
    createDummy: async () => ({ status: 'applied' }) as const,
    addresses: async () => [],
    vipRoutes: async () => [],
    localIpv6Addresses: async () => new Set<IpAddress>(),
    apply: async () => [],
  };
  const dummy = new DummyInterface(links, defaultInstance.dummyInterface, silentLogger);
  await dummy.ensure();
  const observed = new EngineState();
  observed.notifyAddress(ip('10.96.0.1'), 'address', true);
  const told: string[] = [];
  const events = new RouteEventHandler({
    dummy,
    observed,
    nodeAddresses: new NodeAddresses(),
    nodeChanged: () => void told.push('node changed'),
    vipsChanged: (addresses) => void told.push(`VIPs changed: ${[...addresses].join(' ')}`),
    rereadAddresses: () => void told.push('reread'),
  });
  return { dummy, events, observed, told };
};

const linkEvent = (index: number, name: string) =>
  ({ kind: 'link', link: { index, name, kind: 'dummy', up: false } }) as const;

const addressEvent = (text: string, prefixLength: number) =>
  ({
    kind: 'address',
    address: {
      address: ip(text),
      prefixLength,
      interfaceIndex: 7,
      interfaceName: defaultInstance.dummyInterface,
    },
  }) as const;

test('kube-ipvs0 that somebody renames is ours no more, and everything is read again', async () => {
  const { dummy, events, told } = await setUp();
  events.handle(linkEvent(7, 'kept-aside'));
  assert.equal(dummy.index, undefined);
  assert.deepEqual(told, ['VIPs changed: 10.96.0.1', 'reread']);
});

test('a kube-ipvs0 that somebody else made is looked at before its addresses are taken for those of the node', async () => {
  const { dummy, events, told } = await setUp();
  events.handle(linkEvent(9, defaultInstance.dummyInterface));
  assert.equal(dummy.index, undefined);
  assert.deepEqual(told, ['VIPs changed: 10.96.0.1', 'reread']);
});

test('other news of kube-ipvs0 and of other links leads to nothing', async () => {
  const { events, told } = await setUp();
  events.handle(linkEvent(7, defaultInstance.dummyInterface));
  events.handle(linkEvent(3, 'eth0'));
  assert.deepEqual(told, []);
});

test('link-local addresses and networks on kube-ipvs0 are none of ours', async () => {
  const { events, told } = await setUp();
  events.handle(addressEvent('fe80::1', 64));
  events.handle(addressEvent('fe80::1', 128));
  events.handle(addressEvent('10.77.0.1', 24));
  assert.deepEqual(told, []);
  events.handle(addressEvent('10.77.0.1', 32));
  assert.deepEqual(told, ['VIPs changed: 10.77.0.1']);
});

test('a local route that comes or goes changes its VIP, whatever becomes of kube-ipvs0', async () => {
  const { events, observed, told } = await setUp();
  const vip = ip('fd00:96::1');
  events.handle({ kind: 'route', vip });
  assert.deepEqual(observed.bindings(vip), ['route']);
  events.handle({
    kind: 'link-gone',
    link: { index: 7, name: defaultInstance.dummyInterface, kind: 'dummy', up: false },
  });
  assert.deepEqual(observed.bindings(vip), ['route']);
  events.handle({ kind: 'route-gone', vip });
  assert.deepEqual(told, [`VIPs changed: ${vip}`, 'VIPs changed: 10.96.0.1', `VIPs changed: ${vip}`]);
});
