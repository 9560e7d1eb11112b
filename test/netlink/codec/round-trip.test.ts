import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import {
  destination,
  infoAttributes,
  messageAttributes,
  service,
  statistics32,
  statistics64,
} from '../../../src/kernel/ipvs/attributes.js';
import {
  addressAttributes,
  addressHeader,
  addressShape,
  linkAttributes,
  linkHeader,
  linkShape,
} from '../../../src/kernel/rtnetlink/attributes.js';
import * as expressionTables from '../../../src/kernel/nftables/expression-attributes.js';
import { chain, element, elements, generation, set, table } from '../../../src/kernel/nftables/attributes.js';
import { nfnetlinkHeader } from '../../../src/kernel/nfnetlink.js';
import { acknowledgementAttributes } from '../../../src/netlink/acknowledgement.js';
import { AttributeSet } from '../../../src/netlink/codec/attributes.js';
import { ByteWriter, viewOf } from '../../../src/netlink/codec/bytes.js';
import { controlAttributes, genericHeader, GenericFamily } from '../../../src/netlink/generic-family.js';
import { readMessages, writeMessage, type Message } from '../../../src/netlink/message.js';
import {
  arbitraryOfCodec,
  arbitraryOfSentSet,
  arbitraryOfSet,
  writeAllAttributes,
} from '../../support/attribute-sets.js';

const tables = [
  acknowledgementAttributes,
  controlAttributes,
  statistics32,
  statistics64,
  service,
  destination,
  messageAttributes,
  infoAttributes,
  linkAttributes,
  addressAttributes,
  table,
  chain,
  set,
  element,
  elements,
  generation,
  ...Object.values(expressionTables).filter((exported) => exported instanceof AttributeSet),
];

const readAll = (table: (typeof tables)[number], bytes: Uint8Array): unknown =>
  table.read(viewOf(bytes), 0, bytes.length);

describe('what a table writes it reads back', () => {
  for (const table of tables) {
    test(`${table.name}: every attribute, as the kernel sends it`, () => {
      fc.assert(
        fc.property(arbitraryOfSet(table), (values) => {
          const writer = new ByteWriter(8);
          writeAllAttributes(writer, table, values);
          assert.deepEqual(readAll(table, writer.written()), values);
        }),
        { numRuns: 300 },
      );
    });

    test(`${table.name}: the attributes that we send`, () => {
      fc.assert(
        fc.property(arbitraryOfSentSet(table), (values) => {
          const writer = new ByteWriter(8);
          (table.write as (writer: ByteWriter, values: unknown) => void).call(table, writer, values);
          assert.equal(writer.length % 4, 0, 'padded');
          assert.deepEqual(readAll(table, writer.written()), values);
        }),
        { numRuns: 300 },
      );
    });
  }

  for (const header of [genericHeader, linkHeader, addressHeader, nfnetlinkHeader])
    test(`struct ${header.name}`, () => {
      fc.assert(
        fc.property(arbitraryOfCodec(header), (values) => {
          const writer = new ByteWriter(8);
          (header.write as (writer: ByteWriter, values: unknown) => void).call(header, writer, values);
          assert.equal(writer.length, header.length);
          assert.deepEqual(header.read(viewOf(writer.written()), 0, header.length), values);
        }),
      );
    });
});

const onlyMessage = (writer: ByteWriter): Message => {
  const bytes = writer.written().slice();
  const messages = [...readMessages(viewOf(bytes), bytes.length)];
  assert.equal(messages.length, 1);
  return messages[0] as Message;
};

describe('what a message writes it reads back', () => {
  for (const shape of [linkShape, addressShape])
    test(`rtnetlink ${shape.name}`, () => {
      const arbitrary = fc.tuple(arbitraryOfCodec(shape.header), arbitraryOfSentSet(shape.attributes));
      fc.assert(
        fc.property(arbitrary, fc.nat(0xffff), ([header, attributes], type) => {
          const writer = new ByteWriter(8);
          const write = (): void =>
            (shape.write as (...values: unknown[]) => void).call(shape, writer, header, attributes);
          writeMessage(writer, { type, flags: 0, operation: () => '', shape, write }, 0x5, 77);
          const message = onlyMessage(writer);
          assert.deepEqual([message.type, message.flags, message.sequence], [type, 0x5, 77]);
          assert.deepEqual(shape.read(message), { header, attributes });
        }),
      );
    });

  test('generic netlink', () => {
    const family = new GenericFamily(29, 1, messageAttributes, {});
    fc.assert(
      fc.property(arbitraryOfSentSet(messageAttributes), fc.nat(0xff), (values, command) => {
        const writer = new ByteWriter(8);
        const request = family.request(command, { operation: () => '' }, () => values);
        writeMessage(writer, request, 1, 2);
        const message = onlyMessage(writer);
        assert.equal(message.type, 29);
        assert.equal(message.view.getUint8(message.bodyOffset), command);
        assert.deepEqual(family.decode(message), values);
      }),
    );
  });
});
