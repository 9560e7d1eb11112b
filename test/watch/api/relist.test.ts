import { jsonFormat } from '../../../src/watch/api/body-format.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../../src/base/log.js';
import { ApiError, type ApiResponse } from '../../../src/watch/api/api-client.js';
import { Reflector } from '../../../src/watch/api/reflector.js';
import { RetryPacer } from '../../../src/watch/api/retry-pacer.js';
import { FakeClock } from '../../support/fake-clock.js';
import { fastTiming } from '../follower.js';

const endMark =
  '{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"7","annotations":{"k8s.io/initial-events-end":"true"}}}}\n';

const answer = (text: string): ApiResponse => ({
  format: jsonFormat,
  setDeadline: () => {},
  async *[Symbol.asyncIterator]() {
    yield Buffer.from(text);
  },
});

/** One that brings nothing, and is reset after so many milliseconds. */
const lostAfter = (clock: FakeClock, milliseconds: number): ApiResponse => ({
  format: jsonFormat,
  setDeadline: () => {},
  async *[Symbol.asyncIterator]() {
    yield Buffer.alloc(0);
    await clock.sleep(milliseconds);
    throw new Error('ECONNRESET');
  },
});

/** A watch that gets this status, or what an answer does. */
type Watch = number | ((clock: FakeClock) => Promise<ApiResponse>);

/** Runs a reflector whose watches go like this, with lists that succeed; the milliseconds before each request after the first. */
const pauses = async (watches: readonly Watch[], timing: object): Promise<readonly string[]> => {
  const stop = new AbortController();
  const seen: string[] = [];
  const clock = new FakeClock();
  let last = clock.now();
  let left = [...watches];
  const open = async (path: string): Promise<ApiResponse> => {
    const isList = path.includes('sendInitialEvents');
    const now = clock.now();
    seen.push(`${isList ? 'list' : 'watch'} ${now - last}`);
    last = now;
    if (isList) return answer(endMark);
    const [watch, ...rest] = left;
    left = rest;
    if (typeof watch === 'number') throw new ApiError(watch, {});
    if (watch !== undefined) return watch(clock);
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
    pacer: new RetryPacer(clock),
  });
  await clock.until(reflector.run(stop.signal));
  return seen;
};

const retries = { backoff: { first: 20, maximum: 60_000 }, probe: 60 };

test('after an outage what is too old is listed within the time that lists are spread over, however long it was', async () => {
  const seen = await pauses([500, 500, 500, 500, 410], {
    ...retries,
    relistSpread: { perObject: 1, maximum: 220 },
  });
  // The list before was empty: nothing has to be spread.
  assert.deepEqual(seen, [
    'list 0',
    'watch 0',
    'watch 20',
    'watch 40',
    'watch 60',
    'watch 60',
    'list 0',
    'watch 0',
  ]);
});

test('where lists are of no use either, the pauses grow', async () => {
  const seen = await pauses([410, 410, 410, 410, 410], retries);
  assert.deepEqual(
    seen.filter((line) => line.startsWith('list')),
    ['list 0', 'list 0', 'list 20', 'list 40', 'list 80', 'list 160'],
  );
});

test('a version that expires after each outage is listed at once each time: the tenth outage is like the first', async () => {
  const refused = async (): Promise<ApiResponse> => {
    throw new Error('ECONNREFUSED');
  };
  const seen = await pauses(Array.from({ length: 10 }, () => [refused, refused, 410]).flat(), retries);
  const outage = ['watch 0', 'watch 20', 'watch 40', 'list 0'];
  assert.deepEqual(seen, ['list 0', ...Array.from({ length: 10 }, () => outage).flat(), 'watch 0']);
});

const eight = <T>(one: T): readonly T[] => Array.from({ length: 8 }, () => one);
/** From the request before the last one to the last. */
const lastPause = (seen: readonly string[]): number => Number(seen.at(-1)?.split(' ')[1]);
const broken: ApiResponse = answer('no JSON');

test('a watch that is lost is tried again as often as it is lost, as that costs the server little', async () => {
  const seen = await pauses(
    eight(async (clock) => lostAfter(clock, 0)),
    retries,
  );
  assert.equal(lastPause(seen), 60);
});

test('a list that is lost again and again is tried ever less often', async () => {
  const seen = await pauses(
    eight(async () => broken),
    retries,
  );
  // Three broken streams in a row from a version, then a list.
  assert.ok(lastPause(seen) >= 640, seen.join(', '));
});

test('a stream that was followed for a while makes the next failure a first one', async () => {
  const brokenLate = async (clock: FakeClock): Promise<ApiResponse> => ({
    format: jsonFormat,
    setDeadline: () => {},
    async *[Symbol.asyncIterator]() {
      yield Buffer.alloc(0);
      await clock.sleep(80);
      yield Buffer.from('no JSON\n');
    },
  });
  const seen = await pauses(eight(brokenLate), { ...retries, healthy: 60 });
  assert.equal(lastPause(seen), 100);
});
