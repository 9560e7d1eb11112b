// lab: -m 1G
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { soakReport } from '../soak/in-lab.js';

// The short form of `scripts/soak`; its seed is printed.

test('a daemon under churn, with everything around it disturbed, holds no more in the end, and the table is as rendered', () => {
  const report = soakReport({ services: 60, seconds: 40 });
  assert.deepEqual(report.troubles, [], `seed ${report.seed}`);
  const flat = new Map(report.trends.map((trend) => [trend.what, trend]));
  // So short a time says nothing of RSS and of timers.
  for (const what of ['heap after GC, MB', 'descriptors', 'active handles', 'threads'])
    assert.equal(flat.get(what)?.flat, true, `seed ${report.seed}: ${JSON.stringify(flat.get(what))}`);
});
