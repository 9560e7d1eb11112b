import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { attr, attributes, optional } from '../../src/netlink/codec/attributes.js';
import { Connection } from '../../src/netlink/connection.js';
import { NetlinkError, ProtocolError } from '../../src/netlink/errors.js';
import { GenericFamily } from '../../src/netlink/generic-family.js';
import type { Message, Request } from '../../src/netlink/message.js';
import { cstring, rawBytes, u32 } from '../../src/netlink/codec/scalars.js';
import { acknowledgementBytes, doneBytes, FakeChannel, messageBytes } from '../support/fake-channel.js';

const nested = attributes('thing', { name: optional(2, cstring), size: attr(3, u32) });
const table = attributes('test', { thing: optional(1, nested), blob: optional(4, rawBytes(0, 60000)) });
const family = new GenericFamily(40, 1, table, { set: 1 });

const setThing = (size: number, name?: string): Request =>
  family.request(1, { operation: () => `set thing ${size}` }, () => ({ thing: { size, name } }));
const list: Request = family.request(2, { operation: () => 'list things' }, () => ({}));

const thingOf = (message: Message): number | undefined => family.decode(message).thing?.size;
const thing = (sequence: number, size: number, flags = 0x2): Uint8Array =>
  messageBytes({
    type: 40,
    sequence,
    flags,
    body: (writer) => {
      writer.u32(0x0102);
      table.write(writer, { thing: { size } });
    },
  });

const connect = (channel: FakeChannel): Connection => Connection.open('generic', { channel: () => channel });
const sequenceOf = (messages: readonly Message[]): number => messages[0]?.sequence ?? -1;
const acknowledgeLast = (messages: readonly Message[]): readonly Uint8Array[] => {
  const last = messages.at(-1);
  return last === undefined ? [] : [acknowledgementBytes(last, 0)];
};
const errorOf = (action: () => unknown): NetlinkError => {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof NetlinkError, String(error));
    return error;
  }
  return assert.fail('no error');
};

describe('a request', () => {
  test('gets its answer, whatever else is queued', () => {
    const channel = new FakeChannel((messages) => {
      const sequence = sequenceOf(messages);
      return [
        thing(sequence + 500, 1),
        thing(sequence, 2, 0),
        acknowledgementBytes({ sequence: 7, type: 40 }, 5),
      ];
    });
    assert.equal(connect(channel).request(setThing(9), thingOf), 2);
  });

  test('that is refused is an error with the errno, the kernel’s words and the path of the attribute', () => {
    const channel = new FakeChannel(([message]) => [
      acknowledgementBytes(message as Message, 22, (writer) => {
        // NLMSGERR_ATTR_MSG and NLMSGERR_ATTR_OFFS: the offset of thing.size in "set thing 9"
        writer.u16(8);
        writer.u16(1);
        writer.bytes(new TextEncoder().encode('bad\0'));
        writer.u16(8);
        writer.u16(2);
        writer.u32(16 + 4 + 4);
      }),
    ]);
    const error = errorOf(() => connect(channel).request(setThing(9), thingOf));
    assert.equal(error.errno, 'EINVAL');
    assert.equal(error.operation, 'set thing 9');
    assert.deepEqual(error.explanation, { text: 'bad', attributePath: 'thing.size' });
    assert.equal(error.message, 'set thing 9: EINVAL (invalid argument), bad, at thing.size');
  });

  test('without any answer is ENOBUFS', () => {
    assert.equal(
      errorOf(() => connect(new FakeChannel(() => [])).request(setThing(9), thingOf)).errno,
      'ENOBUFS',
    );
  });

  test('is asked again where the answer did not fit the buffer', () => {
    const channel = new FakeChannel((messages) => [
      messageBytes({
        type: 40,
        sequence: sequenceOf(messages),
        body: (writer) => {
          writer.u32(0x0102);
          table.write(writer, { thing: { size: 6 }, blob: new Uint8Array(60000) });
          writer.zeros(10000);
        },
      }).fill(8, 60050, 60051),
    ]);
    assert.throws(() => connect(channel).request(setThing(9), thingOf), ProtocolError);
    assert.equal(channel.datagrams.length, 2);
  });

  test('with an answer that cannot be read is a ProtocolError, and the next request is not disturbed', () => {
    let first = true;
    const channel = new FakeChannel((messages) => {
      const sequence = sequenceOf(messages);
      if (!first) return [thing(sequence, 4)];
      first = false;
      return [messageBytes({ type: 40, sequence, body: (writer) => writer.u16(1) }), thing(sequence, 3)];
    });
    const connection = connect(channel);
    assert.throws(() => connection.request(setThing(1), thingOf), ProtocolError);
    assert.equal(connection.request(setThing(1), thingOf), 4);
  });
});

describe('a dump', () => {
  test('gives all messages of all datagrams up to DONE', () => {
    const channel = new FakeChannel((messages) => {
      const sequence = sequenceOf(messages);
      const two = Buffer.concat([thing(sequence, 1), thing(sequence, 2)]);
      return [two, thing(sequence, 3), doneBytes(sequence)];
    });
    assert.deepEqual(connect(channel).dump(list).map(thingOf), [1, 2, 3]);
    assert.equal(channel.datagrams[0]?.[0]?.flags, 0x301);
  });

  for (const where of ['a message', 'DONE'] as const)
    test(`that was interrupted, as a flag on ${where} tells, begins again`, () => {
      let attempts = 0;
      const channel = new FakeChannel((messages) => {
        attempts += 1;
        const interrupted = attempts < 3 ? 0x12 : 0x2;
        const sequence = sequenceOf(messages);
        return [
          thing(sequence, attempts, where === 'DONE' ? 0x2 : interrupted),
          doneBytes(sequence, 0, where === 'DONE' ? interrupted : 0x2),
        ];
      });
      assert.deepEqual(connect(channel).dump(list).map(thingOf), [3]);
    });

  test('that is interrupted again and again is EINTR', () => {
    const channel = new FakeChannel((messages) => [doneBytes(sequenceOf(messages), 0, 0x12)]);
    assert.equal(errorOf(() => connect(channel).dump(list).map(thingOf)).errno, 'EINTR');
    assert.equal(channel.datagrams.length, 20);
  });

  test('whose DONE carries an error fails', () => {
    const channel = new FakeChannel((messages) => [
      thing(sequenceOf(messages), 1),
      doneBytes(sequenceOf(messages), 12),
    ]);
    assert.equal(errorOf(() => connect(channel).dump(list).map(thingOf)).errno, 'ENOMEM');
  });

  test('without DONE fails', () => {
    const channel = new FakeChannel((messages) => [thing(sequenceOf(messages), 1)]);
    assert.equal(errorOf(() => connect(channel).dump(list).map(thingOf)).errno, 'ENOBUFS');
  });

  test('with a datagram that did not fit the buffer begins again with a larger one', () => {
    const blob = new Uint8Array(50000);
    const channel = new FakeChannel((messages) => {
      const sequence = sequenceOf(messages);
      const large = messageBytes({
        type: 40,
        sequence,
        body: (writer) => {
          writer.u32(0x0102);
          table.write(writer, { thing: { size: 8 }, blob });
        },
      });
      return [Buffer.concat([large, large]), doneBytes(sequence)];
    });
    assert.deepEqual(connect(channel).dump(list).map(thingOf), [8, 8]);
    assert.equal(channel.datagrams.length, 2);
  });
});

const large = (sequence: number, size: number): Uint8Array =>
  messageBytes({
    type: 40,
    sequence,
    body: (writer) => {
      writer.u32(0x0102);
      table.write(writer, { thing: { size }, blob: new Uint8Array(50_000) });
    },
  });

describe('an incremental dump', () => {
  test('gives all messages, and begins again where it was interrupted or cut off', async () => {
    const passes = [
      (sequence: number) => [thing(sequence, 1), thing(sequence, 2, 0x12), doneBytes(sequence)],
      (sequence: number) => [
        Buffer.concat([large(sequence, 3), large(sequence, 3)]),
        thing(sequence, 4),
        doneBytes(sequence),
      ],
      (sequence: number) => [thing(sequence, 5), thing(sequence, 6), doneBytes(sequence)],
    ];
    const channel = new FakeChannel((messages) => passes.shift()?.(sequenceOf(messages)) ?? []);
    assert.deepEqual(await connect(channel).dumpIncrementally(list, thingOf), [5, 6]);
    assert.equal(channel.datagrams.length, 3);
  });

  test('that is interrupted again and again is EINTR', async () => {
    const channel = new FakeChannel((messages) => [doneBytes(sequenceOf(messages), 0, 0x12)]);
    await assert.rejects(connect(channel).dumpIncrementally(list, thingOf), { errno: 'EINTR' });
    assert.equal(channel.datagrams.length, 20);
  });

  /** A kernel whose dumps have 50 datagrams, each of which takes longer than the connection goes without a turn. */
  const slowKernel = (): FakeChannel => {
    const channel = new FakeChannel((messages) => {
      const sequence = sequenceOf(messages);
      if (messages[0]?.flags !== 0x301) return acknowledgeLast(messages);
      return [...Array.from({ length: 50 }, (_, index) => thing(sequence, index)), doneBytes(sequence)];
    });
    const receive = channel.receive.bind(channel);
    channel.receive = (buffer) => {
      const until = performance.now() + 3;
      while (performance.now() < until);
      return receive(buffer);
    };
    return channel;
  };
  const fifty = Array.from({ length: 50 }, (_, index) => index);

  test('owns the connection: what cannot wait until it ends fails with EBUSY', async () => {
    const connection = connect(slowKernel());
    const dumping = connection.dumpIncrementally(list, thingOf);
    assert.equal(errorOf(() => connection.request(setThing(1), thingOf)).errno, 'EBUSY');
    assert.equal(errorOf(() => connection.execute(setThing(1))).errno, 'EBUSY');
    assert.equal(errorOf(() => connection.dump(list)).errno, 'EBUSY');
    const frame = { begin: setThing(0), requests: [setThing(1)], end: setThing(2) };
    const answer = connection.transaction(frame);
    assert.ok(answer.status === 'failed' && answer.error instanceof NetlinkError);
    assert.equal(answer.error.errno, 'EBUSY');
    assert.deepEqual(await dumping, fifty);
    connection.execute(setThing(1));
  });

  test('owns the connection: batches and other incremental dumps wait until it ends', async () => {
    const channel = slowKernel();
    const connection = connect(channel);
    const ended: string[] = [];
    const note = async <T>(name: string, work: Promise<T>): Promise<T> => {
      const result = await work;
      ended.push(name);
      return result;
    };
    const [first, outcomes, second, third] = await Promise.all([
      note('first dump', connection.dumpIncrementally(list, thingOf)),
      note('batch', connection.batch([setThing(1)], same)),
      note('second dump', connection.dumpIncrementally(list, thingOf)),
      note('third dump', connection.dumpIncrementally(list, thingOf)),
    ]);
    for (const things of [first, second, third]) assert.deepEqual(things, fifty);
    assert.deepEqual(outcomes, [{ status: 'applied' }]);
    assert.deepEqual(ended, ['first dump', 'batch', 'second dump', 'third dump']);
    assert.equal(channel.datagrams.length, 4);
  });

  test('that fails lets the next one have the connection', async () => {
    let dumps = 0;
    const channel = new FakeChannel((messages) => {
      const sequence = sequenceOf(messages);
      dumps += 1;
      return dumps === 1 ? [doneBytes(sequence, 1)] : [thing(sequence, 1), doneBytes(sequence)];
    });
    const connection = connect(channel);
    const [first, second] = await Promise.allSettled([
      connection.dumpIncrementally(list, thingOf),
      connection.dumpIncrementally(list, thingOf),
    ]);
    assert.equal(first.status, 'rejected');
    assert.ok(second.status === 'fulfilled');
    assert.deepEqual(second.value, [1]);
  });

  test('yields after each two milliseconds', async (context) => {
    let clock = 0;
    context.mock.method(performance, 'now', () => clock);
    let turns = 0;
    const turnsAt: number[] = [];
    const channel = new FakeChannel((messages) => {
      const sequence = sequenceOf(messages);
      return [...Array.from({ length: 100 }, (_, index) => thing(sequence, index)), doneBytes(sequence)];
    });
    const receive = channel.receive.bind(channel);
    channel.receive = (buffer) => {
      clock += 1;
      turnsAt.push(turns);
      return receive(buffer);
    };
    let isOver = false;
    const countTurn = (): void => {
      turns += 1;
      if (!isOver) setImmediate(countTurn);
    };
    setImmediate(countTurn);
    assert.equal((await connect(channel).dumpIncrementally(list, thingOf)).length, 100);
    isOver = true;
    const receives = turnsAt.map((turn) => turnsAt.filter((other) => other === turn).length);
    assert.equal(Math.max(...receives), 2);
  });

  test('keeps only what is made of a message', async () => {
    const channel = new FakeChannel((messages) => {
      const sequence = sequenceOf(messages);
      return [
        Buffer.concat([thing(sequence, 1), thing(sequence, 2)]),
        thing(sequence, 3),
        doneBytes(sequence),
      ];
    });
    const odd = (message: Message): number | undefined => {
      const size = thingOf(message) ?? 0;
      return size % 2 === 1 ? size : undefined;
    };
    assert.deepEqual(await connect(channel).dumpIncrementally(list, odd), [1, 3]);
  });

  test('that cannot be decoded leaves no message for the next request', async () => {
    const channel = new FakeChannel((messages) => {
      const sequence = sequenceOf(messages);
      if (messages[0]?.flags !== 0x301) return acknowledgeLast(messages);
      return [thing(sequence, 1), thing(sequence, 2), doneBytes(sequence)];
    });
    const connection = connect(channel);
    const refuse = (): never => {
      throw new ProtocolError('is odd', 'thing');
    };
    await assert.rejects(connection.dumpIncrementally(list, refuse), ProtocolError);
    connection.execute(setThing(1));
  });

  test('owns the connection: work that waits for it comes after it, and before the next one', async () => {
    const connection = connect(slowKernel());
    const ended: string[] = [];
    const [first, , second] = await Promise.all([
      connection.dumpIncrementally(list, thingOf).finally(() => ended.push('first dump')),
      connection.whenIdle(() => connection.execute(setThing(1))).then(() => ended.push('request')),
      connection.dumpIncrementally(list, thingOf).finally(() => ended.push('second dump')),
    ]);
    for (const things of [first, second]) assert.deepEqual(things, fifty);
    assert.deepEqual(ended, ['first dump', 'request', 'second dump']);
  });
});

describe('a reply', () => {
  const withPortId = (bytes: Uint8Array, portId: number): Uint8Array => {
    new DataView(bytes.buffer).setUint32(12, portId, true);
    return bytes;
  };

  test('to another port is not taken for the one that was asked for', () => {
    const channel = new FakeChannel((messages) => {
      const sequence = sequenceOf(messages);
      return [
        withPortId(thing(sequence, 1, 0), 4711),
        withPortId(acknowledgementBytes({ sequence, type: 40 }, 5), 4711),
        withPortId(thing(sequence, 2, 0), channel.portId),
      ];
    });
    assert.equal(connect(channel).request(setThing(9), thingOf), 2);
  });

  test('to another port leaves an outcome unknown', async () => {
    const channel: FakeChannel = new FakeChannel(([message]) => [
      withPortId(acknowledgementBytes(message as Message, 0), 4711),
    ]);
    assert.deepEqual(await connect(channel).batch([setThing(1)], same), [{ status: 'unknown' }]);
  });
});

const same = (request: Request): Request => request;
const many = (count: number): Request[] => Array.from({ length: count }, (_, index) => setThing(index));
const statuses = async (
  channel: FakeChannel,
  requests: readonly Request[],
): Promise<Record<string, number>> => {
  const counts: Record<string, number> = {};
  for (const { status } of await connect(channel).batch(requests, same))
    counts[status] = (counts[status] ?? 0) + 1;
  return counts;
};

describe('a batch', () => {
  test('asks for an acknowledgement of the last message of each datagram only', async () => {
    const channel = new FakeChannel(acknowledgeLast);
    assert.deepEqual(await statuses(channel, many(1300)), { applied: 1300 });
    assert.deepEqual(
      channel.datagrams.map((messages) => messages.length),
      [512, 512, 276],
    );
    for (const messages of channel.datagrams)
      assert.deepEqual(
        messages.map((message) => message.flags),
        messages.map((_, index) => (index === messages.length - 1 ? 0x5 : 0x1)),
      );
    const sequences = channel.datagrams.flat().map((message) => message.sequence);
    assert.deepEqual(
      sequences,
      sequences.map((_, index) => (sequences[0] ?? 0) + index),
    );
  });

  test('tells which message failed, and how', async () => {
    const channel = new FakeChannel((messages) => [
      acknowledgementBytes(messages[1] as Message, 17),
      acknowledgementBytes(messages[2] as Message, 2),
    ]);
    assert.deepEqual(await connect(channel).batch(many(3), same), [
      { status: 'applied' },
      { status: 'failed', errno: 'EEXIST', message: 'set thing 1: EEXIST (file already exists)' },
      { status: 'failed', errno: 'ENOENT', message: 'set thing 2: ENOENT (no such file or directory)' },
    ]);
  });

  test('keeps datagrams below 64 KiB', async () => {
    const large = family.request(1, { operation: () => '' }, () => ({ blob: new Uint8Array(30000) }));
    const channel = new FakeChannel(acknowledgeLast);
    assert.deepEqual(await statuses(channel, [large, large, large, setThing(1), large]), { applied: 5 });
    assert.deepEqual(
      channel.datagrams.map((messages) => messages.length),
      [2, 3],
    );
  });

  test('sends no more at once than answers fit into the receive buffer', async () => {
    const channel = new FakeChannel(acknowledgeLast, 1536 * 10);
    assert.deepEqual(await statuses(channel, many(25)), { applied: 25 });
    assert.deepEqual(
      channel.datagrams.map((messages) => messages.length),
      [10, 10, 5],
    );
  });

  test('a value that does not fit fails alone, and is not sent', async () => {
    const channel = new FakeChannel(acknowledgeLast);
    const [good, bad, alsoGood] = await connect(channel).batch(
      [setThing(1), setThing(-1), setThing(2)],
      same,
    );
    assert.deepEqual([good?.status, alsoGood?.status], ['applied', 'applied']);
    assert.deepEqual(bad, {
      status: 'failed',
      errno: 'EDOM',
      message: 'set thing -1: thing.size: -1 is not a valid u32',
    });
    assert.equal(channel.datagrams[0]?.length, 2);
  });

  test('nothing that can be sent: nothing is sent', async () => {
    const channel = new FakeChannel(acknowledgeLast);
    assert.deepEqual(await statuses(channel, [setThing(-1)]), { failed: 1 });
    assert.deepEqual(await statuses(channel, []), {});
    assert.equal(channel.datagrams.length, 0);
  });

  test('without the last acknowledgement, what gave no answer is unknown', async () => {
    const channel = new FakeChannel(([first]) => [acknowledgementBytes(first as Message, 17)]);
    assert.deepEqual(await statuses(channel, many(5)), { failed: 1, unknown: 4 });
  });

  test('where the kernel dropped answers, what gave none is unknown', async () => {
    const channel = new FakeChannel((messages, self) => {
      self.dropped += 3;
      return acknowledgeLast(messages);
    });
    assert.deepEqual(await statuses(channel, many(5)), { unknown: 4, applied: 1 });
  });

  test('an answer that cannot be read makes nothing fail', async () => {
    const channel = new FakeChannel((messages) => [Uint8Array.of(1, 2, 3), ...acknowledgeLast(messages)]);
    assert.deepEqual(await statuses(channel, many(2)), { unknown: 1, applied: 1 });
  });

  test('a datagram that the kernel did not take failed as a whole; the next is sent', async () => {
    let first = true;
    const channel = new FakeChannel((messages) => {
      if (!first) return acknowledgeLast(messages);
      first = false;
      throw new NetlinkError('send to the kernel', 105);
    });
    assert.deepEqual(await statuses(channel, many(600)), { failed: 512, applied: 88 });
  });

  test('gives the event loop its turn between datagrams', async () => {
    let turns = 0;
    const timer = setInterval(() => {
      turns += 1;
    }, 0);
    const seen: number[] = [];
    const channel = new FakeChannel((messages) => {
      seen.push(turns);
      const until = performance.now() + 3;
      while (performance.now() < until);
      return acknowledgeLast(messages);
    });
    await statuses(channel, many(512 * 4));
    clearInterval(timer);
    assert.ok((seen.at(-1) ?? 0) > 0, `timers ran ${seen.join(', ')} times before each datagram`);
  });

  test('two at a time do not mix', async () => {
    const channel = new FakeChannel((messages) =>
      messages.flatMap((message, index) =>
        index === messages.length - 1 || thingOf(message) === 600
          ? [acknowledgementBytes(message, thingOf(message) === 600 ? 17 : 0)]
          : [],
      ),
    );
    const connection = connect(channel);
    const [left, right] = await Promise.all([
      connection.batch(many(1100), same),
      connection.batch(many(1100), same),
    ]);
    for (const outcomes of [left, right])
      assert.deepEqual(
        outcomes.flatMap((outcome, index) => (outcome.status === 'applied' ? [] : [index])),
        [600],
      );
  });

  test('what was sent is counted', async () => {
    const connection = connect(new FakeChannel(acknowledgeLast));
    await connection.batch(many(600), same);
    connection.execute(setThing(1));
    assert.deepEqual(connection.sent, { messages: 601, datagrams: 3 });
  });
});
