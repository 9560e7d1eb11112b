// lab: -m 1G
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IpAddress } from '../../src/base/ip.js';
import { NftablesClient } from '../../src/kernel/nftables/client.js';
import { Connection } from '../../src/netlink/connection.js';
import type { SetElement } from '../../src/nftables/declarations.js';
import { everything, serviceElement, services } from '../support/packet-rules.js';

/** Smaller than the datagrams, so that it has to grow. */
const bufferBytes = 1 << 20;
const client = NftablesClient.open(Connection.open('netfilter', { bufferBytes }));
const many = 100_000;
const element = (number: number, chain?: string): SetElement =>
  serviceElement(
    'IPv4',
    [`10.${100 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}` as IpAddress, 'TCP', 80],
    chain,
  );
const all = Array.from({ length: many }, (_, number) => element(number));
const change = (kind: 'add-elements' | 'delete-elements', elements: readonly SetElement[]) =>
  client.transaction([{ kind, family: 'IPv4', table: 'kube-ipvs', set: services, elements }]);
const count = async (): Promise<number> => {
  const elements = await client.elements('IPv4', 'kube-ipvs', services);
  return new Set(elements.map(({ key }) => key)).size;
};

const timed = async <T>(what: string, action: () => Promise<T>): Promise<T> => {
  const start = performance.now();
  const result = await action();
  console.log(`# ${what}: ${(performance.now() - start).toFixed(1)} ms`);
  return result;
};

test(`${many} elements in one transaction of one datagram: none is lost, and more can be added`, async () => {
  const { declaration } = everything('IPv4');
  assert.deepEqual(await client.transaction([{ kind: 'declare-table', declaration }]), { status: 'applied' });
  const before = client.sent.datagrams;
  assert.deepEqual(await timed(`add ${many}`, () => change('add-elements', all)), { status: 'applied' });
  assert.equal(client.sent.datagrams - before, 1);
  assert.equal(await timed('read them', count), many);
  const more = await timed('add one more', () => change('add-elements', [element(many)]));
  assert.deepEqual(more, { status: 'applied' });
  assert.equal(await count(), many + 1);
});

test('one bad element among them: nothing is done, and it is named', async () => {
  const bad = all.map((_, number) =>
    number === 77_777 ? element(number, 'nosuch') : element(number + many),
  );
  const outcome = await change('add-elements', bad);
  assert.ok(outcome.status === 'failed');
  assert.equal(outcome.errno, 'ENOENT');
  assert.match(
    outcome.message,
    /^add \d+ elements 10\.[\d.]+ \. TCP \. 80 to .* at element 10\.101\.47\.209 \. TCP \. 80: /,
  );
  assert.equal(await count(), many + 1);
});

test('all are deleted in one transaction', async () => {
  assert.deepEqual(await timed('delete them', () => change('delete-elements', all)), { status: 'applied' });
  assert.equal(await count(), 1);
});
