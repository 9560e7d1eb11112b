import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { families, ipFromBytes, type Family } from '../../src/base/ip.js';
import { fieldsFrom, keyBytes, keyFromType, keyLength, keyType } from '../../src/kernel/nftables/set-keys.js';
import { elementsShape, NftablesMessage, nftablesShapeOf } from '../../src/kernel/nftables/attributes.js';
import { elementFrom } from '../../src/kernel/nftables/convert.js';
import type { NftablesChange } from '../../src/kernel/nftables/changes.js';
import { requestsFor } from '../../src/kernel/nftables/requests.js';
import { commentBytes, commentFrom, writeUserData } from '../../src/kernel/nftables/user-data.js';
import type { KeyField, KeyValue, SetDeclaration } from '../../src/nftables/declarations.js';
import { setElement } from '../../src/nftables/declarations.js';
import { ByteWriter, viewOf } from '../../src/netlink/codec/bytes.js';
import { readMessages, writeMessage } from '../../src/netlink/message.js';
import { describeDatagram } from '../../src/netlink/trace.js';
import {
  everything,
  sampleAddress,
  serviceElement,
  services,
  sources,
  vips,
} from '../support/packet-rules.js';

const fieldsOf = (key: readonly KeyField[], family: Family): fc.Arbitrary<readonly KeyValue[]> =>
  fc.tuple(
    ...key.map((field): fc.Arbitrary<KeyValue> => {
      if (field === 'port') return fc.integer({ min: 0, max: 65535 });
      if (field === 'mark') return fc.integer({ min: 0, max: 0xffff_ffff });
      if (field === 'protocol') return fc.constantFrom('TCP', 'UDP', 'SCTP');
      const length = family === 'IPv4' ? 4 : 16;
      return fc.uint8Array({ minLength: length, maxLength: length }).map(ipFromBytes);
    }),
  );
const anyKey = fc.array(fc.constantFrom<KeyField>('address', 'protocol', 'port', 'mark'), {
  minLength: 1,
  maxLength: 5,
});
const anyFamily = fc.constantFrom(...families);

describe('keys', () => {
  test('are read as they were written, and their type names their fields', () => {
    const cases = fc
      .tuple(anyKey, anyFamily)
      .chain(([key, family]) => fc.tuple(fc.constant(key), fc.constant(family), fieldsOf(key, family)));
    fc.assert(
      fc.property(cases, ([key, family, fields]) => {
        const bytes = keyBytes(key, fields, family);
        assert.equal(bytes.length, keyLength(key, family));
        assert.deepEqual(fieldsFrom(bytes, key, family), fields);
        assert.deepEqual(keyFromType(keyType(key, family), family), key);
      }),
    );
  });

  test('each field begins at a multiple of four, protocols first byte, ports in network order', () => {
    assert.deepEqual(
      Buffer.from(keyBytes(services.key, [sampleAddress.IPv4, 'UDP', 0x1234], 'IPv4')).toString('hex'),
      '0a60000a1100000012340000',
    );
  });

  test('of other families and unknown fields are not ours', () => {
    assert.equal(keyFromType(keyType(vips.key, 'IPv6'), 'IPv4'), undefined);
    assert.equal(keyFromType(18, 'IPv4'), undefined);
    assert.deepEqual(
      fieldsFrom(Uint8Array.of(58, 0, 0, 0, 0, 1, 0, 0), ['protocol', 'port'], 'IPv4'),
      [58, 1],
    );
  });

  test('values that are none of their fields are ProtocolErrors', () => {
    const wrong: readonly (readonly [readonly KeyValue[], RegExp])[] = [
      [[sampleAddress.IPv6, 'TCP', 80], /^fd00:96::10 is not an IPv4 address$/],
      [['TCP', 'TCP', 80], /^TCP is not an IPv4 address$/],
      [[sampleAddress.IPv4, 80, 'TCP'], /^TCP is not a valid port$/],
      [[sampleAddress.IPv4, 'TCP', 65536], /^65536 is not a valid port$/],
      [[sampleAddress.IPv4, 256, 80], /^256 is not a valid protocol$/],
      [[sampleAddress.IPv4, 'TCP'], /^a key of address . protocol . port has 3 values, here 2$/],
    ];
    for (const [fields, message] of wrong)
      assert.throws(() => keyBytes(services.key, fields, 'IPv4'), { name: 'ProtocolError', message });
    assert.throws(() => fieldsFrom(new Uint8Array(11), services.key, 'IPv4'), { name: 'ProtocolError' });
  });
});

describe('comments', () => {
  test('are read as they were written, among other notes', () => {
    fc.assert(
      fc.property(
        fc.string({ maxLength: 30 }).filter((text) => !text.includes('\0')),
        (comment) => {
          const bytes = writeUserData([
            [0, Uint8Array.of(1, 2, 3, 4)],
            [7, commentBytes(comment)],
          ]);
          assert.equal(commentFrom(bytes, 7), comment);
          assert.equal(commentFrom(bytes, 9), undefined);
        },
      ),
    );
  });

  test('of 127 bytes are the longest', () => {
    assert.equal(commentFrom(writeUserData([[0, commentBytes('é'.repeat(63))]]), 0), 'é'.repeat(63));
    assert.throws(() => commentBytes('é'.repeat(64)), {
      message: 'a comment has at most 127 bytes, here 128',
    });
  });

  test('notes that are no notes of nft have none', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 20 }), (bytes) => {
        commentFrom(bytes, 0);
      }),
    );
    assert.equal(commentFrom(Uint8Array.of(0, 200, 65), 0), 'A');
    assert.equal(commentFrom(undefined, 0), undefined);
  });
});

describe('elements', () => {
  const elementsIn = (change: NftablesChange, set: SetDeclaration, family: Family): readonly string[] =>
    requestsFor(change).flatMap((request) => {
      const writer = new ByteWriter();
      writeMessage(writer, request, request.flags, 1);
      const [message] = readMessages(viewOf(writer.written()), writer.length);
      assert.ok(message !== undefined && message.bodyLength < 0x10000 + 200, `${message?.bodyLength} bytes`);
      const { elements = [] } = elementsShape.read(message).attributes;
      return elements.map((element) => {
        const { key, chain } = elementFrom(element, set, family);
        return `${key} ${chain}`;
      });
    });

  for (const family of families)
    for (const chain of ['c', 'a-chain-with-a-long-name-'.repeat(5), 'ü'.repeat(60)])
      test(`of a large change are spread over messages, none lost, in their order: ${family}, goto ${chain.slice(0, 3)}…`, () => {
        const elements = Array.from({ length: 10_000 }, (_, port) =>
          serviceElement(family, [sampleAddress[family], 'TCP', port], chain),
        );
        const change: NftablesChange = { kind: 'add-elements', family, table: 't', set: services, elements };
        assert.ok(requestsFor(change).length > 5);
        assert.deepEqual(
          elementsIn(change, services, family),
          elements.map((element) => `${element.key} ${chain}`),
        );
      });

  test('a deletion tells keys only', () => {
    const elements = [setElement('IPv4', sources.name, [sampleAddress.IPv4, 'TCP', 80, sampleAddress.IPv4])];
    const change: NftablesChange = {
      kind: 'delete-elements',
      family: 'IPv4',
      table: 't',
      set: sources,
      elements,
    };
    assert.deepEqual(elementsIn(change, sources, 'IPv4'), [`${elements[0]?.key} undefined`]);
    const services1 = [serviceElement('IPv4', [sampleAddress.IPv4, 'TCP', 80])];
    assert.deepEqual(elementsIn({ ...change, set: services, elements: services1 }, services, 'IPv4'), [
      `${services1[0]?.key} undefined`,
    ]);
  });

  test('an error at an element names it', () => {
    const elements = [80, 81, 82].map((port) => serviceElement('IPv4', [sampleAddress.IPv4, 'TCP', port]));
    const [request] = requestsFor({
      kind: 'add-elements',
      family: 'IPv4',
      table: 't',
      set: services,
      elements,
    });
    assert.ok(request !== undefined);
    const writer = new ByteWriter();
    writeMessage(writer, request, request.flags, 1);
    const [message] = readMessages(viewOf(writer.written()), writer.length);
    assert.ok(message !== undefined);
    const lists = new Set<string | undefined>();
    for (let offset = 0; offset < writer.length; offset += 1)
      lists.add(request.shape.pathAt(message, offset));
    assert.deepEqual(
      [...lists],
      [
        undefined,
        'table',
        'set',
        'elements',
        'element 10.96.0.10 . TCP . 80',
        'element 10.96.0.10 . TCP . 81',
        'element 10.96.0.10 . TCP . 82',
      ],
    );
    assert.equal(
      request.operation(),
      'add 3 elements 10.96.0.10 . TCP . 80 to 10.96.0.10 . TCP . 82 to set services of table ip t',
    );
  });
});

test('traces name commands, attributes and expressions', () => {
  const { declaration } = everything('IPv4');
  const writer = new ByteWriter();
  const changes: readonly NftablesChange[] = [
    { kind: 'declare-table', declaration },
    {
      kind: 'add-elements',
      family: 'IPv4',
      table: 'kube-ipvs',
      set: services,
      elements: [serviceElement('IPv4', [sampleAddress.IPv4, 'TCP', 80])],
    },
  ];
  for (const request of changes.flatMap(requestsFor)) writeMessage(writer, request, request.flags | 1, 7);
  const lines = describeDatagram('sent', writer.written(), nftablesShapeOf);
  const expected = [
    '> seq 7 request nftables newTable {family=ip version=0 resourceId=0} {name="kube-ipvs" flags=0}',
    '> seq 7 request|0x400 nftables newChain {family=ip version=0 resourceId=0} {table="kube-ipvs" name="input" ' +
      'hook={hook=input priority=-10} policy=accept type="filter"}',
    '> seq 7 request|0xc00 nftables newRule {family=ip version=0 resourceId=0} {table="kube-ipvs" chain="pin" ' +
      'expressions=[payload{to=0 base=network offset=16 length=4} lookup{set="vips" from=0} ' +
      'payload{to=0 base=network offset=16 length=4} nat{type=destination family=ip lowestAddress=0}]}',
    '> seq 7 request|0x400 nftables newElements {family=ip version=0 resourceId=0} {table="kube-ipvs" set="services" ' +
      'elements=[{key={value=0a 60 00 0a 06 00 00 00 00 50 00 00} data={verdict={code=goto chain="cluster-ip"}}}]}',
  ];
  for (const line of expected) assert.ok(lines.includes(line), `${line}\nis not in\n${lines.join('\n')}`);
  assert.ok(
    lines.every((line) => / nftables /.test(line)),
    lines.join('\n'),
  );
});

test('every command has its own number', () => {
  assert.equal(new Set(Object.values(NftablesMessage)).size, Object.keys(NftablesMessage).length);
});
