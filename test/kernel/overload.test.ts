import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flood } from '../overload/flood.js';

test('2,000 endpoint changes a second: every Service converges in the kernel, and the heap is as before', async () => {
  const { made, before, after } = await flood({
    kernel: 'lab',
    services: 200,
    endpoints: 10,
    together: 1,
    changesPerSecond: 2_000,
    seconds: 5,
  });
  assert.equal(made.changes, 10_000);
  const grown = (after.heapBytes - before.heapBytes) / 1024 / 1024;
  assert.ok(grown < 8, `the heap grew by ${grown} MB`);
});
