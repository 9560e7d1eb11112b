import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RetryDelay } from '../../../src/watch/api/retry-delay.js';
import { RetryPacer, type Reach } from '../../../src/watch/api/retry-pacer.js';
import { FakeClock } from '../../support/fake-clock.js';

const signal = new AbortController().signal;
const probe: RetryDelay = { serverDelay: 0, milliseconds: 1_000, takesTurns: true, endsEarly: true };
const alone: RetryDelay = { serverDelay: 0, milliseconds: 1_000, takesTurns: false, endsEarly: false };

const setUp = () => {
  const clock = new FakeClock();
  const pacer = new RetryPacer(clock);
  /** When a delay after an attempt that got so far has ended. */
  const ended = async (delay: RetryDelay, reach: Reach): Promise<number> => {
    await pacer.pause(delay, reach, signal);
    return clock.now();
  };
  return { clock, pacer, ended };
};

test('three resources that find the server away try one after the other', async () => {
  const { clock, ended } = setUp();
  const all = Promise.all([ended(probe, 0), ended(probe, 0), ended(probe, 0)]);
  await clock.until(all);
  assert.deepEqual(await all, [1_000, 2_000, 3_000]);
});

test('turns that have passed hold up nobody', async () => {
  const { clock, ended } = setUp();
  await clock.until(Promise.all([ended(probe, 0), ended(probe, 0)]));
  await clock.until(clock.sleep(60_000));
  const next = ended(probe, 0);
  await clock.until(next);
  assert.equal(await next, 63_000);
});

test('as soon as one gets further, those that did not get as far try at once', async () => {
  const { clock, pacer, ended } = setUp();
  const all = Promise.all([ended(probe, 0), ended(probe, 1), ended(probe, 2), ended(alone, 0)]);
  const answers = Promise.all([
    clock.sleep(10).then(() => pacer.reached(1)),
    clock.sleep(20).then(() => pacer.reached(2)),
  ]);
  await clock.until(Promise.all([all, answers]));
  assert.deepEqual(await all, [10, 20, 3_000, 1_000]);
});

test('an answer like the last one ends no delay: two that are refused do not drive each other', async () => {
  const { clock, pacer, ended } = setUp();
  const all = Promise.all([ended(probe, 1), ended(probe, 1)]);
  pacer.reached(1);
  await clock.until(all);
  assert.deepEqual(await all, [1_000, 2_000]);
});

test('after everybody was woken the next turn is not a late one', async () => {
  const { clock, pacer, ended } = setUp();
  const all = Promise.all([ended(probe, 0), ended(probe, 0), ended(probe, 0)]);
  pacer.reached(2);
  await clock.until(all);
  const next = ended(probe, 0);
  await clock.until(next);
  assert.equal(await next, 1_000);
});

test('the signal ends every delay', async () => {
  const { pacer } = setUp();
  const stop = new AbortController();
  const all = Promise.all([pacer.pause(probe, 0, stop.signal), pacer.pause(alone, 0, stop.signal)]);
  stop.abort();
  await all;
});

test('what the server asked for is waited in full whatever others reach, and they still take turns after it', async () => {
  const { clock, pacer, ended } = setUp();
  const asked = { ...probe, serverDelay: 5_000 };
  const all = Promise.all([ended(asked, 1), ended(asked, 1)]);
  pacer.reached(2);
  await clock.until(all);
  assert.deepEqual(await all, [5_000, 6_000]);
});
