// virtual time: what is tested waits, gives up and tries again.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../src/base/log.js';
import { ApiError, type Answer } from '../../src/watch/api-client.js';
import { Reflector } from '../../src/watch/reflector.js';
import { fastTiming } from './following.js';
import { elapse } from '../support/virtual-clock.js';

const endMark =
  '{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"7","annotations":{"k8s.io/initial-events-end":"true"}}}}\n';

const answer = (text: string): Answer => ({
  within: () => {},
  async *[Symbol.asyncIterator]() {
    yield Buffer.from(text);
  },
});

/** One that brings nothing, and is reset after so many milliseconds. */
const lostAfter = (milliseconds: number): Answer => ({
  within: () => {},
  async *[Symbol.asyncIterator]() {
    yield Buffer.alloc(0);
    await elapse(milliseconds);
    throw new Error('ECONNRESET');
  },
});

/** A watch that gets this status, or what an answer does. */
type Watch = number | (() => Promise<Answer>);

/** Runs a reflector whose watches go like this, with lists that succeed; the milliseconds before each request after the first. */
const pauses = async (watches: readonly Watch[], timing: object): Promise<readonly string[]> => {
  const stop = new AbortController();
  const seen: string[] = [];
  let last = performance.now();
  let left = [...watches];
  const open = async (path: string): Promise<Answer> => {
    const isList = path.includes('sendInitialEvents');
    const now = performance.now();
    seen.push(`${isList ? 'list' : 'watch'} ${Math.floor((now - last) / 50) * 50}`);
    last = now;
    if (isList) return answer(endMark);
    const [watch, ...rest] = left;
    left = rest;
    if (typeof watch === 'number') throw new ApiError(watch, {});
    if (watch !== undefined) return watch();
    stop.abort();
    throw stop.signal.reason;
  };
  const reflector = new Reflector({
    client: { open },
    collection: {
      name: 'services',
      path: '/api/v1/services',
      selectors: {},
      read: () => ({ key: '', value: undefined, problems: [] }),
      current: () => undefined,
      replace: () => {},
      apply: () => {},
      report: () => {},
    },
    logger: silentLogger,
    timing: { ...fastTiming, ...timing },
    random: () => 0.5,
  });
  await reflector.run(stop.signal);
  return seen;
};

test('after an outage what is too old is listed within the time that lists are spread over, however long the backoff was', async () => {
  const seen = await pauses([500, 500, 500, 500, 410], {
    backoff: { first: 20, maximum: 60_000 },
    relistSpread: 220,
  });
  assert.deepEqual(seen.slice(-3), ['watch 150', 'list 100', 'watch 0']);
});

test('where lists are of no use either, the pauses grow', async () => {
  const seen = await pauses([410, 410, 410, 410], {
    backoff: { first: 30, maximum: 60_000 },
    relistSpread: 0,
  });
  assert.deepEqual(
    seen.filter((line) => line.startsWith('list')),
    ['list 0', 'list 0', 'list 50', 'list 100', 'list 200'],
  );
});

const eight = <T>(one: T): readonly T[] => Array.from({ length: 8 }, () => one);
const growing = { backoff: { first: 20, maximum: 60_000 }, healthy: 60 };
/** From the request before the last one to the last. */
const lastPause = (seen: readonly string[]): number => Number(seen.at(-1)?.split(' ')[1]);

test('a stream that was followed for a while makes the next failure a first one', async () => {
  const seen = await pauses(
    eight(async () => lostAfter(80)),
    growing,
  );
  // Had it grown each time, the last pause were 2560 ms.
  assert.ok(lastPause(seen) < 1_500, seen.join(', '));
});

test('one that is lost at once does not, nor does a server that takes long to say nothing', async () => {
  for (const watch of [
    async () => lostAfter(0),
    async () => {
      await elapse(80);
      throw new Error('ECONNRESET');
    },
  ]) {
    const seen = await pauses(eight(watch).slice(0, 6), growing);
    assert.ok(lastPause(seen) >= 600, seen.join(', '));
  }
});
