import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readAcknowledgement } from '../../src/netlink/acknowledgement.js';
import { viewOf, type ByteWriter } from '../../src/netlink/codec/bytes.js';
import { ProtocolError } from '../../src/netlink/errors.js';
import { errnoName } from '../../src/netlink/errno.js';
import { readMessages, type Message } from '../../src/netlink/message.js';
import { acknowledgementBytes, doneBytes, messageBytes } from '../support/fake-channel.js';

const messagesOf = (bytes: Uint8Array): Message[] => [...readMessages(viewOf(bytes), bytes.length)];
const only = (bytes: Uint8Array): Message => {
  const messages = messagesOf(bytes);
  assert.equal(messages.length, 1);
  return messages[0] as Message;
};

const textAttribute =
  (text: string) =>
  (writer: ByteWriter): void => {
    writer.u16(5 + text.length);
    writer.u16(1);
    writer.bytes(new TextEncoder().encode(`${text}\0`));
    writer.pad();
  };

describe('messages of a datagram', () => {
  test('come one after the other, each from a multiple of four', () => {
    const odd = messageBytes({ type: 20, sequence: 1, body: (writer) => writer.u8(9) });
    const bytes = Buffer.concat([odd, messageBytes({ type: 21, sequence: 2, flags: 3 })]);
    assert.deepEqual(
      messagesOf(bytes).map(({ type, flags, sequence, bodyLength }) => [type, flags, sequence, bodyLength]),
      [
        [20, 0, 1, 1],
        [21, 3, 2, 0],
      ],
    );
  });

  test('the padding after the last one may be missing', () => {
    const odd = messageBytes({ type: 20, sequence: 1, body: (writer) => writer.u8(9) });
    assert.equal(only(odd.subarray(0, 17)).bodyLength, 1);
  });

  const wrong = [
    ['a header cut off', Uint8Array.from({ length: 15 }), '15 bytes are left, too few for a message'],
    [
      'a length of zero, which would never end',
      new Uint8Array(16),
      'a message has a length of 0 bytes, but 16 are left',
    ],
    [
      'a message cut off',
      messageBytes({ type: 20, sequence: 1, body: (writer) => writer.u32(9) }).subarray(0, 18),
      'a message has a length of 20 bytes, but 18 are left',
    ],
  ] as const;
  for (const [name, bytes, problem] of wrong)
    test(`refused: ${name}`, () => {
      assert.throws(
        () => messagesOf(bytes),
        (error) => error instanceof ProtocolError && error.problem === problem,
      );
    });
});

describe('acknowledgements', () => {
  const none = { text: undefined, offset: undefined, missingType: undefined };
  const request = { type: 40, sequence: 7 };

  test('success', () => {
    assert.deepEqual(readAcknowledgement(only(acknowledgementBytes(request, 0))), { errno: 0, ...none });
  });

  test('an error number alone', () => {
    assert.deepEqual(readAcknowledgement(only(acknowledgementBytes(request, 17))), { errno: 17, ...none });
  });

  test('an error with the kernel’s words, the request quoted by its header only', () => {
    assert.deepEqual(
      readAcknowledgement(only(acknowledgementBytes(request, 22, textAttribute('no such thing')))),
      { errno: 22, ...none, text: 'no such thing' },
    );
  });

  test('an error with the whole request quoted before the words', () => {
    const bytes = messageBytes({
      type: 2,
      sequence: 7,
      flags: 0x200,
      body: (writer) => {
        writer.u32(-22 >>> 0);
        writer.u32(22);
        writer.zeros(12);
        writer.bytes(Uint8Array.of(1, 2, 3, 4, 5, 6));
        writer.pad();
        textAttribute('later')(writer);
      },
    });
    assert.equal(readAcknowledgement(only(bytes)).text, 'later');
  });

  test('a warning that comes with success', () => {
    const warned = acknowledgementBytes(request, 0, textAttribute('deprecated'));
    assert.deepEqual(readAcknowledgement(only(warned)), { errno: 0, ...none, text: 'deprecated' });
  });

  test('the end of a dump, good and bad, and one without a number', () => {
    assert.equal(readAcknowledgement(only(doneBytes(7))).errno, 0);
    assert.equal(readAcknowledgement(only(doneBytes(7, 12))).errno, 12);
    assert.equal(readAcknowledgement(only(messageBytes({ type: 3, sequence: 7 }))).errno, 0);
  });

  for (const length of [0, 3, 4, 19])
    test(`one of ${length} bytes is refused`, () => {
      const bytes = messageBytes({ type: 2, sequence: 7, body: (writer) => writer.zeros(length) });
      assert.throws(() => readAcknowledgement(only(bytes)), ProtocolError);
    });
});

test('error numbers have the kernel’s names', () => {
  assert.deepEqual([1, 2, 3, 11, 17, 35, 95, 105, 132, 524, 4000].map(errnoName), [
    'EPERM',
    'ENOENT',
    'ESRCH',
    'EAGAIN',
    'EEXIST',
    'EDEADLK',
    'EOPNOTSUPP',
    'ENOBUFS',
    'ERFKILL',
    'ENOTSUPP',
    'E4000',
  ]);
});
