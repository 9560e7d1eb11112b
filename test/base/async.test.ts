import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mapWithYields } from '../../src/base/async.js';

test('mapInTurns maps in order, and gives the event loop its turn meanwhile', async () => {
  let turns = 0;
  const timer = setInterval(() => {
    turns += 1;
  }, 0);
  const seen = await mapWithYields(
    Array.from({ length: 100 }, (_, index) => index),
    (item) => {
      const until = performance.now() + 1;
      while (performance.now() < until);
      return { item, turns };
    },
    2,
  );
  clearInterval(timer);
  assert.deepEqual(
    seen.map(({ item }) => item),
    Array.from({ length: 100 }, (_, index) => index),
  );
  assert.equal(seen[0]?.turns, 0);
  assert.ok((seen.at(-1)?.turns ?? 0) > 0, 'no turn');
  assert.deepEqual(await mapWithYields([], () => assert.fail(), 2), []);
});
