import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { attributes, attr } from '../../src/netlink/codec/attributes.js';
import { Connection } from '../../src/netlink/connection.js';
import { NetlinkError, ProtocolError } from '../../src/netlink/errors.js';
import { MessageShape, type Message, type Request } from '../../src/netlink/message.js';
import { u8 } from '../../src/netlink/codec/scalars.js';
import { struct } from '../../src/netlink/codec/struct.js';
import type { TransactionResult } from '../../src/netlink/transaction.js';
import { acknowledgementBytes, FakeChannel } from '../support/fake-channel.js';

const shape = new MessageShape(
  'test',
  struct('header', { kind: u8 }),
  attributes('test', { number: attr(1, u8) }),
);
const request = (number: number): Request => ({
  type: 100 + number,
  flags: 0,
  operation: () => `request ${number}`,
  shape,
  write: (writer) => shape.write(writer, {}, { number }),
});

const invalid = 22;
const missing = 2;

type Answers = (messages: readonly Message[], channel: FakeChannel) => readonly Uint8Array[];

const perform = (
  answers: Answers,
  numbers: readonly number[] = [1, 2, 3],
  ending: 'end' | 'no end' = 'end',
): { readonly answer: TransactionResult; readonly channel: FakeChannel } => {
  const channel = new FakeChannel(answers);
  const connection = Connection.open('netfilter', { channel: () => channel });
  const end = ending === 'end' ? request(9) : undefined;
  return {
    answer: connection.transaction({ begin: request(0), requests: numbers.map(request), end }),
    channel,
  };
};

const answering =
  (...errors: readonly (readonly [index: number, errno: number])[]): Answers =>
  (messages) =>
    errors.flatMap(([index, errno]) => {
      const message = messages[index];
      return message === undefined ? [] : [acknowledgementBytes(message, errno)];
    });

const failureOf = (answer: TransactionResult): readonly [string, string, number | undefined] => {
  assert.ok(answer.status === 'failed', JSON.stringify(answer));
  const { error, requestIndex } = answer;
  return error instanceof NetlinkError
    ? [error.operation, error.errno, requestIndex]
    : [error.message, 'ProtocolError', requestIndex];
};

describe('a transaction', () => {
  test('is one datagram; only the last request between begin and end asks for an acknowledgement', () => {
    const { answer, channel } = perform(answering([3, 0]));
    assert.deepEqual(answer, { status: 'applied' });
    assert.deepEqual(
      channel.datagrams.map((messages) => messages.map(({ type, flags }) => [type, flags])),
      [
        [
          [100, 1],
          [101, 1],
          [102, 1],
          [103, 5],
          [109, 1],
        ],
      ],
    );
  });

  test('without an end asks for the same acknowledgement', () => {
    const { answer, channel } = perform(answering([3, 0]), [1, 2, 3], 'no end');
    assert.deepEqual(answer, { status: 'applied' });
    assert.equal(channel.datagrams[0]?.length, 3 + 1);
  });

  test('fails by the first refusal, whatever else is answered', () => {
    const { answer } = perform(answering([3, missing], [2, invalid], [0, invalid]));
    assert.deepEqual(failureOf(answer), ['request 2', 'EINVAL', 1]);
  });

  test('whose commit fails, under the number of the beginning, is not applied, though the last request is acknowledged', () => {
    assert.deepEqual(failureOf(perform(answering([0, invalid], [3, 0])).answer), [
      'request 0',
      'EINVAL',
      undefined,
    ]);
  });

  test('whose end is refused fails as a whole', () => {
    assert.deepEqual(failureOf(perform(answering([3, 0], [4, invalid])).answer), [
      'request 9',
      'EINVAL',
      undefined,
    ]);
  });

  test('without an answer, or where answers were dropped, is unknown', () => {
    assert.deepEqual(perform(answering()).answer, { status: 'unknown' });
    assert.deepEqual(perform(answering([2, 0])).answer, { status: 'unknown' });
    const dropping: Answers = (messages, channel) => {
      channel.dropped += 1;
      return answering([3, 0])(messages, channel);
    };
    assert.deepEqual(perform(dropping).answer, { status: 'unknown' });
  });

  test('where answers were dropped but a refusal came has failed', () => {
    const dropping: Answers = (messages, channel) => {
      channel.dropped += 1;
      return answering([2, missing])(messages, channel);
    };
    assert.deepEqual(failureOf(perform(dropping).answer), ['request 2', 'ENOENT', 1]);
  });

  test('with a value that does not fit is not sent', () => {
    const { answer, channel } = perform(answering([3, 0]), [1, 256, 3]);
    assert.deepEqual(failureOf(answer), ['number: 256 is not a valid u8', 'ProtocolError', 1]);
    assert.ok(answer.status === 'failed' && answer.error instanceof ProtocolError);
    assert.deepEqual(channel.datagrams, []);
  });

  test('that the socket does not take has failed as a whole', () => {
    const refusing: Answers = () => {
      throw new NetlinkError('send to the kernel', 90);
    };
    assert.deepEqual(failureOf(perform(refusing).answer), ['send to the kernel', 'EMSGSIZE', undefined]);
  });

  test('is followed by others under later numbers', () => {
    const channel = new FakeChannel(answering([1, 0]));
    const connection = Connection.open('netfilter', { channel: () => channel });
    const parts = { begin: request(0), requests: [request(1)], end: request(9) };
    assert.deepEqual(connection.transaction(parts), { status: 'applied' });
    assert.deepEqual(connection.transaction(parts), { status: 'applied' });
    assert.deepEqual(
      channel.datagrams.flat().map(({ sequence }) => sequence),
      [1, 2, 3, 4, 5, 6],
    );
    assert.deepEqual(connection.sent, { messages: 6, datagrams: 2 });
  });
});
