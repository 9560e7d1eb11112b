import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { RateLimiter } from '../../src/base/rate-limiter.js';

test('a burst passes at once, then one each interval; quiet time gives the burst back', async (context) => {
  let now = 50_000;
  mock.method(performance, 'now', () => now);
  context.after(() => mock.restoreAll());
  const limit = new RateLimiter({ perSecond: 5, burst: 3 });
  const stop = new AbortController();
  const passed: number[] = [];
  const ask = (name: number): Promise<unknown> => limit.acquire(stop.signal).then(() => passed.push(name));
  const settled = (): Promise<unknown> => new Promise(setImmediate);
  const asked = [1, 2, 3, 4].map(ask);
  await settled();
  assert.deepEqual(passed, [1, 2, 3]);
  now += 10_000;
  asked.push(...[5, 6, 7, 8].map(ask));
  await settled();
  assert.deepEqual(passed, [1, 2, 3, 5, 6, 7]);
  // Those that wait end with the signal.
  stop.abort();
  await Promise.all(asked);
});
