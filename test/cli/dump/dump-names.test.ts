import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  customColumns,
  customColumnsLines,
  fieldName,
  sortTables,
} from '../../../src/cli/dump/dump-fields.js';
import { dumpJsonTexts } from '../../../src/cli/dump/dump-json.js';
import type { ObservedVirtualServer } from '../../../src/cli/kernel/kernel-snapshot.js';
import { virtualServersInOrder } from '../../../src/plan/output/sort-order.js';
import { buildServiceIndex, emptyServiceIndex } from '../../../src/cli/admin/service-index.js';
import { plainPalette } from '../../../src/cli/output/palette.js';
import { tableLines } from '../../../src/cli/dump/table-text.js';
import { UsageError } from '../../../src/config/parse-flags.js';
import { real, entry, virtual } from '../../support/observed-entries.js';

const tables: readonly ObservedVirtualServer[] = virtualServersInOrder([
  entry(virtual('UDP', 'fd00:10:96::a', 53), real('fd00:10:244::3', 5353, 1)),
  entry(
    virtual('TCP', '10.96.0.9', 443),
    real('10.244.2.9', 8443, 3),
    real('10.244.1.10', 8443, 7, { weight: 0 }),
  ),
  entry(virtual('TCP', '192.0.2.99', 9000), real('192.0.2.7', 9000, 0)),
]);

const names = buildServiceIndex({
  version: 1,
  virtualServers: {
    'TCP 10.96.0.9:443': {
      service: 'shop/web',
      port: { name: 'https', port: 443 },
      frontend: 'ClusterIP',
      realServers: {
        '10.244.2.9:8443': { pod: 'shop/web-2', node: 'n2', zone: 'b', state: 'ready' },
        '10.244.1.10:8443': {
          pod: 'shop/web-1',
          node: 'n1',
          state: 'draining',
          drain: { seconds: 41.6, secondsLeft: 858.4, reason: 'gone' },
        },
      },
    },
    'UDP [fd00:10:96::a]:53': {
      service: 'kube-system/kube-dns',
      port: { name: '', port: 53 },
      frontend: 'ClusterIP',
      contested: true,
      realServers: { '[fd00:10:244::3]:5353': { pod: 'kube-system/dns-1', state: 'last-resort' } },
    },
  },
});

const options = { wide: false, statistics: false, rates: false, titles: true, palette: plainPalette, names };

test('the table shows Services, pods, nodes and draining real servers; unknown names are empty', () => {
  assert.equal(
    [...tableLines(tables, options)].join(''),
    [
      'SERVER                     SERVICE, POD             FRONTEND, NODE  SCHEDULER  WEIGHT  ACTIVE  INACTIVE  STATE',
      'TCP 10.96.0.9:443          shop/web:https           ClusterIP       rr                     10         4',
      '  → 10.244.1.10:8443         shop/web-1               n1                            0       7         2  draining 42s, 14m18s left (gone)',
      '  → 10.244.2.9:8443          shop/web-2               n2                            1       3         2',
      'TCP 192.0.2.99:9000                                                 rr                      0         2',
      '  → 192.0.2.7:9000                                                                  1       0         2',
      'UDP [fd00:10:96::a]:53     kube-system/kube-dns:53  ClusterIP       rr                      1         2  created by another program',
      '  → [fd00:10:244::3]:5353    kube-system/dns-1                                      1       1         2  terminating, last resort',
      '',
    ].join('\n'),
  );
});

test('real servers without their full weight show why, and how long', () => {
  const times = { seconds: 12, secondsLeft: 18.2 };
  const index = buildServiceIndex({
    version: 1,
    virtualServers: {
      'TCP 10.96.0.9:443': {
        service: 'shop/web',
        realServers: {
          '10.244.1.10:8443': { state: 'ready', pace: { kind: 'quarantined', percent: 0, ...times } },
          '10.244.2.9:8443': { state: 'ready', pace: { kind: 'climbing', percent: 40, ...times } },
        },
      },
    },
  });
  const known = tables.filter(({ server }) => index.get(server.key) !== undefined);
  const states = [...tableLines(known, { ...options, names: index })]
    .join('')
    .split('\n')
    .map((line) => line.slice(line.search(/STATE|quarantined|climbing|$/)));
  assert.deepEqual(states, ['STATE', '', 'quarantined, 18s left', 'climbing 40%, 18s left', '']);
});

test('an orphaned virtual server shows its Service if that is known', () => {
  const lingering = { seconds: 12.4, secondsLeft: 887.6 };
  const realServers = {
    '10.244.1.10:8443': { state: 'draining', drain: { ...lingering, reason: 'gone' } },
  } as const;
  const book = buildServiceIndex({
    version: 1,
    virtualServers: {
      'TCP 10.96.0.9:443': { service: 'shop/web', lingering, realServers },
      'TCP 192.0.2.99:9000': { lingering, realServers: {} },
    },
  });
  const known = tables.filter(({ server }) => book.get(server.key) !== undefined);
  assert.equal(
    [...tableLines(known, { ...options, names: book })].join(''),
    [
      'SERVER                SERVICE, POD  FRONTEND, NODE  SCHEDULER  WEIGHT  ACTIVE  INACTIVE  STATE',
      'TCP 10.96.0.9:443     shop/web                      rr                     10         4  orphaned 12s, 14m48s left',
      '  → 10.244.1.10:8443                                                0       7         2  draining 12s, 14m48s left (gone)',
      '  → 10.244.2.9:8443                                                 1       3         2',
      'TCP 192.0.2.99:9000                                 rr                      0         2  orphaned 12s, 14m48s left',
      '  → 192.0.2.7:9000                                                  1       0         2',
      '',
    ].join('\n'),
  );
  const json = [
    ...dumpJsonTexts(
      { virtualServers: known, vips: { address: [], route: [] } },
      { ...options, names: book },
    ),
  ].join('');
  assert.match(json, /"TCP 192\.0\.2\.99:9000": ?\{\s*"lingering": ?\{\s*"seconds": ?12\.4/);
  const columns = customColumns('custom-columns=S:service,P:servicePort,L:lingeringSeconds') ?? [];
  assert.equal(
    [...customColumnsLines(known, book, columns, false)].join(''),
    'shop/web  shop/web  12.4\n<none>    <none>    12.4\n',
  );
});

test('there is no state column if all are in normal use, and no name columns without names', () => {
  const [titles] = tableLines(tables.slice(1, 2), options);
  assert.equal(titles?.trimEnd(), 'SERVER               SCHEDULER  WEIGHT  ACTIVE  INACTIVE');
});

test('JSON has the names beside the other fields', () => {
  const texts = dumpJsonTexts(
    { virtualServers: tables.slice(0, 1), vips: { address: [], route: [] } },
    options,
  );
  const json = JSON.parse([...texts].join('')) as {
    readonly virtualServers: Readonly<Record<string, object>>;
  };
  const counts = (active: number) => ({ connections: { active, inactive: 2, persistent: 0 } });
  assert.deepEqual(json.virtualServers['TCP 10.96.0.9:443'], {
    service: 'shop/web',
    port: { name: 'https', port: 443 },
    frontend: 'ClusterIP',
    scheduler: 'rr',
    realServers: {
      '10.244.1.10:8443': {
        pod: 'shop/web-1',
        node: 'n1',
        state: 'draining',
        drain: { seconds: 41.6, secondsLeft: 858.4, reason: 'gone' },
        weight: 0,
        forwarding: 'masquerade',
        ...counts(7),
      },
      '10.244.2.9:8443': {
        pod: 'shop/web-2',
        node: 'n2',
        zone: 'b',
        state: 'ready',
        weight: 1,
        forwarding: 'masquerade',
        ...counts(3),
      },
    },
  });
});

const shown = (output: string, sortBy?: string): readonly string[] => {
  const sorted = sortBy === undefined ? tables : sortTables(tables, fieldName(sortBy), names);
  const lines = customColumnsLines(sorted, names, customColumns(output) ?? assert.fail(), true);
  return [...lines].map((line) => line.trimEnd());
};

test('custom columns: a line for each real server, or for each virtual server if no column needs real servers', () => {
  assert.deepEqual(shown('custom-columns=POD:.pod,NODE:node,ACTIVE:active,OF:servicePort'), [
    'POD                NODE    ACTIVE  OF',
    'shop/web-1         n1      7       shop/web:https',
    'shop/web-2         n2      3       shop/web:https',
    '<none>             <none>  0       <none>',
    'kube-system/dns-1  <none>  1       kube-system/kube-dns:53',
  ]);
  assert.deepEqual(shown('custom-columns=SERVER:server,ACTIVE:active'), [
    'SERVER                  ACTIVE',
    'TCP 10.96.0.9:443       10',
    'TCP 192.0.2.99:9000     0',
    'UDP [fd00:10:96::a]:53  1',
  ]);
});

test('sorting: numbers descending, texts ascending, unknown values last', () => {
  const order = (sortBy: string) => shown('custom-columns=S:realServer', sortBy).slice(1);
  assert.deepEqual(order('active'), [
    '10.244.1.10:8443',
    '10.244.2.9:8443',
    '[fd00:10:244::3]:5353',
    '192.0.2.7:9000',
  ]);
  assert.deepEqual(order('service'), [
    '[fd00:10:244::3]:5353',
    '10.244.1.10:8443',
    '10.244.2.9:8443',
    '192.0.2.7:9000',
  ]);
  assert.deepEqual(order('weight'), [
    '10.244.2.9:8443',
    '10.244.1.10:8443',
    '192.0.2.7:9000',
    '[fd00:10:244::3]:5353',
  ]);
});

test('an unknown field is reported with a suggestion and the list of fields', () => {
  assert.throws(
    () => fieldName('activ'),
    (error) =>
      error instanceof UsageError &&
      /unknown field "activ"; did you mean active\? \(fields: server, service,/.test(error.message),
  );
  assert.throws(() => customColumns('custom-columns=POD'), UsageError);
  assert.equal(customColumns('wide'), undefined);
  assert.equal(emptyServiceIndex.get('TCP 10.96.0.9:443'), undefined);
});
