import assert from 'node:assert/strict';
import { test } from 'node:test';
import { trendsOf, type Sample } from './samples.js';

const megabyte = 1_024 * 1_024;

const samples = (of: (index: number) => Partial<Sample>): readonly Sample[] =>
  Array.from({ length: 40 }, (_, index) => ({
    seconds: index * 60,
    residentBytes: 80 * megabyte,
    heapBytes: 20 * megabyte,
    descriptors: 27,
    handles: 5,
    timers: 8,
    threads: 11,
    ...of(index),
  }));

const growing = (of: (index: number) => Partial<Sample>): readonly string[] =>
  trendsOf(samples(of))
    .filter(({ flat }) => !flat)
    .map(({ what }) => what);

test('what stays, comes and goes, or falls is flat', () => {
  assert.deepEqual(
    growing(() => ({})),
    [],
  );
  assert.deepEqual(
    growing((index) => ({ descriptors: 27 + (index % 3), heapBytes: (20 + (index % 5)) * megabyte })),
    [],
  );
  assert.deepEqual(
    growing((index) => ({ residentBytes: (120 - index) * megabyte })),
    [],
  );
});

test('what fills in the first quarter and stays is flat', () => {
  assert.deepEqual(
    growing((index) => ({
      residentBytes: Math.min(80, 60 + 3 * index) * megabyte,
      timers: Math.min(index, 9),
    })),
    [],
  );
});

test('a slow leak is told by name, with its slope', () => {
  assert.deepEqual(
    growing((index) => ({ descriptors: 27 + Math.floor(index / 8), threads: 11 + Math.floor(index / 20) })),
    ['descriptors', 'threads'],
  );
  const heap = trendsOf(samples((index) => ({ heapBytes: (20 + index / 10) * megabyte }))).find(({ what }) =>
    what.startsWith('heap'),
  );
  assert.deepEqual(heap && { ...heap, quarters: heap.quarters.map((value) => Math.round(value * 10) / 10) }, {
    what: 'heap after GC, MB',
    quarters: [20.5, 21.5, 22.5, 23.5],
    slopePerHour: heap?.slopePerHour,
    allowed: 21.5 * 0.05,
    flat: false,
  });
  assert.equal(heap?.slopePerHour.toFixed(3), '6.000');
});
