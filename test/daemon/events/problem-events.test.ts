// virtual time: what is tested waits, gives up and tries again.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { problemEvent, repeatProblemEvents } from '../../../src/daemon/events/problem-events.js';
import { serviceKey } from '../../../src/model/service.js';
import { elapse } from '../../support/virtual-clock.js';

const problem = { service: serviceKey('shop', 'web'), reason: 'AddressInUse', message: 'taken' };

test('a problem is a warning about its Service', () => {
  assert.deepEqual(problemEvent(problem, 'u1'), {
    regarding: { kind: 'Service', namespace: 'shop', name: 'web', uid: 'u1' },
    type: 'Warning',
    reason: 'AddressInUse',
    action: 'ProgramService',
    note: 'taken',
  });
});

test('what stays wrong is told again and again, and not all of it where it is much', async () => {
  const told: string[] = [];
  let wrong = [problem];
  const reminders = repeatProblemEvents({
    events: () => wrong.map((each) => problemEvent(each, undefined)),
    recorder: { record: ({ reason }) => void told.push(reason) },
    interval: [1_000, 1_000],
    maximum: 3,
  });
  await elapse(2_500);
  assert.equal(told.length, 2);
  wrong = [];
  await elapse(3_000);
  assert.equal(told.length, 2);
  wrong = [problem, problem, problem, problem];
  await elapse(1_000);
  assert.equal(told.length, 5);
  reminders[Symbol.dispose]();
  await elapse(3_000);
  assert.equal(told.length, 5);
});
