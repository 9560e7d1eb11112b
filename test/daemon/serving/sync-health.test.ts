import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Family } from '../../../src/base/ip.js';
import { SyncHealth } from '../../../src/daemon/serving/sync-health.js';

const start = Date.UTC(2026, 0, 1);

/** What happens `at` so many seconds after the start, with a patience of 60 seconds. */
type Happening = readonly [at: number, what: (health: SyncHealth) => void];

const healthAfter = (happenings: readonly Happening[], troubled: readonly Family[] = []) => {
  let seconds = 0;
  const health = new SyncHealth({
    families: ['IPv4', 'IPv6'],
    hasFailed: (family) => troubled.includes(family),
    timeout: () => 60_000,
    clocks: () => ({ date: start + seconds * 1000, monotonic: 5_000 + seconds * 1000 }),
  });
  for (const [at, what] of happenings) {
    seconds = at;
    what(health);
  }
  return (now: number) => {
    seconds = now;
    return health.health();
  };
};

const started: Happening = [0, (health) => health.started()];
const queued = (at: number): Happening => [at, (health) => health.queued()];
const due = (at: number): Happening => [at, (health) => health.due()];
const began = (at: number): Happening => [at, (health) => health.began()];
const failed = (at: number): Happening => [at, (health) => health.ended({ succeeded: false })];
const succeeded = (at: number): Happening => [at, (health) => health.ended({ succeeded: true })];

interface Row {
  readonly state: string;
  readonly happened: readonly Happening[];
  /** Seconds after the start: the last moment it is healthy, and the first it is not. */
  readonly until?: readonly [number, number];
}

const rows: readonly Row[] = [
  { state: 'nothing has begun', happened: [] },
  { state: 'started, and nothing changes', happened: [started] },
  { state: 'a change is not synced', happened: [started, queued(10)], until: [69, 70] },
  {
    state: 'the oldest of several changes counts',
    happened: [started, queued(10), queued(60)],
    until: [69, 70],
  },
  { state: 'a change is synced', happened: [started, queued(10), due(10), began(11), succeeded(12)] },
  { state: 'a periodic sync hangs', happened: [started, due(30)], until: [89, 90] },
  {
    state: 'periodic syncs fail',
    happened: [started, due(30), failed(31), due(36), failed(37)],
    until: [89, 90],
  },
  { state: 'one that failed is made good', happened: [started, due(30), failed(31), due(36), succeeded(37)] },
  {
    state: 'a change before the sync began is in it',
    happened: [started, due(10), queued(11), began(12), succeeded(30)],
  },
  {
    state: 'a change during a sync is not in it',
    happened: [started, queued(10), due(10), began(11), queued(20), succeeded(30)],
    until: [79, 80],
  },
  {
    state: 'a change during a periodic sync, which takes none in',
    happened: [started, due(10), queued(20), succeeded(30)],
    until: [79, 80],
  },
];

for (const { state, happened, until } of rows)
  test(`${state}: ${until === undefined ? 'healthy for ever' : `unhealthy after ${until[1]} seconds`}`, () => {
    const healthAt = healthAfter(happened);
    if (until === undefined) return assert.equal(healthAt(1e6).healthy, true);
    assert.deepEqual([healthAt(until[0]).healthy, healthAt(until[1]).healthy], [true, false]);
  });

test('a family that is synced is healthy, beside one that is not', () => {
  const healthAt = healthAfter([started, queued(10), due(10), began(11), succeeded(12)], ['IPv6']);
  assert.deepEqual(healthAt(70), {
    healthy: false,
    families: {
      IPv4: { lastUpdated: start + 12_000, healthy: true },
      IPv6: { lastUpdated: start, healthy: false },
    },
  });
});

test('families whose syncs have not begun are absent', () => {
  assert.deepEqual(healthAfter([])(0), { healthy: true, families: {} });
});
