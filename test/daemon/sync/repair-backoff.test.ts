import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RepairBackoff } from '../../../src/daemon/sync/repair-backoff.js';
import { RecordingLog } from '../../support/recording-log.js';

test('who changes our rules again and again is met ever less often, which is said once; after a quiet time all is forgotten', () => {
  const log = new RecordingLog();
  const clock = { now: 0 };
  const pause = new RepairBackoff(log, () => clock.now);
  const next = (): number => {
    const milliseconds = pause.next();
    clock.now += milliseconds;
    return milliseconds;
  };
  assert.deepEqual(
    Array.from({ length: 10 }, next),
    Array.from({ length: 10 }, () => 50),
  );
  assert.equal(log.at('warn').length, 0);
  assert.deepEqual(
    Array.from({ length: 8 }, next),
    [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000],
  );
  assert.equal(log.at('warn').length, 1);
  clock.now += 60_000 + 10_001;
  assert.equal(next(), 50);
});

test('one change a second is never too often', () => {
  const clock = { now: 0 };
  const pause = new RepairBackoff(new RecordingLog(), () => clock.now);
  for (let count = 0; count < 100; count += 1) {
    assert.equal(pause.next(), 50);
    clock.now += 1_000;
  }
});
