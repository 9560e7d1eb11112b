import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IdleRun } from './idle-report.js';
import { scaleGoals, scaleText, type Goal, type Scale, type ScaleSize } from './scale-report.js';

const delay = { p99: 5, longest: 12, longestCollection: 8 };

const size = (
  services: number,
  endpoints: number,
  fullSyncSeconds: number,
  milliseconds: number,
): ScaleSize => ({
  services,
  endpoints,
  floor: [{ virtualServers: 0.5, addresses: 0.5 }],
  sync: [
    {
      fullSyncSeconds,
      fullSyncDelay: delay,
      added: { milliseconds, messages: 1 },
      removed: { milliseconds: milliseconds / 2, messages: 3 },
      resync: { milliseconds: 300, messages: 9, delay },
      residentMegabytes: 150,
    },
  ],
});

const idle: IdleRun = {
  mode: 'file',
  periods: [{ processorMilliseconds: 100, messages: 200 }],
  fileMilliseconds: [50],
  delay,
  scrapes: delay,
  residentMegabytes: 150,
};

const scale: Scale = {
  lab: {
    kernel: '6.1',
    node: 'v26',
    sizes: [
      size(100, 10, 0.1, 0.5),
      size(1_000, 10, 0.25, 9),
      size(10_000, 10, 1.9, 0.5),
      size(50_000, 5, 3.4, 0.8),
    ],
    routes: { services: 50_000, endpoints: 5, floor: [{ virtualServers: 1, addresses: 0 }], sync: [] },
    idle,
    start: { seconds: 5, peakMegabytes: 200, residentMegabytes: 150 },
    dump: [
      { name: 'ipvsadm -Sn', milliseconds: 1_000, ratio: 1 },
      { name: 'kube-ipvs version', milliseconds: 400, ratio: 0.4 },
      { name: 'dump -o ipvsadm', milliseconds: 2_000, ratio: 2 },
    ],
  },
  list: { cpuMilliseconds: 500, rssMegabytes: 101 },
  draining: { draining: 5_000, ratio: 1.1 },
};

const goal = (start: string): Goal => {
  const found = scaleGoals(scale).find(({ what }) => what.startsWith(start));
  assert.ok(found, start);
  return found;
};

const rows: readonly [start: string, measured: number, limit: number, met: boolean][] = [
  ['full sync, 1,000 × 10', 0.25, 0.25, true],
  ['full sync, 10,000 × 10 (floor 1.00 s)', 1.9, 1.8, false],
  ['full sync, 50,000 × 5 (floor 1.00 s)', 3.4, 3.5, true],
  ['from exec', 5, 5, true],
  ['list and decode, 10,000 × 10, processor', 0.5, 0.6, true],
  ['list and decode, 10,000 × 10, RSS', 101, 100, false],
  ['idle sync period, processor', 0.1, 0.15, true],
  ['idle sync period, longest', 12, 10, false],
  ['one change, 50,000 × 5', 0.8, 1, true],
  ['one change, the slowest size to the smallest', 1.6, 1.2, false],
  ['one change while 5,000', 1.1, 1.2, true],
  ['RSS after the full sync, 10,000', 150, 120, false],
  ['RSS after the full sync, 50,000', 150, 300, true],
  ['dump', 1.6, 1.5, false],
];

for (const [start, measured, limit, met] of rows)
  test(`${start}: ${met ? 'met' : 'missed'}`, () => {
    const found = goal(start);
    assert.deepEqual([found.measured, found.limit, found.met], [measured, limit, met]);
  });

test('what was not measured is missed', () => {
  assert.equal(goal('full sync, 50,000 × 5, VIPs as routes').met, false);
});

test('the table has a line for each goal', () => {
  const lines = scaleText(scale).trimEnd().split('\n');
  assert.equal(lines.length, scaleGoals(scale).length + 3);
  assert.match(lines.at(-1) ?? '', /^dump of 10,000 Services, to ipvsadm +1\.60 +1\.50 +missed$/);
});
