import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Yielder } from '../../src/base/async.js';

/** Whether other work of the event loop ran meanwhile. */
const yields = async (work: () => Promise<void>): Promise<boolean> => {
  let ran = false;
  setImmediate(() => (ran = true));
  await work();
  return ran;
};

test('steps together reach the number after which the clock is read', async () => {
  const yielder = new Yielder(0, 10);
  assert.equal(await yields(() => yielder.yieldIfDue(9)), false);
  assert.equal(await yields(() => yielder.yieldIfDue()), true);
  assert.equal(await yields(() => yielder.yieldIfDue()), false);
  assert.equal(await yields(() => yielder.yieldIfDue(100)), true);
});

test('it yields only if the last yield is long ago', async () => {
  const yielder = new Yielder(1_000_000);
  assert.equal(await yields(() => yielder.yieldIfDue()), false);
});
