import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changeLine, changesBetween, watchedServers } from '../../../src/cli/dump/dump-watch.js';
import { emptyServiceIndex } from '../../../src/cli/admin/service-index.js';
import { real, entry, virtual } from '../../support/observed-entries.js';

const at = new Date(2026, 0, 2, 3, 4, 5);
const lines = (...[before, now]: readonly Parameters<typeof watchedServers>[0][]): readonly string[] =>
  changesBetween(
    watchedServers(before ?? [], { names: emptyServiceIndex }),
    watchedServers(now ?? [], { names: emptyServiceIndex }),
  ).map((change) => changeLine(change, at).trimEnd());

test('what came, changed and went is told; what flows is no change', () => {
  const web = virtual('TCP', '10.96.0.9', 443);
  const before = [entry(web, real('10.244.1.1', 80, 1), real('10.244.1.2', 80, 2))];
  assert.deepEqual(lines(before, [entry(web, real('10.244.1.1', 80, 7), real('10.244.1.2', 80, 8))]), []);
  assert.deepEqual(
    lines(before, [
      entry(web, real('10.244.1.1', 80, 1, { weight: 0 }), real('10.244.1.3', 80, 0)),
      entry(virtual('UDP', 'fd00::a', 53, { scheduler: 'mh', flags: ['mh-port'] })),
    ]),
    [
      '03:04:05  changed  TCP 10.96.0.9:443 → 10.244.1.1:80  weight 0  forwarding masquerade',
      '03:04:05  added    TCP 10.96.0.9:443 → 10.244.1.3:80  weight 1  forwarding masquerade',
      '03:04:05  added    UDP [fd00::a]:53  scheduler mh  flags mh-port',
      '03:04:05  removed  TCP 10.96.0.9:443 → 10.244.1.2:80  weight 1  forwarding masquerade',
    ],
  );
});
