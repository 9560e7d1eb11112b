import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { DeletedNodes } from '../../../src/daemon/nodes/deleted-nodes.js';
import type { NodeState } from '../../../src/model/node.js';
import { yieldToEventLoop } from '../../../src/base/async.js';
import { RecordingLog } from '../../support/recording-log.js';

/** Drains that a test lists by node, and a source whose answers it gives. */
const setUp = (context: TestContext) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const suspects = new Map<string, number>();
  const states = new Map<string, NodeState | Error>();
  const asked: string[] = [];
  const log = new RecordingLog();
  const clock = { now: 0 };
  let found = 0;
  let release: (() => void) | undefined;
  let held: Promise<void> | undefined;
  const lost = new DeletedNodes({
    deletionFound: () => void (found += 1),
    log,
    now: () => clock.now,
  });
  const running = lost.start(
    {
      nodeState: async (name) => {
        asked.push(name);
        await held;
        const state = states.get(name) ?? 'there';
        if (state instanceof Error) throw state;
        return state;
      },
    },
    { nodesToCheck: () => new Set(suspects.keys()), countOnNode: (name) => suspects.get(name) ?? 0 },
  );
  const pass = async (milliseconds: number): Promise<void> => {
    clock.now += milliseconds;
    context.mock.timers.tick(milliseconds);
    for (let turn = 0; turn < 5; turn += 1) await yieldToEventLoop();
  };
  /** Until the function that it gives is called no question is answered. */
  const hold = (): (() => void) => {
    held = new Promise((resolve) => (release = resolve));
    return () => {
      held = undefined;
      release?.();
    };
  };
  return { lost, running, suspects, states, asked, log, pass, hold, found: () => found };
};

test('without suspects nothing is asked', async (context) => {
  const { lost, asked, pass } = setUp(context);
  lost.checkSuspects();
  await pass(60_000);
  assert.deepEqual(asked, []);
});

test('a suspect is asked for within a second, once, and every 10 s for as long as it is one', async (context) => {
  const { lost, suspects, asked, pass, found } = setUp(context);
  suspects.set('n2', 3);
  lost.checkSuspects();
  lost.checkSuspects();
  await pass(1_000);
  lost.checkSuspects();
  assert.deepEqual(asked, ['n2']);
  await pass(9_990);
  assert.equal(asked.length, 1);
  await pass(20);
  assert.equal(asked.length, 2);
  suspects.clear();
  await pass(60_000);
  assert.equal(asked.length, 2);
  assert.deepEqual([lost.results, found()], [{ there: 2, gone: 0, failed: 0 }, 0]);
});

test('a node that is gone is told of with what drains there, and counts as gone for a few seconds', async (context) => {
  const { lost, suspects, states, pass, found, log } = setUp(context);
  suspects.set('n2', 3).set('n3', 1);
  states.set('n2', 'gone');
  lost.checkSuspects();
  assert.equal(lost.isDeleted('n2'), false);
  await pass(1_000);
  assert.deepEqual([lost.isDeleted('n2'), lost.isDeleted('n3'), found()], [true, false, 1]);
  assert.deepEqual(
    log.lines.map(({ level, fields }) => [level, fields]),
    [['warn', { event: 'draining-node-deleted', node: 'n2', realServers: 3 }]],
  );
  await pass(4_990);
  assert.deepEqual(lost.deletedNodes(), [{ node: 'n2', secondsAgo: 4.99, realServers: 3 }]);
  assert.equal(lost.isDeleted('n2'), true);
  await pass(20);
  assert.equal(lost.isDeleted('n2'), false);
});

test('what cannot be asked counts as there, and is told of once', async (context) => {
  const { lost, suspects, states, pass, found, log } = setUp(context);
  suspects.set('n2', 1);
  states.set('n2', new Error('no way'));
  lost.checkSuspects();
  await pass(1_000);
  await pass(10_000);
  assert.deepEqual([lost.isDeleted('n2'), found(), lost.results.failed], [false, 0, 2]);
  assert.deepEqual(
    log.lines.map(({ level, fields }) => [level, fields]),
    [['info', { event: 'node-query-failed', node: 'n2', error: 'no way' }]],
  );
});

test('of many suspects two are asked for at a time, and one that is none any more is not', async (context) => {
  const { lost, suspects, asked, pass, hold } = setUp(context);
  for (let index = 0; index < 9; index += 1) suspects.set(`n${index}`, 1);
  const answer = hold();
  lost.checkSuspects();
  await pass(1_000);
  assert.equal(asked.length, 2);
  const left = [...suspects.keys()].find((name) => !asked.includes(name)) ?? '';
  suspects.delete(left);
  answer();
  await pass(0);
  assert.equal(asked.length, 8);
  assert.ok(!asked.includes(left));
});

test('once it is ended nothing is asked or told any more', async (context) => {
  const { lost, running, suspects, states, asked, pass, hold, found, log } = setUp(context);
  suspects.set('n2', 1);
  states.set('n2', 'gone');
  const answer = hold();
  lost.checkSuspects();
  await pass(1_000);
  running[Symbol.dispose]();
  answer();
  lost.checkSuspects();
  await pass(60_000);
  assert.deepEqual([asked, found(), log.lines], [['n2'], 0, []]);
});
