// virtual time: what is tested waits.
import assert from 'node:assert/strict';
import { mock, test, type TestContext } from 'node:test';
import { SyncRunner } from '../../../src/daemon/sync/sync-runner.js';
import { elapse } from '../../support/virtual-clock.js';

const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
};

/** A runner whose runs take no time, with the times and reasons of its runs. */
const setUp = (context: TestContext, minimum: number, maximum: number) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  context.after(() => mock.timers.reset());
  const runs: string[] = [];
  let now = 0;
  const periods = { minimum, maximum };
  const runner = new SyncRunner({
    minSyncPeriod: () => periods.minimum,
    syncPeriod: () => periods.maximum,
    run: async (reason) => void runs.push(`${now} ${reason}`),
    now: () => now,
  });
  const advance = async (milliseconds: number): Promise<void> => {
    now += milliseconds;
    mock.timers.tick(milliseconds);
    await settle();
  };
  return { runner, runs, advance, periods };
};

test('scenario 127: requests within minSyncPeriod become one run at its end', async (context) => {
  const { runner, runs, advance } = setUp(context, 1_000, 10_000);
  runner.request();
  await settle();
  await advance(500);
  runner.request();
  await advance(499);
  runner.request();
  await settle();
  assert.deepEqual(runs, ['0 requested']);
  await advance(1);
  assert.deepEqual(runs, ['0 requested', '1000 requested']);
});

test('scenario 128: without requests it runs syncPeriod after the last run', async (context) => {
  const { runner, runs, advance } = setUp(context, 1_000, 10_000);
  runner.request();
  await settle();
  await advance(10_000);
  await advance(10_000);
  assert.deepEqual(runs, ['0 requested', '10000 periodic', '20000 periodic']);
});

test('other periods count for what waits already', async (context) => {
  const { runner, runs, advance, periods } = setUp(context, 5_000, 60_000);
  runner.request();
  await settle();
  await advance(1_000);
  periods.maximum = 10_000;
  runner.reschedule();
  await advance(10_000);
  assert.deepEqual(runs, ['0 requested', '11000 periodic']);
  runner.request();
  await advance(100);
  periods.minimum = 0;
  runner.reschedule();
  await settle();
  assert.deepEqual(runs.slice(2), ['11100 requested']);
});

test('an urgent request passes minSyncPeriod by, takes along what waits, and what comes after it waits as ever', async (context) => {
  const { runner, runs, advance } = setUp(context, 1_000, 60_000);
  runner.request();
  await settle();
  await advance(300);
  runner.request();
  await advance(100);
  runner.request('urgent');
  await settle();
  assert.deepEqual(runs, ['0 requested', '400 requested']);
  runner.request();
  await advance(999);
  assert.equal(runs.length, 2);
  await advance(1);
  assert.deepEqual(runs.slice(2), ['1400 requested']);
});

test('urgent requests are bounded: ten at once, then one a tenth of minSyncPeriod, then again ten after a quiet period', async (context) => {
  const { runner, runs, advance } = setUp(context, 1_000, 600_000);
  runner.request();
  await settle();
  for (let count = 0; count < 50; count += 1) {
    runner.request('urgent');
    await settle();
  }
  assert.equal(runs.length, 1 + 10);
  for (let passed = 0; passed < 2_000; passed += 10) {
    runner.request('urgent');
    await advance(10);
  }
  assert.equal(runs.length, 1 + 10 + 20);
  await advance(1_000);
  const before = runs.length;
  runner.request();
  await settle();
  for (let count = 0; count < 50; count += 1) {
    runner.request('urgent');
    await settle();
  }
  assert.equal(runs.length - before, 1 + 10);
});

test('an urgent request during a run follows right after it', async (context) => {
  const { runner, runs } = setUp(context, 1_000, 60_000);
  runner.request();
  runner.request('urgent');
  await settle();
  assert.deepEqual(runs, ['0 requested', '0 requested']);
});

test('with minSyncPeriod 0 a request runs at once, and one during a run right after it', async (context) => {
  const { runner, runs } = setUp(context, 0, 10_000);
  runner.request();
  runner.request();
  await settle();
  runner.request();
  await settle();
  assert.deepEqual(runs, ['0 requested', '0 requested', '0 requested']);
});

test('after stop nothing runs any more', async (context) => {
  const { runner, runs, advance } = setUp(context, 0, 10_000);
  runner.request();
  await runner.stop();
  runner.request();
  await advance(60_000);
  assert.deepEqual(runs, ['0 requested']);
});

test('the clock of the machine may be set back: requests run nevertheless', async (context) => {
  context.mock.timers.enable({ apis: ['Date'], now: 7_200_000 });
  let runs = 0;
  const runner = new SyncRunner({
    minSyncPeriod: () => 0,
    syncPeriod: () => 10_000,
    run: async () => void (runs += 1),
  });
  runner.request();
  await settle();
  context.mock.timers.setTime(3_600_000);
  runner.request();
  await settle();
  await runner.stop();
  assert.equal(runs, 2);
});

test('a sync period of months does not make it run without a pause', async () => {
  let runs = 0;
  const runner = new SyncRunner({
    minSyncPeriod: () => 0,
    syncPeriod: () => 90 * 24 * 3_600_000,
    run: async () => void (runs += 1),
  });
  runner.request();
  await elapse(50);
  await runner.stop();
  assert.equal(runs, 1);
});
