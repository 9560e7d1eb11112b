import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatYaml, parseYaml } from '../../../src/base/yaml.js';
import { dumpJsonTexts, dumpYamlTexts, type DumpJsonOptions } from '../../../src/cli/dump/dump-json.js';
import type { KernelSnapshot, ObservedVirtualServer } from '../../../src/cli/kernel/kernel-snapshot.js';
import { virtualServersInOrder } from '../../../src/plan/output/sort-order.js';
import { plainPalette, paletteFor } from '../../../src/cli/output/palette.js';
import { formatBytes, tableLines } from '../../../src/cli/dump/table-text.js';
import { virtualServerKey, type VirtualServerObservation } from '../../../src/model/virtual-server.js';
import { ip, real, entry, virtual } from '../../support/observed-entries.js';

const mark: VirtualServerObservation = {
  ...virtual('TCP', '0.0.0.0', 0),
  key: virtualServerKey({ by: 'fwmark', fwmark: 5, family: 'IPv6' }),
  identity: { by: 'fwmark', fwmark: 5, family: 'IPv6' },
};

const tables: readonly ObservedVirtualServer[] = virtualServersInOrder([
  entry(mark, real('fd00::9', 0, 0)),
  entry(
    virtual('UDP', 'fd00:10:96::a', 53, { scheduler: 'mh', flags: ['mh-port'] }),
    real('fd00:10:244::17', 5353, 1),
    real('fd00:10:244::3', 5353, 0, { weight: 0 }),
  ),
  entry(virtual('TCP', '10.96.0.10', 53)),
  entry(
    virtual('TCP', '10.96.0.9', 443, { persistence: { seconds: 10800, prefixLength: 32 } }),
    real('10.200.0.10', 6443, 3),
    real('10.200.0.9', 6443, 40, { upperThreshold: 100, lowerThreshold: 80 }),
  ),
]);

const tableText = (...given: Parameters<typeof tableLines>): string => [...tableLines(...given)].join('');
const dumpJson = (kernel: KernelSnapshot, options: DumpJsonOptions): unknown =>
  JSON.parse([...dumpJsonTexts(kernel, options)].join(''));

const plain = { wide: false, statistics: false, rates: false, titles: true, palette: plainPalette };

test('the table lines up over IPv4, IPv6 and fwmarks, in the order of addresses', () => {
  assert.equal(
    tableText(tables, plain),
    [
      'SERVER                      SCHEDULER             WEIGHT  ACTIVE  INACTIVE',
      'TCP 10.96.0.9:443           rr persistent 10800s              43         4',
      '  → 10.200.0.9:6443                                    1      40         2',
      '  → 10.200.0.10:6443                                   1       3         2',
      'TCP 10.96.0.10:53           rr                                 0         0',
      '  no real servers: connections are refused',
      'UDP [fd00:10:96::a]:53      mh mh-port                         1         4',
      '  → [fd00:10:244::3]:5353                              0       0         2',
      '  → [fd00:10:244::17]:5353                             1       1         2',
      'FWM 5 IPv6                  rr                                 0         2',
      '  → [fd00::9]:0                                        1       0         2',
      '',
    ].join('\n'),
  );
});

test('wide has every column', () => {
  assert.equal(
    tableText(tables.slice(0, 1), { ...plain, wide: true }),
    [
      'SERVER                SCHEDULER             FORWARDING  WEIGHT  ACTIVE  INACTIVE  PERSISTENT  LIMITS',
      'TCP 10.96.0.9:443     rr persistent 10800s                          43         4           0',
      '  → 10.200.0.9:6443                         masquerade       1      40         2           0  80-100',
      '  → 10.200.0.10:6443                        masquerade       1       3         2           0',
      '',
    ].join('\n'),
  );
});

test('totals and rates are added on demand, and titles left out', () => {
  assert.equal(
    tableText(tables.slice(0, 1), { ...plain, statistics: true, titles: false }),
    [
      'TCP 10.96.0.9:443     rr persistent 10800s     43  4  12  120  96  4.0 KiB  12.0 KiB',
      '  → 10.200.0.9:6443                         1  40  2   6   60  48  2.0 KiB   6.0 KiB',
      '  → 10.200.0.10:6443                        1   3  2   6   60  48  2.0 KiB   6.0 KiB',
      '',
    ].join('\n'),
  );
  const rates = tableText(tables.slice(0, 1), { ...plain, rates: true });
  assert.match(rates, /CONNECTIONS\/S  PACKETS\/S IN  PACKETS\/S OUT  BYTES\/S IN  BYTES\/S OUT\n/);
  assert.match(rates, / 5 +50 +40 +2\.0 KiB +6\.0 KiB\n/);
});

test('bytes have three digits at most', () => {
  assert.deepEqual([0n, 1023n, 1024n, 1536n, 104_857_600n, 5n * 1024n ** 4n].map(formatBytes), [
    '0 B',
    '1023 B',
    '1.0 KiB',
    '1.5 KiB',
    '100 MiB',
    '5.0 TiB',
  ]);
});

test('colours are for terminals, and NO_COLOR turns them off, FORCE_COLOR on, and --color is the last word', () => {
  assert.equal(paletteFor({ isTTY: true }, {}).strong('x'), '\u001b[1mx\u001b[22m');
  for (const palette of [
    paletteFor({}, {}),
    paletteFor({ isTTY: true }, { NO_COLOR: '1' }),
    paletteFor({ isTTY: true }, { TERM: 'dumb' }),
    paletteFor({ isTTY: true }, { FORCE_COLOR: '0' }),
    paletteFor({ isTTY: true }, { FORCE_COLOR: '1' }, 'never'),
  ])
    assert.equal(palette.strong('x'), 'x');
  for (const palette of [
    paletteFor({}, { FORCE_COLOR: '1', NO_COLOR: '1' }),
    paletteFor({ isTTY: true }, { NO_COLOR: '' }),
    paletteFor({}, { NO_COLOR: '1', TERM: 'dumb' }, 'always'),
  ])
    assert.equal(palette.strong('x'), '\u001b[1mx\u001b[22m');
});

test('colours do not change where columns stand', () => {
  const coloured = tableText(tables, { ...plain, palette: paletteFor({ isTTY: true }, {}) });
  assert.ok(coloured.includes('\u001b[33m0\u001b[39m'), 'weight 0 stands out');
  assert.ok(coloured.includes('\u001b[31m  no real servers'));
  // oxlint-disable-next-line no-control-regex
  assert.equal(coloured.replaceAll(/\u001b\[\d+m/g, ''), tableText(tables, plain));
});

test('JSON has the contract, connections always, counters on demand; YAML says the same', () => {
  const kernel = {
    virtualServers: tables.slice(0, 1),
    vips: { address: [ip('fd00:10:96::a'), ip('10.96.0.9')], route: [] },
  };
  const json = dumpJson(kernel, { statistics: false, rates: false });
  assert.deepEqual(json, {
    virtualServers: {
      'TCP 10.96.0.9:443': {
        scheduler: 'rr',
        persistent: 10800,
        realServers: {
          '10.200.0.10:6443': {
            weight: 1,
            forwarding: 'masquerade',
            connections: { active: 3, inactive: 2, persistent: 0 },
          },
          '10.200.0.9:6443': {
            weight: 1,
            forwarding: 'masquerade',
            upperThreshold: 100,
            lowerThreshold: 80,
            connections: { active: 40, inactive: 2, persistent: 0 },
          },
        },
      },
    },
    dummyAddresses: ['10.96.0.9/32', 'fd00:10:96::a/128'],
  });
  const full = JSON.stringify(dumpJson(kernel, { statistics: true, rates: true }));
  assert.match(
    full,
    /"statistics":\{"connections":12,"inPackets":120,"outPackets":96,"inBytes":4096,"outBytes":12288\}/,
  );
  assert.match(
    full,
    /"perSecond":\{"connections":5,"inPackets":50,"outPackets":40,"inBytes":2048,"outBytes":6144\}/,
  );
});

test('JSON of many is indented as JSON.stringify does, and YAML as formatYaml does', () => {
  const options = { statistics: true, rates: false };
  for (const shown of [tables, []]) {
    const kernel = {
      virtualServers: shown,
      vips: { address: [ip('fd00:10:96::a'), ip('10.96.0.9')], route: [] },
    };
    const json = dumpJson(kernel, options);
    assert.equal([...dumpJsonTexts(kernel, options)].join(''), `${JSON.stringify(json, undefined, 2)}\n`);
    const yaml = [...dumpYamlTexts(kernel, { ...options, formatYaml })].join('');
    assert.equal(yaml, formatYaml(json));
    assert.deepEqual(parseYaml(yaml)[0]?.value, json);
  }
});
