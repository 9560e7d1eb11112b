// virtual time: what is tested waits, gives up and tries again.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { problemEvent, remindOfProblems } from '../../../src/daemon/events/problem-events.js';
import { serviceKey } from '../../../src/model/service.js';
import { until } from '../../watch/following.js';
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
  const reminders = remindOfProblems({
    events: () => wrong.map((each) => problemEvent(each, undefined)),
    recorder: { record: ({ reason }) => void told.push(reason) },
    between: [5, 10],
    most: 3,
  });
  await until('it is told twice', () => told.length === 2);
  wrong = [];
  await elapse(30);
  const before = told.length;
  await elapse(30);
  assert.equal(told.length, before);
  wrong = [problem, problem, problem, problem];
  await until('it is told', () => told.length > before);
  assert.equal(told.length, before + 3);
  reminders[Symbol.dispose]();
  await elapse(30);
  assert.equal(told.length, before + 3);
});
