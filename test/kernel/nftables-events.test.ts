import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { NftablesClient } from '../../src/kernel/nftables/client.js';
import { watchNftables } from '../../src/kernel/nftables/events.js';
import { eventually } from '../support/eventually.js';
import { run } from '../support/lab-guest.js';
import { everything, sampleAddress, serviceElement, services } from '../support/packet-rules.js';
import { settle } from '../support/virtual-clock.js';

const client = NftablesClient.open();
const table = 'kube-ipvs';
const nft = (line: string): string => run('nft', ...line.split(' '));
const element = serviceElement('IPv4', [sampleAddress.IPv4, 'TCP', 80]);

const watching = (options: { receiveBufferBytes?: number; ignoredPortId?: number } = {}) => {
  const seen = { changed: [] as string[], lost: 0, failures: [] as Error[] };
  const watch = watchNftables(
    {
      changed: (name, family) => seen.changed.push(`${family} ${name}`),
      lost: () => {
        seen.lost += 1;
      },
      failed: (error) => seen.failures.push(error),
    },
    { table, ...options },
  );
  return { seen, close: () => watch.close() };
};

/** What is told once everything before has been: the events of one socket come in their order. */
const told = async (watch: ReturnType<typeof watching>): Promise<readonly string[]> => {
  const before = watch.seen.changed.length;
  nft(`add table ip6 ${table}`);
  nft(`add chain ip6 ${table} marker`);
  await eventually(() =>
    assert.ok(
      watch.seen.changed.slice(before).includes(`IPv6 ${table}`) || watch.seen.lost > 0,
      watch.seen.changed.join(', '),
    ),
  );
  await settle();
  nft(`delete table ip6 ${table}`);
  await settle();
  assert.deepEqual([watch.seen.lost, watch.seen.failures], [0, []]);
  return watch.seen.changed.splice(0).filter((name) => name.startsWith('IPv4'));
};

beforeEach(async () => {
  nft('flush ruleset');
  const { declaration } = everything('IPv4');
  assert.equal((await client.transaction([{ kind: 'declare-table', declaration }])).status, 'applied');
});
afterEach(() => nft('flush ruleset'));

const changeElements = async (kind: 'add-elements' | 'delete-elements'): Promise<void> => {
  const outcome = await client.transaction([
    { kind, family: 'IPv4', table, set: services, elements: [element] },
  ]);
  assert.deepEqual(outcome, { status: 'applied' });
};

for (const line of [
  `add rule ip ${table} cluster-ip accept`,
  `flush chain ip ${table} input`,
  `add element ip ${table} vips { 10.0.0.1 }`,
  `add set ip ${table} other { type ipv4_addr; }`,
  `delete table ip ${table}`,
  'flush ruleset',
])
  test(`nft ${line}: told`, async () => {
    const watch = watching({ ignoredPortId: client.portId });
    nft(line);
    const changed = await told(watch);
    assert.ok(changed.length > 0);
    assert.deepEqual(new Set(changed), new Set([`IPv4 ${table}`]));
    watch.close();
  });

test('our own changes are not told, and between them those of others are', async () => {
  const watch = watching({ ignoredPortId: client.portId });
  await changeElements('add-elements');
  await client.transaction([{ kind: 'declare-table', declaration: everything('IPv4').declaration }]);
  assert.deepEqual(await told(watch), []);
  nft(`delete element ip ${table} services { ${sampleAddress.IPv4} . tcp . 80 }`);
  await changeElements('add-elements');
  assert.deepEqual(await told(watch), [`IPv4 ${table}`]);
  await changeElements('delete-elements');
  assert.deepEqual(await told(watch), []);
  watch.close();
});

test('our own changes are told where no port is left out', async () => {
  const watch = watching();
  await changeElements('add-elements');
  assert.deepEqual(await told(watch), [`IPv4 ${table}`]);
  watch.close();
});

test('changes of other tables are not told, nor what was only tried', async () => {
  const watch = watching();
  nft('add table ip other');
  nft('add chain ip other mine { type filter hook input priority 0; }');
  nft('add rule ip other mine accept');
  nft(`add table inet ${table}`);
  nft('delete table ip other');
  await client.supports('IPv4');
  await client.check([{ kind: 'delete-table', family: 'IPv4', name: table }]);
  assert.deepEqual(await told(watch), []);
  watch.close();
});

test('more than the buffer holds: lost is told', async () => {
  const watch = watching({ receiveBufferBytes: 4096 });
  const elements = Array.from({ length: 5000 }, (_, number) =>
    serviceElement('IPv4', [sampleAddress.IPv4, 'TCP', number + 1]),
  );
  await client.transaction([{ kind: 'add-elements', family: 'IPv4', table, set: services, elements }]);
  await eventually(() => assert.ok(watch.seen.lost > 0, `${watch.seen.changed.length} events, none lost`));
  watch.close();
});
