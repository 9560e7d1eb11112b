import assert from 'node:assert/strict';
import { test } from 'node:test';
import { array, assert as check, nat, property, tuple } from 'fast-check';
import { DeadlineHeap } from '../../../src/base/collections/deadline-heap.js';

test('items come in the order of their deadlines; those whose deadline no longer holds never come', () => {
  check(
    property(array(tuple(nat(20), nat(100)), { maxLength: 200 }), nat(100), (pushed, now) => {
      const deadlines = new Map<number, number>();
      const heap = new DeadlineHeap<number>((item, at) => deadlines.get(item) === at);
      for (const [item, at] of pushed) {
        deadlines.set(item, at);
        heap.push(item, at);
      }
      const earliest = deadlines.size === 0 ? undefined : Math.min(...deadlines.values());
      assert.equal(heap.next, earliest);
      const due = heap.takeDue(now);
      const times = due.map((item) => deadlines.get(item) ?? NaN);
      assert.deepEqual(
        times,
        times.toSorted((a, b) => a - b),
      );
      const expected = [...deadlines].filter(([, at]) => at <= now).map(([item]) => item);
      assert.deepEqual(new Set(due), new Set(expected));
    }),
    { seed: 7 },
  );
});
