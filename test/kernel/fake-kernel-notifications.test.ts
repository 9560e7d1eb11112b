// The fake kernel sends the same notifications as the real one.
import { defaultInstance } from '../../src/model/instance-names.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NetfilterGroup } from '../../src/kernel/nfnetlink.js';
import { tableOfEvent, watchNftables } from '../../src/kernel/nftables/events.js';
import { RouteGroup } from '../../src/kernel/rtnetlink/attributes.js';
import { rtnetlinkEventFrom, watchRtnetlink } from '../../src/kernel/rtnetlink/events.js';
import type { IpAddress } from '../../src/base/ip.js';
import type { AddressOperation } from '../../src/model/operation.js';
import { Connection } from '../../src/netlink/connection.js';
import type { TableDeclaration } from '../../src/nftables/declarations.js';
import { eventually } from '../support/eventually.js';
import { FakeKernel } from '../support/fake-kernel/fake-kernel.js';
import { OtherProgram } from '../support/fake-kernel/other-program.js';
import { runLine } from '../support/lab-guest.js';
import { ip } from '../support/objects.js';
import { rtnetlinkEventText } from '../support/rtnetlink-event-text.js';

const table = 'kube-ipvs';
const empty: TableDeclaration = { family: 'IPv4', name: table, sets: [], chains: [] };
const fake = new FakeKernel();
const onFake = new OtherProgram(fake.connectOther);
const onReal = new OtherProgram((protocol) => Connection.open(protocol));

const routeOf = (kind: AddressOperation['kind'], address: IpAddress): AddressOperation => ({
  kind,
  address,
  binding: 'route',
});

/** Two programs change links, addresses, local routes and tables. */
const changeAndUndo = async (own: OtherProgram, other: OtherProgram): Promise<void> => {
  await own.route.createDummy('mine');
  const { index = 0 } = (await own.route.link('mine')) ?? {};
  const [first, second, sixth] = ['192.0.2.1', '192.0.2.2', 'fd00::9'].map(ip);
  assert.ok(first && second && sixth);
  await own.route.apply(index, [
    { kind: 'bind-address', address: first, binding: 'address' },
    { kind: 'bind-address', address: sixth, binding: 'address' },
  ]);
  await other.route.apply(index, [
    { kind: 'bind-address', address: second, binding: 'address' },
    { kind: 'unbind-address', address: second, binding: 'address' },
  ]);
  await own.route.apply(index, [routeOf('bind-address', first), routeOf('bind-address', sixth)]);
  const foreign = ['192.0.2.3', 'fd00::a'].map(ip);
  for (const kind of ['bind-address', 'unbind-address'] as const)
    await other.route.apply(
      index,
      foreign.map((address) => routeOf(kind, address)),
    );
  await own.nftables.transaction([{ kind: 'declare-table', declaration: { ...empty, family: 'IPv6' } }]);
  await own.nftables.transaction([{ kind: 'delete-table', family: 'IPv6', name: table }]);
  await other.nftables.transaction([{ kind: 'declare-table', declaration: empty }]);
  await other.nftables.transaction([{ kind: 'delete-table', family: 'IPv4', name: table }]);
  await other.route.createDummy('last');
};

test('notifications cover the changes of other programs, and all changes of IPv6 addresses, but not of routes', async () => {
  const unexpected = (error: Error): void => assert.fail(error);
  const told = { real: new Set<string>(), fake: new Set<string>() };
  const other = new OtherProgram((protocol) => Connection.open(protocol));
  using _stop = {
    [Symbol.dispose]: () => {
      links.close();
      rules.close();
      other[Symbol.dispose]();
      onReal[Symbol.dispose]();
      for (const name of ['mine', 'last']) runLine(`ip link delete ${name}`);
    },
  };
  const links = watchRtnetlink(
    {
      event: (event) => void told.real.add(rtnetlinkEventText(event)),
      lost: () => assert.fail('lost'),
      failed: unexpected,
    },
    defaultInstance,
    { ignoredPortId: onReal.route.portId },
  );
  const rules = watchNftables(
    {
      changed: (name, family) => void told.real.add(`${family} ${name}`),
      lost: () => assert.fail('lost'),
      failed: unexpected,
    },
    { table, ignoredPortId: onReal.nftables.portId },
  );
  const names = new Map<number, string>();
  fake.listen({
    protocol: 'route',
    groups: Object.values(RouteGroup),
    ignoredPortId: () => onFake.route.portId,
    message: (message) => {
      const event = rtnetlinkEventFrom(message, names, defaultInstance.routeMetric);
      if (event !== undefined) told.fake.add(rtnetlinkEventText(event));
    },
    lost: () => assert.fail('lost'),
  });
  fake.listen({
    protocol: 'netfilter',
    groups: [NetfilterGroup.nftables],
    ignoredPortId: () => onFake.nftables.portId,
    message: (message) => {
      const of = tableOfEvent(message);
      if (of !== undefined) told.fake.add(`${of.family} ${of.table}`);
    },
    lost: () => assert.fail('lost'),
  });
  await changeAndUndo(onReal, other);
  await changeAndUndo(onFake, new OtherProgram(fake.connectOther));
  const last = 'link last';
  await eventually(() => assert.ok(told.real.has(last) && told.fake.has(last)));
  await eventually(() => assert.deepEqual([...told.fake].toSorted(), [...told.real].toSorted()));
});
