// real time: the daemon is to be killed in the midst of its work, which takes no time in virtual time.
// lab: -m 1G
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { soakReport } from '../soak/in-lab.js';

// The short form of `scripts/soak`; its seed is printed.

test('pods roll and scale to one and back while the daemon is restarted, killed and upgraded: no request fails', () => {
  const report = soakReport({ services: 60, seconds: 0, restarts: 1, kills: 10, upgrades: 2 });
  assert.deepEqual(report.troubles, [], `seed ${report.seed}`);
  const { done, paths } = report;
  assert.deepEqual(
    [done['daemon restarted'], done['daemon killed'], done['daemon upgraded']],
    [1, 10, 2],
    JSON.stringify(done),
  );
  assert.ok((done['all pods rolled'] ?? 0) > 0, JSON.stringify(done));
  assert.equal(paths.length, 12);
  for (const { name, requests } of paths) assert.ok(requests > 100, `${name}: only ${requests}`);
});
