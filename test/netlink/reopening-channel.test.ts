import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deadSocketErrnos, NetlinkError } from '../../src/netlink/errors.js';
import { errnoNumber } from '../support/errnos.js';
import { ReopeningChannel, type Reopened } from '../../src/netlink/reopening-channel.js';
import type { CommandChannel } from '../../src/netlink/command-socket.js';

type Failing = 'send' | 'receive' | 'dropped';

/** A socket that answers each datagram with itself, until it is told to fail. */
class Echo implements CommandChannel {
  readonly receiveBufferBytes = 1 << 20;
  readonly failing = new Map<Failing, string>();
  drops = 0;
  closed = false;
  readonly #queue: Uint8Array[] = [];

  constructor(readonly portId: number) {}

  get dropped(): number {
    this.#fail('dropped');
    return this.drops;
  }

  send(datagram: Uint8Array): void {
    this.#fail('send');
    this.#queue.push(datagram.slice());
  }

  receive(buffer: Uint8Array): number | undefined {
    this.#fail('receive');
    const datagram = this.#queue.shift();
    if (datagram !== undefined) buffer.set(datagram);
    return datagram?.length;
  }

  close(): void {
    this.closed = true;
  }

  #fail(call: Failing): void {
    const errno = this.failing.get(call);
    if (errno !== undefined) throw new NetlinkError(call, errnoNumber(errno));
  }
}

const setUp = () => {
  const sockets: Echo[] = [];
  const state = { openFails: '' };
  const told: Reopened[] = [];
  const channel = new ReopeningChannel(() => {
    if (state.openFails !== '') throw new NetlinkError('open', errnoNumber(state.openFails));
    const socket = new Echo(100 + sockets.length);
    sockets.push(socket);
    return socket;
  });
  channel.onReopened = (reopened) => void told.push(reopened);
  const newest = (): Echo => sockets.at(-1) ?? assert.fail('no socket');
  const fail = (call: Failing, errno: string): void => void newest().failing.set(call, errno);
  const answer = (): number | undefined => {
    channel.send(Uint8Array.of(1, 2, 3));
    return channel.receive(new Uint8Array(10));
  };
  return { channel, sockets, state, told, fail, newest, answer };
};

const refusedWith = (errno: string) => (error: unknown) =>
  error instanceof NetlinkError && error.errno === errno;

for (const errno of deadSocketErrnos) {
  test(`${errno} when sending: it is sent on another socket, whose port is another`, () => {
    const { channel, sockets, told, fail, answer } = setUp();
    assert.equal(answer(), 3);
    fail('send', errno);
    assert.equal(answer(), 3);
    assert.deepEqual(
      sockets.map(({ closed }) => closed),
      [true, false],
    );
    assert.equal(channel.portId, 101);
    assert.deepEqual(
      told.map(({ error, previousWorked }) => [error.errno, previousWorked]),
      [[errno, true]],
    );
  });

  test(`${errno} when receiving: who waits for the answer is told, and what is sent next goes to another socket`, () => {
    const { sockets, fail, answer, told } = setUp();
    fail('receive', errno);
    assert.throws(answer, refusedWith(errno));
    assert.equal(answer(), 3);
    assert.equal(sockets.length, 2);
    assert.deepEqual(
      told.map(({ previousWorked }) => previousWorked),
      [false],
    );
  });
}

test('other errors are those of what was asked, and the socket stays', () => {
  const { sockets, fail, answer } = setUp();
  for (const errno of ['ENOBUFS', 'ENOMEM', 'EINTR', 'EPERM', 'EMSGSIZE']) {
    fail('send', errno);
    assert.throws(answer, refusedWith(errno));
  }
  assert.equal(sockets.length, 1);
});

test('a socket that fails to receive again and again is dead, whatever it says', () => {
  const { sockets, newest, fail, answer } = setUp();
  fail('receive', 'ENOMEM');
  assert.throws(answer, refusedWith('ENOMEM'));
  newest().failing.clear();
  assert.equal(answer(), 3);
  fail('receive', 'EIO');
  for (let time = 0; time < 3; time += 1) assert.throws(answer, refusedWith('EIO'));
  assert.equal(answer(), 3);
  assert.equal(sockets.length, 2);
});

test('where no other socket can be had it is an error of what was to be sent, and tried with what is sent next', () => {
  const { channel, state, told, fail, answer } = setUp();
  answer();
  fail('send', 'EBADF');
  state.openFails = 'EMFILE';
  assert.throws(answer, refusedWith('EMFILE'));
  assert.throws(answer, refusedWith('EMFILE'));
  assert.equal(channel.receive(new Uint8Array(10)), undefined);
  assert.equal(channel.dropped, 0);
  assert.equal(told.length, 0);
  state.openFails = '';
  assert.equal(answer(), 3);
  assert.deepEqual(
    told.map(({ error }) => error.errno),
    ['EBADF'],
  );
});

test('a second socket that is dead as well is an error, and no endless loop', () => {
  const sockets: Echo[] = [];
  const channel = new ReopeningChannel(() => {
    const socket = new Echo(sockets.push(new Echo(0)));
    socket.failing.set('send', 'ECONNREFUSED');
    return socket;
  });
  assert.throws(() => channel.send(Uint8Array.of(1)), refusedWith('ECONNREFUSED'));
  assert.equal(sockets.length, 2);
});

test('drops of all sockets count, and a change of socket is none', () => {
  const { channel, newest, fail, answer } = setUp();
  newest().drops = 3;
  assert.equal(channel.dropped, 3);
  fail('send', 'EBADF');
  answer();
  assert.equal(channel.dropped, 3);
  newest().drops = 2;
  assert.equal(channel.dropped, 5);
  fail('dropped', 'EBADF');
  assert.equal(channel.dropped, 5);
});

test('what was closed by its owner is not opened again', () => {
  const { channel, sockets, fail } = setUp();
  channel.close();
  fail('send', 'EBADF');
  assert.throws(() => channel.send(Uint8Array.of(1)), refusedWith('EBADF'));
  assert.equal(sockets.length, 1);
});
