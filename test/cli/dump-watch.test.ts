import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changeLine, changesBetween, watchedServers } from '../../src/cli/dump-watch.js';
import { noNames } from '../../src/cli/names-book.js';
import { real, table, virtual } from '../support/observed-tables.js';

const at = new Date(2026, 0, 2, 3, 4, 5);
const lines = (...[before, now]: readonly Parameters<typeof watchedServers>[0][]): readonly string[] =>
  changesBetween(
    watchedServers(before ?? [], { names: noNames }),
    watchedServers(now ?? [], { names: noNames }),
  ).map((change) => changeLine(change, at).trimEnd());

test('what came, changed and went is told; what flows is no change', () => {
  const web = virtual('TCP', '10.96.0.9', 443);
  const before = [table(web, real('10.244.1.1', 80, 1), real('10.244.1.2', 80, 2))];
  assert.deepEqual(lines(before, [table(web, real('10.244.1.1', 80, 7), real('10.244.1.2', 80, 8))]), []);
  assert.deepEqual(
    lines(before, [
      table(web, real('10.244.1.1', 80, 1, { weight: 0 }), real('10.244.1.3', 80, 0)),
      table(virtual('UDP', 'fd00::a', 53, { scheduler: 'mh', flags: ['mh-port'] })),
    ]),
    [
      '03:04:05  changed  TCP 10.96.0.9:443 → 10.244.1.1:80  weight 0  forwarding masquerade',
      '03:04:05  added    TCP 10.96.0.9:443 → 10.244.1.3:80  weight 1  forwarding masquerade',
      '03:04:05  added    UDP [fd00::a]:53  scheduler mh  flags mh-port',
      '03:04:05  removed  TCP 10.96.0.9:443 → 10.244.1.2:80  weight 1  forwarding masquerade',
    ],
  );
});
