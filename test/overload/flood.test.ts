import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flood } from './flood.js';

// The short form of `scripts/bench --overload`, which tells how long things take. Here it counts that everything arrives, and that
// what waits is a Service, not an event.

test('2,000 endpoint changes a second: every Service converges, syncs stay few, and the heap is as before', async () => {
  const { made, measured, before, after } = await flood({
    kernel: 'memory',
    services: 200,
    endpoints: 10,
    together: 1,
    changesPerSecond: 2_000,
    seconds: 4,
  });
  assert.equal(made.changes, 8_000);
  // minSyncPeriod is a second. Endpoints that go pass it: ten times at once, then ten times a second; each sync is of no more
  // than all real servers.
  assert.ok(
    measured.syncs >= 2 && measured.syncs <= 11 + 10 * Math.ceil(measured.seconds),
    `${measured.syncs} syncs`,
  );
  assert.ok(
    measured.operations > 0 && measured.operations <= measured.syncs * 200 * 10 * 2,
    `${measured.operations}`,
  );
  const grown = (after.heapBytes - before.heapBytes) / 1024 / 1024;
  assert.ok(grown < 8, `the heap grew by ${grown} MB`);
});
