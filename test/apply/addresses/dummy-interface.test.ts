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
