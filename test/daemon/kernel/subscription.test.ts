import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { Subscription } from '../../../src/daemon/kernel/subscription.js';
import { RecordingLog } from '../../support/recording-log.js';

const setUp = (context: TestContext) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const log = new RecordingLog();
  const told: string[] = [];
  const state = { refusals: 0, opened: 0, fail: (_error: Error): void => {} };
  const kept = new Subscription({
    description: 'events',
    open: (failed) => {
      if (state.refusals > 0) {
        state.refusals -= 1;
        throw new Error('no socket');
      }
      state.opened += 1;
      state.fail = failed;
      const name = state.opened;
      return {
        checkDescriptor: () => void told.push(`looked at ${name}`),
        close: () => void told.push(`closed ${name}`),
      };
    },
    lost: () => void told.push('lost'),
    delays: { firstMilliseconds: 1_000, maximumMilliseconds: 60_000, random: () => 0.5 },
    log,
  });
  return { kept, log, told, state, tick: (milliseconds: number) => context.mock.timers.tick(milliseconds) };
};

test('what fails is opened again with growing delays, what came meanwhile counts as lost, and it is said once', (context) => {
  const { kept, log, told, state, tick } = setUp(context);
  assert.deepEqual(told, []);
  state.refusals = 2;
  state.fail(new Error('broke'));
  assert.deepEqual(told, ['closed 1']);
  tick(1_000);
  tick(2_000);
  assert.equal(state.opened, 1);
  tick(3_999);
  assert.equal(state.opened, 1);
  tick(1);
  assert.equal(state.opened, 2);
  assert.deepEqual(told, ['closed 1', 'lost']);
  assert.deepEqual(
    log.lines.map(({ level }) => level),
    ['error', 'info'],
  );
  kept[Symbol.dispose]();
  tick(60_000);
  assert.deepEqual(told, ['closed 1', 'lost', 'closed 2']);
});

test('one that fails as soon as it is open is not opened in a hurry', (context) => {
  const { state, tick } = setUp(context);
  for (const delay of [1_000, 2_000, 4_000, 8_000]) {
    state.fail(new Error('broke'));
    const { opened } = state;
    tick(delay - 1);
    assert.equal(state.opened, opened);
    tick(1);
    assert.equal(state.opened, opened + 1);
  }
});

test('it is looked at, and renewed on demand without a word; what fails after that is not it', (context) => {
  const { kept, log, told, state, tick } = setUp(context);
  kept.check();
  const failBefore = state.fail;
  kept.reopen();
  failBefore(new Error('late'));
  tick(60_000);
  kept.check();
  assert.deepEqual(told, ['looked at 1', 'closed 1', 'lost', 'looked at 2']);
  assert.deepEqual(log.lines, []);
  state.fail(new Error('broke'));
  kept.reopen();
  assert.equal(state.opened, 2);
  tick(2_000);
  assert.equal(state.opened, 3);
  kept[Symbol.dispose]();
  kept.reopen();
  assert.equal(state.opened, 3);
});

test('what is renewed again and again is opened ever less often', (context) => {
  const { kept, state, tick } = setUp(context);
  for (const [milliseconds, opened] of [
    [999, 1],
    [1, 2],
    [1_999, 2],
    [1, 3],
    [3_999, 3],
    [1, 4],
  ] as const) {
    kept.reopen();
    tick(milliseconds);
    assert.equal(state.opened, opened);
  }
  kept[Symbol.dispose]();
});
