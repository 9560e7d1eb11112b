import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { RecordRing } from '../../../src/daemon/history/record-ring.js';

const record = (at: number, length = 10) => ({ at, service: undefined, json: 'x'.repeat(length) });
const ids = (ring: RecordRing, after = 0): readonly number[] => [...ring.after(after)].map(([id]) => id);

test('the oldest records go when there are too many, and the numbers of the others stay', () => {
  const ring = new RecordRing({ records: 3, bytes: 10_000 }, 100);
  for (let at = 0; at < 5; at += 1) ring.add(record(at));
  assert.deepEqual(
    [...ring.after(0)].map(([id, { at }]) => [id, at]),
    [
      [102, 2],
      [103, 3],
      [104, 4],
    ],
  );
  assert.deepEqual([ring.nextId, ring.size, ring.droppedAt], [105, 3, 1]);
  assert.deepEqual(ids(ring, 103), [104]);
  assert.deepEqual(ids(ring, 104), []);
});

test('the bytes of all records are bounded, and a text outside of Latin-1 counts twice', () => {
  const ring = new RecordRing({ records: 1_000, bytes: 1_000 });
  for (let at = 0; at < 50; at += 1) ring.add(record(at, 104));
  assert.deepEqual([ring.size, ring.bytes], [5, 1_000]);
  ring.add({ at: 50, service: undefined, json: '→'.repeat(352) });
  assert.deepEqual([ring.size, ring.bytes], [2, 1_000]);
  ring.add(record(51, 5_000));
  assert.equal(ring.size, 1, 'a record that is too long by itself is kept alone');
});

test('whatever is added, the ring holds the latest records, and after(id) what came later', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 200 }),
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 100, max: 3_000 }),
      fc.integer({ min: -5, max: 210 }),
      (lengths, records, bytes, after) => {
        const ring = new RecordRing({ records, bytes }, 0);
        lengths.forEach((length, at) => ring.add(record(at, length)));
        const kept = [...ring.after(-1)];
        assert.ok(kept.length <= records);
        assert.ok(ring.bytes <= bytes || kept.length === 1);
        const first = lengths.length - kept.length;
        kept.forEach(([id, { at, json }], index) => {
          assert.deepEqual([id, at, json.length], [first + index, first + index, lengths[first + index]]);
        });
        assert.deepEqual(
          ids(ring, after),
          kept.map(([id]) => id).filter((id) => id > after),
        );
      },
    ),
  );
});
