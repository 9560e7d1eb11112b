import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { families, type Family } from '../../src/base/ip.js';
import { NftablesClient } from '../../src/kernel/nftables/client.js';
import {
  chainShape,
  elementsShape,
  NftablesMessage,
  ruleShape,
  setShape,
} from '../../src/kernel/nftables/attributes.js';
import { elementFrom, hookFrom, ruleFrom, setFrom } from '../../src/kernel/nftables/convert.js';
import { tableOfEvent } from '../../src/kernel/nftables/events.js';
import type { NftablesChange } from '../../src/kernel/nftables/changes.js';
import { requestsFor } from '../../src/kernel/nftables/requests.js';
import { Connection } from '../../src/netlink/connection.js';
import { ByteWriter, viewOf } from '../../src/netlink/codec/bytes.js';
import { readMessages, writeMessage, type Message } from '../../src/netlink/message.js';
import { setElement } from '../../src/nftables/declarations.js';
import { ruleText } from '../../src/nftables/table-text.js';
import { flatten, messagesIn, readCapture, type FlatMessage } from '../support/captures.js';
import { acknowledgementBytes, FakeChannel } from '../support/fake-channel.js';
import { everything, sampleAddress, serviceElement, services, vips } from '../support/packet-rules.js';

const batchBegin = 16;
const headerLength = 4;
const numberOf: Readonly<Record<Family, number>> = { IPv4: 4, IPv6: 6 };

/** The messages that nft sent between the begin and the end of its transaction. */
const theirs = (name: string): readonly Message[] => {
  const batch = readCapture(`nftables/${name}`).sent.find(
    (datagram) => messagesIn(datagram)[0]?.type === batchBegin,
  );
  assert.ok(batch !== undefined);
  return messagesIn(batch).slice(1, -1);
};

const ours = (change: NftablesChange): readonly Message[] => {
  const writer = new ByteWriter();
  for (const request of requestsFor(change)) writeMessage(writer, request, request.flags | 1, 1);
  const bytes = writer.written().slice();
  return [...readMessages(viewOf(bytes), bytes.length)];
};

const declare = (family: Family): NftablesChange => ({
  kind: 'declare-table',
  declaration: everything(family).declaration,
});

const hexOf = (text: string): string => Buffer.from(`${text}\0`).toString('hex');

/** Without what nft says besides: sets by their numbers in the transaction, the mode of bitwise steps, its notes on data types. */
const comparable = (message: Message): FlatMessage => {
  const flat = flatten(message, headerLength, []);
  const of = (name: string, path: string): boolean =>
    flat.attributes[`${path.slice(0, path.lastIndexOf('.2.'))}.1`] === hexOf(name);
  const isExtra = (path: string): boolean => {
    switch (message.type) {
      case NftablesMessage.newRule:
        return (
          (path.endsWith('.2.4') && of('lookup', path)) ||
          (path.endsWith('.2.6') && of('bitwise', path)) ||
          // The counts that a counter begins with: nft leaves zeros out.
          (/\.2\.[12]$/.test(path) && of('counter', path))
        );
      case NftablesMessage.newSet:
        return path === '7' || path === '13';
      case NftablesMessage.newElements:
      case NftablesMessage.deleteElements:
        return path === '4';
      default:
        return false;
    }
  };
  const attributes = Object.entries(flat.attributes).filter(([path]) => !isExtra(path));
  return { ...flat, attributes: Object.fromEntries(attributes) };
};

const ofTypes = (messages: readonly Message[], ...types: readonly number[]): readonly FlatMessage[] =>
  messages.filter(({ type }) => types.includes(type)).map(comparable);

for (const family of families)
  describe(`each message is what nft sends, attribute for attribute: ${family}`, () => {
    const declared = ours(declare(family));

    test('table, sets and chains', () => {
      const types = [NftablesMessage.newTable, NftablesMessage.newSet, NftablesMessage.newChain];
      const expected = theirs(`declare-sets${numberOf[family]}`);
      assert.equal(expected.length, 9);
      assert.deepEqual(ofTypes(declared, ...types), ofTypes(expected, ...types));
    });

    test('rules, which nft was given in the words of ruleText', () => {
      const expected = theirs(`declare-rules${numberOf[family]}`);
      const words = [...everything(family).words.values()].flat();
      assert.deepEqual(
        expected.map((message) => ruleText(family, ruleFrom(ruleShape.read(message).attributes, family))),
        words,
      );
      assert.deepEqual(ofTypes(declared, NftablesMessage.newRule), expected.map(comparable));
    });

    test('elements', () => {
      const address = sampleAddress[family];
      const add = (set: typeof vips, element: ReturnType<typeof setElement>): NftablesChange => ({
        kind: 'add-elements',
        family,
        table: 'kube-ipvs',
        set,
        elements: [element],
      });
      const changes = [
        add(services, serviceElement(family, [address, 'TCP', 80])),
        add(services, serviceElement(family, [address, 'UDP', 53], 'refuse')),
        add(vips, setElement(family, 'vips', [address])),
      ];
      assert.deepEqual(
        changes.flatMap(ours).map(comparable),
        theirs(`elements-add${numberOf[family]}`).map(comparable),
      );
    });
  });

describe('each message is what nft sends', () => {
  test('flush table', () => {
    const [expected] = theirs('flush-table');
    assert.ok(expected !== undefined);
    assert.deepEqual(ofTypes(ours(declare('IPv4')), NftablesMessage.deleteRule), [comparable(expected)]);
  });

  test('delete element', () => {
    const deletion: NftablesChange = {
      kind: 'delete-elements',
      family: 'IPv4',
      table: 'kube-ipvs',
      set: services,
      elements: [serviceElement('IPv4', [sampleAddress.IPv4, 'TCP', 80])],
    };
    assert.deepEqual(ours(deletion).map(comparable), theirs('elements-delete').map(comparable));
  });

  test('delete table', () => {
    const deletion: NftablesChange = { kind: 'delete-table', family: 'IPv4', name: 'kube-ipvs' };
    assert.deepEqual(ours(deletion).map(comparable), theirs('table-delete').map(comparable));
  });

  test('a transaction: begin and end', () => {
    const channel = new FakeChannel((messages) => {
      const last = messages.at(-2);
      return last === undefined ? [] : [acknowledgementBytes(last, 0)];
    });
    const client = NftablesClient.open(Connection.open('netfilter', { channel: () => channel }));
    void client.transaction([{ kind: 'delete-table', family: 'IPv4', name: 'kube-ipvs' }]);
    const frame = (messages: readonly Message[]): readonly (FlatMessage | undefined)[] =>
      [messages.at(0), messages.at(-1)].map((message) => message && flatten(message, headerLength, []));
    const batch = readCapture('nftables/table-delete').sent.map(messagesIn);
    const expected = batch.find(([first]) => first?.type === batchBegin);
    assert.deepEqual(frame(channel.datagrams[0] ?? []), frame(expected ?? []));
  });
});

describe('what the kernel says', () => {
  const received = (name: string, type: number): readonly Message[] =>
    readCapture(`nftables/${name}`)
      .received.flatMap(messagesIn)
      .filter((message) => message.type === type);
  const { declaration, words } = everything('IPv4');

  test('of rules is told in the words that they were made with', () => {
    assert.deepEqual(
      received('table-list', NftablesMessage.newRule).map((message) =>
        ruleText('IPv4', ruleFrom(ruleShape.read(message).attributes, 'IPv4')),
      ),
      [...words.values()].flat(),
    );
  });

  test('of sets', () => {
    const sets = received('table-list', NftablesMessage.newSet).map((message) =>
      setFrom(setShape.read(message).attributes, 'IPv4'),
    );
    const byName = new Map(sets.map((set) => [set?.name, set]));
    for (const set of declaration.sets) assert.deepEqual(byName.get(set.name), set);
  });

  test('of chains', () => {
    const hooks = received('chains-list', NftablesMessage.newChain).map((message) => {
      const { attributes } = chainShape.read(message);
      return [attributes.name, hookFrom(attributes)];
    });
    assert.deepEqual(
      hooks,
      declaration.chains.map(({ name, hook }) => [name, hook]),
    );
  });

  test('of elements', () => {
    const elements = received('table-list', NftablesMessage.newElements)
      .map((message) => elementsShape.read(message).attributes)
      .filter(({ set }) => set === 'services')
      .flatMap(({ elements: found = [] }) => found.map((element) => elementFrom(element, services, 'IPv4')));
    assert.deepEqual(
      elements.toSorted((one, other) => (one.key < other.key ? -1 : 1)),
      [
        serviceElement('IPv4', [sampleAddress.IPv4, 'TCP', 80]),
        serviceElement('IPv4', [sampleAddress.IPv4, 'UDP', 53], 'refuse'),
      ],
    );
  });

  test('of changes: each is of the table, but for the news of a new generation', () => {
    const messages = readCapture('nftables/table-monitor').received.flatMap(messagesIn);
    const events = messages.filter(({ type, sequence }) => type >> 8 === 10 && sequence > 0);
    const tables = events.map((message) => tableOfEvent(message)?.table);
    assert.ok(tables.filter((table) => table === 'kube-ipvs').length > 10);
    assert.deepEqual(new Set(tables), new Set(['kube-ipvs', undefined]));
    for (const [index, message] of events.entries())
      assert.equal(tables[index] === undefined, message.type === NftablesMessage.newGeneration);
  });
});
