import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resultOf, resultText, type Measurements, type SizeRuns } from './report.js';

const runs = (
  services: number,
  floorSeconds: number,
  fullSyncSeconds: readonly number[],
  changeMilliseconds: number,
): SizeRuns => ({
  services,
  floor: fullSyncSeconds.map(() => ({ virtualServers: floorSeconds / 4, addresses: (floorSeconds * 3) / 4 })),
  sync: fullSyncSeconds.map((seconds) => ({
    fullSyncSeconds: seconds,
    fullSyncDelay: { p99: 9, longest: 30, longestCollection: 8 },
    added: { milliseconds: changeMilliseconds, messages: 1 },
    removed: { milliseconds: changeMilliseconds / 2, messages: 3 },
    resync: {
      milliseconds: 300,
      delay: { p99: 4, longest: 40, longestCollection: 20 },
      messages: services + 9,
    },
    residentMegabytes: 80,
  })),
});

const measurements = (...sizes: readonly SizeRuns[]): Measurements => ({
  kernel: '6.1',
  node: 'v20',
  endpoints: 10,
  sizes,
});

test('the median counts, against the floor of the same run', () => {
  const [size] = resultOf(measurements(runs(100, 0.5, [9, 1.5, 1], 0.3))).sizes;
  assert.equal(size?.fullSyncSeconds, 1.5);
  assert.equal(size?.fullSyncRatio, 3);
  assert.equal(size?.fullSyncLimitSeconds, 2);
});

test('each aim is met up to its limit and not beyond', () => {
  const { sizes } = resultOf(measurements(runs(100, 0.5, [2], 0.25), runs(1000, 0.5, [2.01], 0.51)));
  assert.deepEqual(
    sizes.map((size) => [size.fullSyncMet, size.changeMet]),
    [
      [true, true],
      [false, false],
    ],
  );
});

test('the table lines up and says which aim is not met', () => {
  const text = resultText(resultOf(measurements(runs(100, 0.5, [2], 0.25), runs(10_000, 0.5, [12.5], 0.4))));
  const [, , ...lines] = text.split('\n');
  const table = lines.slice(0, 3);
  assert.deepEqual(new Set(table.map((line) => line.length)).size, 1, text);
  assert.match(
    table[1] ?? '',
    /^ *100 +2\.000 s +0\.500 s +4\.0 +2\.000 s +met +9, 30 ms .* met +300 ms, 109 +4, 40 ms +80 MB$/,
  );
  assert.match(
    table[2] ?? '',
    /^ *10,000 +12\.500 s .* NOT MET +9, 30 ms +0\.40 ms, 1 +0\.20 ms, 3 +1\.6 +met +300 ms, 10009 +4, 40 ms +80 MB$/,
  );
});
