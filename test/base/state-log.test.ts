import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StateLog } from '../../src/base/state-log.js';

test('a state is written when it begins, when its reason changes, and when it ends; each once', () => {
  const states = new StateLog();
  const lines: string[] = [];
  const begin = (key: string, reason: string) =>
    states.begin(key, reason, () => lines.push(`${key} ${reason}`));
  const end = (key: string) => states.end(key, () => lines.push(`${key} ended`));
  end('a');
  begin('a', 'no route');
  begin('a', 'no route');
  begin('b', 'refused');
  begin('a', 'refused');
  end('a');
  end('a');
  begin('a', 'refused');
  assert.deepEqual(lines, ['a no route', 'b refused', 'a refused', 'a ended', 'a refused']);
  assert.deepEqual([states.size, states.has('b'), states.has('c')], [2, true, false]);
});

test('the states of others end together', () => {
  const states = new StateLog<number>();
  for (const key of [1, 2, 3]) states.begin(key, '', () => {});
  const ended: number[] = [];
  states.endOthers(new Set([2, 4]), (key) => void ended.push(key));
  assert.deepEqual(ended, [1, 3]);
  assert.equal(states.size, 1);
});
