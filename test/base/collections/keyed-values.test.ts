import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { KeyedValues } from '../../../src/base/collections/keyed-values.js';

interface Entry {
  readonly key: number;
  readonly text: string;
}

const entry = fc.record({ key: fc.nat(40), text: fc.string() });
const step = fc.oneof({ weight: 4, arbitrary: fc.record({ set: entry }) }, fc.record({ delete: fc.nat(40) }));

/** Everything that can be read. */
const contents = (map: ReadonlyMap<number, Entry>): unknown => {
  const visited: unknown[] = [];
  map.forEach((value, key) => visited.push([key, value]));
  return {
    size: map.size,
    pairs: [...map],
    entries: [...map.entries()],
    keys: [...map.keys()],
    values: [...map.values()],
    visited,
    found: Array.from({ length: 41 }, (_, key) => [map.has(key), map.get(key)]),
  };
};

test('it equals a Map after each change, small or large', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(entry, { selector: ({ key }) => key, maxLength: 40 }),
      fc.array(step),
      (first, steps) => {
        const model = new Map(first.map((value) => [value.key, value]));
        const actual = new KeyedValues<number, Entry>(first);
        assert.deepEqual(contents(actual), contents(model));
        for (const each of steps) {
          if ('set' in each) {
            model.set(each.set.key, each.set);
            actual.set(each.set);
          } else {
            model.delete(each.delete);
            actual.delete(each.delete);
          }
          assert.deepEqual(contents(actual), contents(model));
        }
      },
    ),
  );
});

test('it equals a Map while it grows and shrinks', () => {
  const model = new Map<number, Entry>();
  const actual = new KeyedValues<number, Entry>();
  for (let key = 0; key < 40; key += 1) {
    model.set(key, { key, text: 'first' });
    actual.set({ key, text: 'first' });
    assert.deepEqual(contents(actual), contents(model));
  }
  for (let key = 39; key >= 0; key -= 1) {
    model.delete(key);
    actual.delete(key);
    assert.deepEqual(contents(actual), contents(model));
  }
});

test('later changes of the list that it was made of do not change it', () => {
  const list = [{ key: 1, text: 'a' }];
  const values = new KeyedValues<number, Entry>(list);
  list.pop();
  assert.equal(values.size, 1);
});
