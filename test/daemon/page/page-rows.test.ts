import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PageRows } from '../../../src/daemon/page/page-rows.js';

const describe = (rows: PageRows, ...keys: readonly string[]): void => {
  rows.begin();
  for (const key of keys) rows.describe({ key, realServers: 1, draining: 0 });
  rows.end();
};

const changed = (rows: PageRows, since: number) =>
  [...rows.changesSince(since)].filter((change) => change !== undefined);

test('a stream gets what changed since its last sample', () => {
  const rows = new PageRows();
  describe(rows, 'a', 'b');
  rows.load('a', [1, 2]);
  rows.load('elsewhere', [1, 2]);
  assert.deepEqual(
    changed(rows, 0).map(({ id, load }) => [id, load]),
    [
      [1, [1, 2]],
      [2, undefined],
    ],
  );
  describe(rows, 'a', 'b');
  rows.load('a', [1, 2]);
  assert.deepEqual(changed(rows, 1), []);
  rows.begin();
  rows.describe({ key: 'a', realServers: 2, draining: 0 });
  rows.describe({ key: 'b', realServers: 1, draining: 0 });
  rows.load('b', [3, 4]);
  rows.end();
  assert.deepEqual(changed(rows, 2), [
    { id: 1, server: { id: 1, key: 'a', realServers: 2, draining: 0 } },
    { id: 2, load: [3, 4] },
  ]);
});

test('a row that is not described any more is removed; it has another id when it returns', () => {
  const rows = new PageRows();
  describe(rows, 'a', 'b');
  describe(rows, 'b');
  assert.deepEqual(rows.removedSince(1), [1]);
  assert.deepEqual(rows.removedSince(2), []);
  assert.deepEqual(rows.removedSince(0), [], 'a new stream knows no row');
  describe(rows, 'a', 'b');
  assert.deepEqual(
    changed(rows, 2).map(({ id }) => id),
    [3],
  );
});

test('a stream that missed forgotten removals must begin again', () => {
  const rows = new PageRows();
  describe(rows, ...Array.from({ length: 10_001 }, (_, index) => String(index)));
  describe(rows);
  describe(rows, 'a');
  describe(rows);
  assert.equal(rows.knowsSince(1), false);
  assert.equal(rows.knowsSince(2), true);
  assert.equal(rows.knowsSince(0), true);
});
