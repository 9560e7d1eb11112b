import assert from 'node:assert/strict';
import { test } from 'node:test';
import { batchText } from '../../../src/cli/top/batch.js';
import { loadsBetween, noLoad, type Sample } from '../../../src/cli/top/rates.js';
import { rowsIn, type NameLookup } from '../../../src/cli/top/rows.js';
import {
  drawScreen,
  fitWidth,
  shortNumber,
  shownRows,
  type ScreenFacts,
} from '../../../src/cli/top/screen.js';
import { afterKey, initialState, type TopState } from '../../../src/cli/top/state.js';
import { real, statistics, entry, virtual } from '../../support/observed-entries.js';

const before: Sample = {
  at: 1_000,
  tables: [
    entry(
      virtual('TCP', '10.96.0.9', 443, { statistics: statistics(100n, 10_000n) }),
      real('10.200.0.9', 6443, 40, { statistics: statistics(60n, 6_000n) }),
      real('10.200.0.10', 6443, 3, { statistics: statistics(40n, 4_000n), weight: 0 }),
    ),
    entry(
      virtual('TCP', '192.0.2.1', 30_443, { statistics: statistics(10n, 1_000n) }),
      real('10.200.0.9', 6443, 1, { statistics: statistics(10n, 1_000n) }),
    ),
    entry(virtual('UDP', 'fd00:10:96::a', 53, { statistics: statistics(500n, 50_000n) })),
  ],
};

const now: Sample = {
  at: 3_000,
  tables: [
    entry(
      virtual('TCP', '10.96.0.9', 443, { statistics: statistics(120n, 20_000n) }),
      real('10.200.0.9', 6443, 45, { statistics: statistics(80n, 16_000n) }),
      real('10.200.0.10', 6443, 3, { statistics: statistics(40n, 4_000n), weight: 0 }),
    ),
    entry(
      virtual('TCP', '192.0.2.1', 30_443, { statistics: statistics(14n, 3_000n) }),
      real('10.200.0.9', 6443, 1, { statistics: statistics(14n, 3_000n) }),
    ),
    // Its counters decreased: they were reset.
    entry(
      virtual('UDP', 'fd00:10:96::a', 53, { statistics: statistics(2n, 200n) }),
      real('fd00:10:244::17', 5353, 0, { statistics: statistics(2n, 200n) }),
    ),
  ],
};

const services: Readonly<Record<string, string>> = {
  'TCP 10.96.0.9:443': 'shop/cart',
  'TCP 192.0.2.1:30443': 'shop/cart',
  'UDP [fd00:10:96::a]:53': 'kube-system/kube-dns',
};

const names: NameLookup = {
  serviceOf: (key) => services[key],
  frontendOf: (key) => (key.includes('30443') ? 'NodePort https' : 'ClusterIP'),
  podOf: (_, key) => (key === '10.200.0.9:6443' ? 'shop/cart-7d9-x2x' : undefined),
  paceOf: () => undefined,
};

const noNames: NameLookup = {
  serviceOf: () => undefined,
  frontendOf: () => undefined,
  podOf: () => undefined,
  paceOf: () => undefined,
};
const loads = loadsBetween(before, now);
const facts: ScreenFacts = { node: 'n1', time: '10:15:03', interval: '2s', note: undefined };

const screen = (state: TopState, size = { columns: 80, rows: 12 }, named = names): readonly string[] =>
  drawScreen(state, loads, shownRows(state, loads, named), facts, size).map(({ text }) => text);

/** Keys as a user presses them: names of node:readline, or what is typed. */
const press = (state: TopState, ...keys: readonly string[]): TopState | undefined =>
  keys.reduce<TopState | undefined>(
    (reached, name) =>
      reached === undefined
        ? undefined
        : afterKey(
            reached,
            { name, text: name.length === 1 ? name : undefined, control: false },
            shownRows(reached, loads, names),
            10,
          ),
    state,
  );

const pressed = (...keys: readonly string[]): TopState => {
  const state = press(initialState(), ...keys);
  assert.ok(state !== undefined);
  return state;
};

test('a quarantined real server is not draining', () => {
  const [, , dns] = loads;
  assert.ok(dns !== undefined);
  const closed = { ...dns, realServers: dns.realServers.map((server) => ({ ...server, weight: 0 })) };
  const rowsWith = (paceOf: NameLookup['paceOf']) =>
    rowsIn({ grouping: 'virtual', virtual: dns.key }, [closed], { ...noNames, paceOf }).map(
      ({ note, isDraining }) => [note, isDraining],
    );
  assert.deepEqual(
    rowsWith(() => undefined),
    [['weight 0', true]],
  );
  assert.deepEqual(
    rowsWith(() => 'quarantined'),
    [['weight 0 quarantined', false]],
  );
});

test('rates are differences of totals by time; what is new or was set to zero has none', () => {
  assert.deepEqual(
    loads.map(({ key, load }) => [
      key,
      load.connectionsPerSecond,
      load.inBytesPerSecond,
      load.activeConnections,
    ]),
    [
      ['TCP 10.96.0.9:443', 10, 5_000, 48],
      ['TCP 192.0.2.1:30443', 2, 1_000, 1],
      ['UDP [fd00:10:96::a]:53', 0, 0, 0],
    ],
  );
  assert.deepEqual(
    loadsBetween(undefined, now).map(({ load }) => [load.connectionsPerSecond, load.activeConnections]),
    [
      [0, 48],
      [0, 1],
      [0, 0],
    ],
  );
});

test('80 columns: Services with the sums of their virtual servers, the busiest first', () => {
  assert.deepEqual(screen(initialState()), [
    'kube-ipvs top  n1  10:15:03  every 2s',
    '3 virtual, 4 real  12 conn/s  49 active  8 inactive  in 6.0k B/s  out 18.0k B/s',
    'Services',
    ' SERVICE                              ▼CONN/S  ACTIVE  INACTIVE  IN B/S  OUT B/S',
    '>shop/cart  2 virtual                      12      49         6    6.0k    18.0k',
    ' kube-system/kube-dns  1 virtual            0       0         2       0        0',
    '',
    '',
    '',
    '',
    '',
    'q quit  ↑↓ move  ⏎ open  ← back  tab view  s sort  r reverse  / filter  ? help',
  ]);
});

test('every line fits every screen, however small', () => {
  for (const columns of [20, 40, 80, 110, 200])
    for (const rows of [3, 6, 24, 60])
      for (const state of [initialState(), pressed('?'), pressed('tab', 'return'), pressed('/', 'x')]) {
        const lines = screen(state, { columns, rows });
        assert.equal(lines.length, rows);
        for (const line of lines) assert.ok(line.length <= columns, `${columns}: ${line}`);
      }
});

test('110 columns have room for packets', () => {
  assert.match(
    screen(initialState(), { columns: 110, rows: 8 })[3] ?? '',
    /INACTIVE +IN P\/S +OUT P\/S +IN B\/S/,
  );
});

test('Enter goes into a Service, a virtual server; ← comes back to the row', () => {
  assert.deepEqual(screen(pressed('return')).slice(2, 6), [
    'Services › shop/cart',
    ' VIRTUAL SERVER                       ▼CONN/S  ACTIVE  INACTIVE  IN B/S  OUT B/S',
    '>TCP 10.96.0.9:443  ClusterIP rr 2 r…      10      48         4    5.0k    15.0k',
    ' TCP 192.0.2.1:30443  NodePort https…       2       1         2    1.0k     3.0k',
  ]);
  assert.deepEqual(screen(pressed('return', 'return')).slice(2, 6), [
    'Services › shop/cart › TCP 10.96.0.9:443',
    ' REAL SERVER                          ▼CONN/S  ACTIVE  INACTIVE  IN B/S  OUT B/S',
    '>10.200.0.9:6443  weight 1 shop/cart…      10      45         2    5.0k    15.0k',
    ' 10.200.0.10:6443 (draining)  weight…       0       3         2       0        0',
  ]);
  const back = pressed('return', 'down', 'return', 'left');
  assert.equal(back.selected, 'TCP 192.0.2.1:30443');
  assert.deepEqual(pressed('return', 'return', 'left', 'left').view, { grouping: 'service' });
  assert.deepEqual(pressed('return', 'return', 'return').view, pressed('return', 'return').view);
});

test('Tab shows real servers of all virtual servers together; Enter those where one stands', () => {
  assert.deepEqual(screen(pressed('tab', 'tab')).slice(2, 7), [
    'real servers',
    ' REAL SERVER                          ▼CONN/S  ACTIVE  INACTIVE  IN B/S  OUT B/S',
    '>10.200.0.9:6443  shop/cart-7d9-x2x …      12      46         4    6.0k    18.0k',
    ' [fd00:10:244::17]:5353  in 1 virtual       0       0         2       0        0',
    ' 10.200.0.10:6443 (draining)  in 1 v…       0       3         2       0        0',
  ]);
  const inside = screen(pressed('tab', 'tab', 'return'));
  assert.equal(inside[2], 'real servers › 10.200.0.9:6443');
  assert.match(inside[4] ?? '', /^>TCP 10\.96\.0\.9:443 .* 10 +45 /);
  assert.match(inside[5] ?? '', /^ TCP 192\.0\.2\.1:30443 .* 2 +1 /);
});

test('a real server has the name of its pod, whichever of its virtual servers comes first', () => {
  const server = {
    key: '10.244.1.5:8080',
    weight: 1,
    load: noLoad,
  };
  const tables = ['TCP 10.96.0.1:80', 'TCP 10.96.0.2:80'].map((key) => ({
    key,
    scheduler: 'rr',
    load: noLoad,
    realServers: [server],
  }));
  const named = {
    ...noNames,
    podOf: (virtualServer: string) => (virtualServer === 'TCP 10.96.0.2:80' ? 'shop/web-1' : undefined),
  };
  for (const all of [tables, tables.toReversed()])
    assert.deepEqual(
      rowsIn({ grouping: 'real' }, all, named).map(({ note }) => note),
      ['shop/web-1 in 2 virtual'],
    );
});

test('a real server of weight 0 drains, unless an endpoint of that weight is behind it', () => {
  const server = { key: '10.244.0.1:8080', weight: 0, load: noLoad };
  const tables = [{ key: 'TCP 10.96.0.1:80', scheduler: 'rr', load: noLoad, realServers: [server] }];
  const drains = (names: typeof noNames): readonly boolean[] =>
    (['real', 'virtual'] as const).flatMap((grouping) =>
      rowsIn({ grouping }, tables, names).map(({ isDraining }) => isDraining),
    );
  assert.deepEqual(drains(noNames), [true, true]);
  assert.deepEqual(drains({ ...noNames, isUsed: () => false }), [true, true]);
  assert.deepEqual(drains({ ...noNames, isUsed: () => true }), [false, false]);
});

test('s sorts by the next column, r turns the order round, and the mark stays on its row', () => {
  const byActive = pressed('down', 's');
  assert.equal(byActive.sort, 'active');
  assert.equal(byActive.selected, 'kube-system/kube-dns');
  const turned = pressed('r');
  assert.deepEqual(
    screen(turned)
      .slice(3, 6)
      .map((line) => line.slice(0, 22)),
    [' SERVICE              ', '>kube-system/kube-dns ', ' shop/cart  2 virtual '],
  );
  const byName = initialState({ sort: 'name' });
  assert.match(screen(byName)[3] ?? '', /^ ▲SERVICE/);
  assert.match(screen(byName)[4] ?? '', /^>kube-system\/kube-dns/);
});

test('/ filters by a text that is typed, letters that are keys included, until Esc', () => {
  const typing = pressed('/', 'q', 's');
  assert.equal(screen(typing)[2], 'Services  / qs_');
  assert.equal(screen(typing)[3], ' no matching rows');
  const found = pressed('/', 'D', 'N', 'x', 'backspace', 'return');
  assert.equal(screen(found)[2], 'Services  / DN');
  assert.match(screen(found)[4] ?? '', /kube-dns/);
  assert.equal(screen(found)[5], '');
  assert.equal(pressed('/', 'd', 'return', 'escape').filter, '');
});

test('q and Ctrl-C end it, also Ctrl-C while typing; other keys do nothing', () => {
  assert.equal(press(initialState(), 'q'), undefined);
  const typing = pressed('/');
  assert.equal(afterKey(typing, { name: 'c', text: '\u0003', control: true }, [], 10), undefined);
  assert.deepEqual(pressed('f5', 'x'), initialState());
});

test('help covers the rows until the next key', () => {
  assert.match(
    screen(pressed('?'), { columns: 80, rows: 24 }).join('\n'),
    /CONN\/S, B\/S and P\/S are rates/,
  );
  assert.equal(pressed('?', 'q').showsHelp, false);
});

test('without names a virtual server stands for its Service', () => {
  assert.deepEqual(
    screen(initialState(), { columns: 80, rows: 12 }, noNames)
      .slice(4, 7)
      .map((line) => line.slice(0, 24)),
    ['>TCP 10.96.0.9:443  1 vi', ' TCP 192.0.2.1:30443  1 ', ' UDP [fd00:10:96::a]:53 '],
  );
});

test('the marked row is always on the screen', () => {
  const many = Array.from({ length: 100 }, (_, index) =>
    entry(virtual('TCP', `10.96.1.${index}`, 80, { statistics: undefined })),
  );
  const all = loadsBetween(undefined, { at: 0, tables: many });
  let state: TopState = initialState({ grouping: 'virtual', sort: 'name' });
  const size = { columns: 80, rows: 10 };
  for (let step = 0; step < 100; step += 1) {
    const rows = shownRows(state, all, noNames);
    const marked = drawScreen(state, all, rows, facts, size).filter(({ style }) => style === 'marked');
    assert.deepEqual(
      marked.map(({ text }) => text.split('  ')[0]),
      [`>TCP 10.96.1.${step}:80`],
    );
    state = afterKey(state, { name: 'down', text: undefined, control: false }, rows, 5) ?? state;
  }
});

test('numbers are short and say what they are', () => {
  assert.deepEqual(
    [0, 0.5, 7, 99.94, 99.95, 999.4, 999.5, 1_000, 9_940, 123_456, 99_950_000, 1.5e15].map(shortNumber),
    ['0', '0.5', '7', '99.9', '100', '999', '1.0k', '1.0k', '9.9k', '123k', '100M', '1.5P'],
  );
  assert.deepEqual([fitWidth('abc', 5), fitWidth('abcdef', 5), fitWidth('abc', 0)], ['abc  ', 'abcd…', '']);
  assert.deepEqual(
    [fitWidth('東京', 5), fitWidth('東京都', 5), fitWidth('東京都', 4)],
    ['東京 ', '東京…', '東… '],
  );
});

test('--batch prints a table, or an object on a line', () => {
  const rows = shownRows(initialState(), loads, names);
  assert.equal(
    batchText(rows, { output: 'table', grouping: 'service' }),
    [
      'SERVICE               CONN/S  ACTIVE  INACTIVE  IN P/S  OUT P/S  IN B/S  OUT B/S  NOTE',
      'shop/cart                 12      49         6     120       96    6000    18000  2 virtual',
      'kube-system/kube-dns       0       0         2       0        0       0        0  1 virtual',
      '',
      '',
    ].join('\n'),
  );
  assert.deepEqual(JSON.parse(batchText(rows.slice(1), { output: 'json', grouping: 'service' })), {
    by: 'service',
    rows: [
      {
        name: 'kube-system/kube-dns',
        note: '1 virtual',
        isDraining: false,
        connectionsPerSecond: 0,
        inPacketsPerSecond: 0,
        outPacketsPerSecond: 0,
        inBytesPerSecond: 0,
        outBytesPerSecond: 0,
        activeConnections: 0,
        inactiveConnections: 2,
      },
    ],
  });
});
