import { defaultInstance } from '../../src/model/instance-names.js';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { IpAddress } from '../../src/base/ip.js';
import { RtnetlinkClient } from '../../src/kernel/rtnetlink/client.js';
import type { Link } from '../../src/kernel/rtnetlink/convert.js';
import { watchRtnetlink, type RtnetlinkEvent } from '../../src/kernel/rtnetlink/events.js';
import type { AddressOperation } from '../../src/model/operation.js';
import { eventually } from '../support/eventually.js';
import { rtnetlinkEventText } from '../support/rtnetlink-event-text.js';
import { settle } from '../support/virtual-clock.js';

const name = 'kube-ipvs0';
const run = (command: string): string => execFileSync('sh', ['-c', command], { encoding: 'utf8' });
const bind = (address: string): AddressOperation => ({
  kind: 'bind-address',
  address: address as IpAddress,
  binding: 'address',
});
const unbind = (address: string): AddressOperation => ({
  kind: 'unbind-address',
  address: address as IpAddress,
  binding: 'address',
});

const client = RtnetlinkClient.open(defaultInstance);
const dummy = async (): Promise<Link> => {
  const link = await client.link(name);
  assert.ok(link !== undefined, `${name} exists`);
  return link;
};
const addressesOf = async (index: number): Promise<string[]> =>
  (await client.addresses())
    .filter((address) => address.interfaceIndex === index)
    .map((address) => `${address.address}/${address.prefixLength} ${address.interfaceName}`)
    .toSorted();
const shown = (): string[] =>
  run(`ip -o addr show dev ${name}`)
    .split('\n')
    .flatMap((line) => / inet6? (\S+) /.exec(line)?.[1] ?? [])
    .toSorted();

beforeEach(async () => {
  assert.deepEqual(await client.createDummy(name), { status: 'applied' });
});
afterEach(async () => {
  const link = await client.link(name);
  if (link !== undefined) await client.deleteLink(link.index);
});

describe('the dummy interface', () => {
  test('is a dummy, down, without a transmit queue', async () => {
    assert.deepEqual(await dummy(), { index: (await dummy()).index, name, kind: 'dummy', up: false });
    const [line] = run(`ip -o -d link show dev ${name}`).split('\n');
    assert.match(line ?? '', /<BROADCAST,NOARP>/);
    assert.match(line ?? '', / dummy /);
    assert.equal(run(`cat /sys/class/net/${name}/tx_queue_len`), '0\n');
  });

  test('is listed with the others', async () => {
    const names = (await client.links()).map((link) => link.name);
    assert.ok(names.includes('lo') && names.includes(name), names.join(', '));
  });

  test('cannot be made twice', async () => {
    const outcome = await client.createDummy(name);
    assert.ok(outcome.status === 'failed');
    assert.equal(outcome.errno, 'EEXIST');
    assert.match(outcome.message, /^create the dummy interface kube-ipvs0: EEXIST/);
  });

  test('with a name that is too long: the kernel’s words', async () => {
    const outcome = await client.createDummy('a-name-of-more-than-fifteen');
    assert.ok(outcome.status === 'failed');
    assert.deepEqual([outcome.errno, /at name/.test(outcome.message)], ['ERANGE', true], outcome.message);
  });

  test('is deleted; a second time it is ENODEV', async () => {
    const { index } = await dummy();
    assert.deepEqual(await client.deleteLink(index), { status: 'applied' });
    assert.equal(await client.link(name), undefined);
    const outcome = await client.deleteLink(index);
    assert.equal(outcome.status === 'failed' && outcome.errno, 'ENODEV');
  });

  test('that is up is seen as up', async () => {
    run(`ip link set ${name} up`);
    assert.equal((await dummy()).up, true);
  });
});

describe('addresses', () => {
  test('IPv4 are /32, IPv6 /128, as ip shows them', async () => {
    const { index } = await dummy();
    const outcomes = await client.apply(index, [bind('10.96.0.1'), bind('fd00::1'), bind('10.96.0.2')]);
    assert.deepEqual(
      outcomes.map((outcome) => outcome.status),
      ['applied', 'applied', 'applied'],
    );
    assert.deepEqual(shown(), ['10.96.0.1/32', '10.96.0.2/32', 'fd00::1/128']);
    assert.deepEqual(
      await addressesOf(index),
      shown().map((text) => `${text} ${name}`),
    );
  });

  test('are unbound, each alone', async () => {
    const { index } = await dummy();
    await client.apply(index, [bind('10.96.0.1'), bind('10.96.0.2'), bind('fd00::1'), bind('fd00::2')]);
    await client.apply(index, [unbind('10.96.0.1'), unbind('fd00::1')]);
    assert.deepEqual(shown(), ['10.96.0.2/32', 'fd00::2/128']);
  });

  test('errors by errno name, with the kernel’s words', async () => {
    const { index } = await dummy();
    const outcomes = await client.apply(index, [
      bind('10.96.0.1'),
      bind('10.96.0.1'),
      bind('fd00::1'),
      bind('fd00::1'),
      unbind('10.96.0.9'),
      unbind('fd00::9'),
    ]);
    assert.deepEqual(
      outcomes.map((outcome) => (outcome.status === 'failed' ? outcome.errno : outcome.status)),
      ['applied', 'EEXIST', 'applied', 'EEXIST', 'EADDRNOTAVAIL', 'EADDRNOTAVAIL'],
    );
    const [gone] = await client.apply(9999, [bind('10.96.0.3')]);
    assert.equal(gone?.status === 'failed' && gone.errno, 'ENODEV');
  });

  test('2,000 of them: bound, listed, unbound, over several datagrams', async () => {
    const { index } = await dummy();
    const all = Array.from({ length: 2000 }, (_, number) => `10.97.${number >> 8}.${number & 255}`);
    const before = client.sent.datagrams;
    const bound = await client.apply(index, all.map(bind));
    assert.deepEqual(
      bound.filter((outcome) => outcome.status !== 'applied'),
      [],
    );
    assert.ok(client.sent.datagrams - before <= 5, `${client.sent.datagrams - before} datagrams`);
    assert.equal((await addressesOf(index)).length, 2000);
    await client.apply(index, all.map(unbind));
    assert.deepEqual(await addressesOf(index), []);
  });
});

const watching = (
  options: { receiveBufferBytes?: number; ignoredPortId?: number } = {},
  onEvent: (event: RtnetlinkEvent) => void = () => {},
) => {
  const seen = { events: [] as RtnetlinkEvent[], lost: 0, failures: [] as Error[] };
  const watch = watchRtnetlink(
    {
      event: (event) => {
        seen.events.push(event);
        onEvent(event);
      },
      lost: () => {
        seen.lost += 1;
      },
      failed: (error) => seen.failures.push(error),
    },
    defaultInstance,
    options,
  );
  return { seen, close: () => watch.close() };
};
const describeEvents = (events: readonly RtnetlinkEvent[]): string[] => events.map(rtnetlinkEventText);

describe('events', () => {
  test('tell of links and addresses as they come and go', async () => {
    const { seen, close } = watching();
    run(
      `ip link add other0 type dummy && ip addr add 192.0.2.1/24 dev other0 && ip addr add 2001:db8::1/64 dev other0 nodad`,
    );
    run(`ip addr del 192.0.2.1/24 dev other0 && ip link del other0`);
    await eventually(() =>
      assert.ok(
        describeEvents(seen.events).includes('link-gone other0'),
        describeEvents(seen.events).join(', '),
      ),
    );
    const told = describeEvents(seen.events);
    for (const expected of [
      'link other0',
      'address 192.0.2.1/24',
      'address 2001:db8::1/64',
      'address-gone 192.0.2.1/24',
      'link-gone other0',
    ])
      assert.ok(told.includes(expected), `${expected} in ${told.join(', ')}`);
    const address = seen.events.find((event) => event.kind === 'address');
    assert.equal(address?.kind === 'address' && address.address.interfaceName, 'other0');
    assert.deepEqual([seen.lost, seen.failures], [0, []]);
    close();
  });

  test('what one port asks for is left out, and the same by others is told', async () => {
    const { seen, close } = watching({ ignoredPortId: client.portId });
    const { index } = await dummy();
    await client.apply(index, [bind('10.96.0.1'), bind('10.96.0.2')]);
    await client.apply(index, [unbind('10.96.0.1')]);
    run(`ip addr add 10.96.0.3/32 dev ${name} && ip addr del 10.96.0.2/32 dev ${name}`);
    await eventually(() =>
      assert.ok(
        describeEvents(seen.events).includes('address-gone 10.96.0.2/32'),
        describeEvents(seen.events).join(', '),
      ),
    );
    assert.deepEqual(
      describeEvents(seen.events).filter((event) => event.startsWith('address')),
      ['address 10.96.0.3/32', 'address-gone 10.96.0.2/32'],
    );
    assert.deepEqual([seen.lost, seen.failures], [0, []]);
    close();
  });

  test('a listener that throws is told so, and events go on', async () => {
    const { seen, close } = watching({}, () => {
      throw new Error('mine');
    });
    const { index } = await dummy();
    await client.apply(index, [bind('10.96.0.1'), bind('10.96.0.2')]);
    await eventually(() => assert.ok(seen.events.length >= 2, describeEvents(seen.events).join(', ')));
    assert.deepEqual(
      seen.failures.map((error) => error.message),
      seen.events.map(() => 'mine'),
    );
    close();
  });

  test('nothing comes after close, also when it is closed by its own listener', async () => {
    let count = 0;
    const watch = watchRtnetlink(
      {
        event: () => {
          count += 1;
          watch.close();
        },
        lost: () => assert.fail('lost'),
        failed: (error) => assert.fail(error),
      },
      defaultInstance,
    );
    const { index } = await dummy();
    await client.apply(index, [bind('10.96.0.1'), bind('10.96.0.2'), bind('10.96.0.3')]);
    await settle();
    assert.equal(count, 1);
  });

  test('a storm of addresses on a tiny buffer: lost is told, the process lives, and the next event arrives', async () => {
    const { seen, close } = watching({ receiveBufferBytes: 4096 });
    const { index } = await dummy();
    const storm = Array.from({ length: 1000 }, (_, number) => `10.98.${number >> 8}.${number & 255}`);
    for (let round = 0; round < 5; round += 1) {
      await client.apply(index, storm.map(bind));
      await client.apply(index, storm.map(unbind));
    }
    await eventually(() => assert.ok(seen.lost > 0, `${seen.events.length} events, none lost`));
    assert.ok(seen.events.length < 10_000, `${seen.events.length} events`);
    // Recovered: the socket is empty, a new event comes through, and reading everything again is right.
    await settle();
    const lost = seen.lost;
    await client.apply(index, [bind('10.99.0.1')]);
    await eventually(() =>
      assert.ok(
        describeEvents(seen.events).includes('address 10.99.0.1/32'),
        describeEvents(seen.events.slice(-3)).join(', '),
      ),
    );
    assert.equal(seen.lost, lost);
    assert.deepEqual(await addressesOf(index), [`10.99.0.1/32 ${name}`]);
    assert.deepEqual(seen.failures, []);
    close();
  });

  test('5,000 failing messages in flight while events are watched: each has its outcome', async () => {
    const { seen, close } = watching({ receiveBufferBytes: 4096 });
    const { index } = await dummy();
    await client.apply(index, [bind('10.96.0.1')]);
    const outcomes = await client.apply(
      index,
      Array.from({ length: 5000 }, () => bind('10.96.0.1')),
    );
    assert.deepEqual(
      new Set(outcomes.map((outcome) => (outcome.status === 'failed' ? outcome.errno : outcome.status))),
      new Set(['EEXIST']),
    );
    assert.deepEqual(await addressesOf(index), [`10.96.0.1/32 ${name}`]);
    assert.deepEqual(seen.failures, []);
    close();
  });
});
