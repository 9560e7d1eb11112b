import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FailureKind } from '../../../src/watch/api/next-step.js';
import { defaultTiming } from '../../../src/watch/api/reflector-timing.js';
import {
  afterFailure,
  noFailures,
  retryDelay,
  type FailureHistory,
  type RetryDelay,
  withServerDelay,
} from '../../../src/watch/api/retry-delay.js';

const historyOf = (kinds: readonly FailureKind[], every = 1_000): FailureHistory => {
  let history = noFailures;
  for (const [index, kind] of kinds.entries()) history = afterFailure(history, kind, index * every);
  return history;
};

/** The delay after the last of these failures in a row. */
const delayAfter = (
  kinds: readonly FailureKind[],
  { random = 0.5, objects = 0, every = 1_000 } = {},
): RetryDelay => {
  const last = kinds.at(-1);
  assert.ok(last);
  const now = (kinds.length - 1) * every;
  return retryDelay(historyOf(kinds, every), last, { now, random, objects }, defaultTiming);
};

const times = (count: number, ...kinds: readonly FailureKind[]): readonly FailureKind[] =>
  Array.from({ length: count }, () => kinds).flat();

const rows: readonly [name: string, kinds: readonly FailureKind[], milliseconds: number][] = [
  ['a first failure', ['unreachable'], 800],
  ['a second one', times(2, 'unreachable'), 1_400],
  ['an hour without a server', times(3_000, 'unreachable'), 1_400],
  ['an hour of 503', times(3_000, 'unavailable'), 1_400],
  ['a server that starts and denies us', [...times(50, 'unreachable'), ...times(100, 'denied')], 1_400],
  ['a server that has denied us for five minutes', times(301, 'denied'), 30_000],
  ['the same, then away, then denying', [...times(400, 'denied'), 'unreachable', 'denied'], 1_400],
  ['a broken stream', ['misbehaving'], 800],
  ['five of them', times(5, 'misbehaving'), 12_800],
  ['many of them', times(40, 'misbehaving'), 30_000],
  ['many, with a watch lost in between each time', times(40, 'unavailable', 'misbehaving'), 30_000],
  ['an expired version', ['expired'], 0],
  ['one that expires again and again', times(3, 'expired'), 1_600],
  ['the same with a watch that is lost each time', times(3, 'unavailable', 'expired'), 1_600],
  ['the tenth outage', times(10, 'unreachable', 'unreachable', 'expired'), 0],
];

for (const [name, kinds, milliseconds] of rows)
  test(`${name}: ${milliseconds} ms`, () => assert.equal(delayAfter(kinds).milliseconds, milliseconds));

test('all delays but those of the spread are scattered over half to one and a half', () => {
  for (const [, kinds, milliseconds] of rows) {
    assert.equal(delayAfter(kinds, { random: 0 }).milliseconds, milliseconds * 0.5);
    assert.equal(delayAfter(kinds, { random: 0.999 }).milliseconds, milliseconds * 1.499);
  }
});

test('lists after a restart are spread by what they hold, up to a limit', () => {
  const spread = (objects: number): number =>
    Math.round(delayAfter(['expired'], { random: 0.999_999, objects }).milliseconds);
  assert.deepEqual([0, 1, 100, 1_000, 3_000, 100_000].map(spread), [0, 0, 40, 400, 1_200, 1_200]);
});

test('the longest probe, the longest spread, a list and a sync fit into five seconds', () => {
  const probe = delayAfter(times(3_000, 'unreachable'), { random: 1 }).milliseconds;
  const spread = delayAfter(['expired'], { random: 1, objects: 1e6 }).milliseconds;
  const minSyncPeriod = 1_000;
  assert.ok(probe + spread + minSyncPeriod <= 4_500, `${probe} + ${spread}`);
});

test('resources take turns at a server that is away, and only such delays end early', () => {
  const flags = (...kinds: readonly FailureKind[]): string => {
    const { takesTurns, endsEarly } = delayAfter(kinds);
    return `${takesTurns} ${endsEarly}`;
  };
  assert.deepEqual(
    [flags('unreachable'), flags('unavailable'), flags('denied'), flags('misbehaving'), flags('expired')],
    ['true true', 'true true', 'true true', 'false false', 'false false'],
  );
  assert.equal(flags(...times(301, 'denied')), 'false true');
});

test('what the server asks for is waited, up to a minute, a little later at random', () => {
  const delay = delayAfter(['unavailable']);
  const asked = (seconds: number, random: number): number =>
    Math.round(withServerDelay(delay, seconds, random).serverDelay);
  assert.deepEqual(
    [asked(10, 0), asked(10, 0.5), asked(0, 0), asked(86_400, 0)],
    [10_000, 10_500, 0, 60_000],
  );
});
