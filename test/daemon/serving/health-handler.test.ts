import assert from 'node:assert/strict';
import { test } from 'node:test';
import { healthResponse, isEligible } from '../../../src/daemon/serving/health-handler.js';
import type { HealthState } from '../../../src/daemon/serving/sync-health.js';
import { toNode } from '../../../src/watch/objects/parse-objects.js';

const now = Date.UTC(2026, 0, 1, 12, 0, 30, 500);
const earlier = Date.UTC(2026, 0, 1, 12);
const synced = { lastUpdated: earlier, healthy: true };
const stuck = { lastUpdated: earlier - 90_000, healthy: false };

const healthy: HealthState = { healthy: true, families: { IPv4: synced, IPv6: synced } };
const oneStuck: HealthState = { healthy: false, families: { IPv4: synced, IPv6: stuck } };
const notBegun: HealthState = { healthy: true, families: {} };

const nowText = '2026-01-01T12:00:30.500Z';
const syncedText = '{"lastUpdated":"2026-01-01T12:00:00.000Z","healthy":true}';
const stuckText = '{"lastUpdated":"2026-01-01T11:58:30.000Z","healthy":false}';

/** The table of kube-proxy-ipvs §7.1. */
const rows: readonly [string, HealthState, boolean | undefined, number, string][] = [
  [
    '/healthz of a healthy proxy on an eligible node',
    healthy,
    true,
    200,
    `{"lastUpdated":"${nowText}","currentTime":"${nowText}","nodeEligible":true,"healthy":true,"status":{"IPv4":${syncedText},"IPv6":${syncedText}}}`,
  ],
  [
    '/healthz of a healthy proxy on a node that leaves',
    healthy,
    false,
    503,
    `{"lastUpdated":"2026-01-01T12:00:00.000Z","currentTime":"${nowText}","nodeEligible":false,"healthy":true,"status":{"IPv4":${syncedText},"IPv6":${syncedText}}}`,
  ],
  [
    '/healthz while a family is behind',
    oneStuck,
    true,
    503,
    `{"lastUpdated":"2026-01-01T12:00:00.000Z","currentTime":"${nowText}","nodeEligible":true,"healthy":false,"status":{"IPv4":${syncedText},"IPv6":${stuckText}}}`,
  ],
  [
    '/healthz before syncs begin, without a Node',
    notBegun,
    false,
    503,
    `{"lastUpdated":"0001-01-01T00:00:00Z","currentTime":"${nowText}","nodeEligible":false,"healthy":true}`,
  ],
  [
    '/livez of a healthy proxy',
    healthy,
    undefined,
    200,
    `{"lastUpdated":"${nowText}","currentTime":"${nowText}","healthy":true,"status":{"IPv4":${syncedText},"IPv6":${syncedText}}}`,
  ],
  [
    '/livez while a family is behind',
    oneStuck,
    undefined,
    503,
    `{"lastUpdated":"2026-01-01T12:00:00.000Z","currentTime":"${nowText}","healthy":false,"status":{"IPv4":${syncedText},"IPv6":${stuckText}}}`,
  ],
];

for (const [what, health, eligible, status, body] of rows)
  test(`${what}: ${status}`, () => {
    const answer = healthResponse(health, eligible, now);
    assert.deepEqual(answer, {
      status,
      headers: { 'Content-Type': 'application/json', 'X-Content-Type-Options': 'nosniff' },
      body,
    });
  });

test('a node is eligible while it is known and stays; where there is no cluster nobody asks for a Node', () => {
  const node = (metadata: object) => toNode({ metadata: { name: 'n', ...metadata } }).value;
  const leaving = node({ deletionTimestamp: '2026-01-01T00:00:00Z' });
  assert.deepEqual(
    [isEligible(node({}), false), isEligible(leaving, false), isEligible(leaving, true)],
    [true, false, false],
  );
  assert.deepEqual([isEligible(undefined, false), isEligible(undefined, true)], [false, true]);
});
