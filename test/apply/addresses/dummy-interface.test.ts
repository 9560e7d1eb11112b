import { defaultInstance } from '../../../src/model/instance-names.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DummyInterface, type DummyInterfaceLinks } from '../../../src/apply/addresses/dummy-interface.js';
import type { IpAddress } from '../../../src/base/ip.js';
import { silentLogger } from '../../../src/base/log.js';
import type { AddressOperation } from '../../../src/model/operation.js';
import { failed } from '../../support/faulty-kernel.js';

const address = '10.96.0.1' as IpAddress;
const bind: AddressOperation = { kind: 'bind-address', address, binding: 'address' };
const unbind: AddressOperation = { kind: 'unbind-address', address, binding: 'address' };

/** A device that first fails with these errors; its replacement accepts everything. */
const setUp = (...errnos: readonly string[]) => {
  const made: number[] = [];
  const asked: number[] = [];
  let index: number | undefined = 7;
  const links: DummyInterfaceLinks = {
    link: async () => (index === undefined ? undefined : { index, kind: 'dummy' }),
    createDummy: async () => {
      index = 8 + made.length;
      made.push(index);
      return { status: 'applied' };
    },
    addresses: async () => [],
    vipRoutes: async () => [],
    localIpv6Addresses: async () => new Set<IpAddress>(),
    apply: async (on, operations) => {
      asked.push(on);
      if (on !== 7) return operations.map(() => ({ status: 'applied' }));
      index = undefined;
      return operations.map((_, place) => failed(errnos[place] ?? 'ENODEV'));
    },
  };
  return { made, asked, dummy: new DummyInterface(links, defaultInstance.dummyInterface, silentLogger) };
};

for (const errno of ['ENODEV', 'ENONET'])
  test(`${errno}: the device is created again and all operations are repeated`, async () => {
    const { made, asked, dummy } = setUp('EEXIST', errno);
    assert.deepEqual(await dummy.apply([bind, bind]), [{ status: 'applied' }, { status: 'applied' }]);
    assert.deepEqual([made, asked], [[8], [7, 8]]);
  });

test('unbinding an address of a missing device succeeds without creating the device', async () => {
  const { made, dummy } = setUp('ENODEV', 'ENONET');
  assert.deepEqual(await dummy.apply([unbind, unbind]), [failed('ENODEV'), failed('ENONET')]);
  assert.deepEqual(made, []);
});

test('other errors fail only their own address', async () => {
  const { made, asked, dummy } = setUp('EEXIST', 'EINVAL');
  assert.deepEqual(await dummy.apply([bind, bind]), [failed('EEXIST'), failed('EINVAL')]);
  assert.deepEqual([made, asked], [[], [7]]);
});

test('local routes are sent without a device', async () => {
  const { dummy, asked, made } = setUp();
  const route = { ...bind, binding: 'route' } as const;
  await dummy.apply([route]);
  assert.deepEqual([asked, made], [[0], []]);
});

const vip6 = 'fd00:96::10' as IpAddress;
const replaced: AddressOperation = {
  kind: 'unbind-address',
  address: vip6,
  binding: 'route',
  replacedBy: 'address',
};

/** A kernel that has the local route of the address from this look on. */
const withLateRoute = (look: number) => {
  let looks = 0;
  const sent: (readonly [looksBefore: number, AddressOperation])[] = [];
  const links: DummyInterfaceLinks = {
    link: async () => ({ index: 7, kind: 'dummy' }),
    createDummy: async () => ({ status: 'applied' }),
    addresses: async () => [],
    vipRoutes: async () => [],
    localIpv6Addresses: async () => new Set((looks += 1) < look ? [] : [vip6]),
    apply: async (_, operations) => {
      for (const operation of operations) sent.push([looks, operation]);
      return operations.map(() => ({ status: 'applied' }));
    },
  };
  return { sent, dummy: new DummyInterface(links, defaultInstance.dummyInterface, silentLogger) };
};

test('the route that an IPv6 address replaces is deleted after the kernel has its own', async () => {
  const { sent, dummy } = withLateRoute(3);
  assert.deepEqual(await dummy.apply([replaced]), [{ status: 'applied' }]);
  assert.deepEqual(sent, [[3, replaced]]);
});

test('without that route of the kernel, only its deletion fails', async () => {
  const { sent, dummy } = withLateRoute(Number.POSITIVE_INFINITY);
  const route: AddressOperation = {
    kind: 'unbind-address',
    address,
    binding: 'route',
    replacedBy: 'address',
  };
  const [first, second] = await dummy.apply([replaced, route]);
  assert.equal(first?.status === 'failed' && first.errno, 'EAGAIN');
  assert.deepEqual(second, { status: 'applied' });
  assert.deepEqual(
    sent.map(([, operation]) => operation),
    [route],
  );
});

test('nothing is waited for where no route is replaced', async () => {
  const { sent, dummy } = withLateRoute(Number.POSITIVE_INFINITY);
  const unbound: AddressOperation = { kind: 'unbind-address', address: vip6, binding: 'route' };
  await dummy.apply([unbound, bind]);
  assert.deepEqual(sent, [
    [0, unbound],
    [0, bind],
  ]);
});
