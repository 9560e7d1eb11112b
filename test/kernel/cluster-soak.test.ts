// lab: -m 1G -K time-travel --timeout 280
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clusterReport } from '../soak/in-lab.js';

// The short form of `scripts/soak --cluster`: some kinds once each, in an order that the seed gives.

const kinds = [
  'rollout, graceful',
  'rollout, abrupt',
  'scaled to zero and back',
  'node deleted and back',
  'configuration changed',
  'daemon restarted',
  'API server restarted',
];

test('what befalls a cluster costs no request that a proxy can help, over IPv4 and IPv6', () => {
  const report = clusterReport({ seed: 12, seconds: 1, 'follow-within': 5 }, kinds);
  assert.deepEqual(report.troubles, [], JSON.stringify(report.kinds, undefined, 1));
  const done = new Map(report.kinds.map((kind) => [kind.kind, kind]));
  for (const kind of [...kinds, 'nothing, at the end']) assert.ok((done.get(kind)?.requests ?? 0) > 0, kind);
  // The requests are there to see failures: without an endpoint they are refused.
  assert.ok((done.get('scaled to zero and back')?.refused ?? 0) > 0, JSON.stringify(report.kinds));
});
