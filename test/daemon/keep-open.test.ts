import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keepOpen } from '../../src/daemon/keep-open.js';
import { RecordingLog } from '../support/recording-log.js';

test('what fails is opened again after a pause, what came meanwhile counts as lost, and it is said once', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const log = new RecordingLog();
  const open: ((error: Error) => void)[] = [];
  const told: string[] = [];
  let refusals = 2;
  const kept = keepOpen({
    what: 'events',
    open: (failed) => {
      if (open.length === 1 && refusals > 0) {
        refusals -= 1;
        throw new Error('no socket');
      }
      open.push(failed);
      return { close: () => void told.push('closed') };
    },
    lost: () => void told.push('lost'),
    pauseMilliseconds: 5_000,
    log,
  });
  assert.deepEqual(told, []);
  open[0]?.(new Error('broke'));
  assert.deepEqual(told, ['closed']);
  context.mock.timers.tick(5_000);
  context.mock.timers.tick(5_000);
  assert.equal(open.length, 1);
  context.mock.timers.tick(5_000);
  assert.equal(open.length, 2);
  assert.deepEqual(told, ['closed', 'lost']);
  assert.deepEqual(
    log.lines.map(({ level }) => level),
    ['error', 'info'],
  );
  kept[Symbol.dispose]();
  context.mock.timers.tick(60_000);
  assert.deepEqual(told, ['closed', 'lost', 'closed']);
});
