import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { Wakeups } from '../../src/base/wakeups.js';

const setUp = (context: TestContext) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const clock = { now: 0 };
  const woken: string[] = [];
  const wakeups = new Wakeups<'a' | 'b' | 'c'>(
    (name) => void woken.push(`${name} ${clock.now}`),
    () => clock.now,
  );
  const pass = (milliseconds: number): void => {
    for (let count = 0; count < milliseconds; count += 1) {
      clock.now += 1;
      context.mock.timers.tick(1);
    }
  };
  return { wakeups, woken, pass };
};

test('each name wakes once, when it is due; the earliest is the next wakeup', (context) => {
  const { wakeups, woken, pass } = setUp(context);
  wakeups.schedule('a', 30);
  wakeups.schedule('b', 10);
  assert.deepEqual([wakeups.nextWakeup, wakeups.isScheduled('a')], [10, true]);
  pass(10);
  assert.deepEqual([woken, wakeups.nextWakeup, wakeups.isScheduled('b')], [['b 10'], 30, false]);
  pass(100);
  assert.deepEqual([woken, wakeups.nextWakeup], [['b 10', 'a 30'], undefined]);
});

test('a name that is scheduled again has its last due time only, be it earlier or later', (context) => {
  const { wakeups, woken, pass } = setUp(context);
  wakeups.schedule('a', 10);
  wakeups.schedule('a', 20);
  wakeups.schedule('b', 50);
  wakeups.schedule('b', 5);
  pass(100);
  assert.deepEqual(woken, ['b 5', 'a 20']);
});

test('a canceled name does not wake; after stop nothing does', (context) => {
  const { wakeups, woken, pass } = setUp(context);
  wakeups.schedule('a', 10);
  wakeups.schedule('b', 20);
  wakeups.cancel('a');
  pass(20);
  assert.deepEqual(woken, ['b 20']);
  wakeups.schedule('c', 10);
  wakeups.stop();
  wakeups.schedule('a', 10);
  pass(100);
  assert.deepEqual([woken, wakeups.nextWakeup], [['b 20'], undefined]);
});

test('a timer that runs early wakes what it was set for', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const woken: string[] = [];
  const wakeups = new Wakeups(
    (name) => void woken.push(name),
    () => 0,
  );
  wakeups.schedule('a', 10);
  wakeups.schedule('b', 20);
  context.mock.timers.tick(10);
  assert.deepEqual(woken, ['a']);
});
