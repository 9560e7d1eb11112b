import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fleetMembers, type DaemonPod } from '../../src/fleet/daemon-pods.js';
import { DoctorFindings } from '../../src/fleet/doctor-findings.js';
import { differenceLines } from '../../src/fleet/node-differences.js';
import { agreementText, NodeGroups } from '../../src/fleet/node-groups.js';
import { byTrouble, nodeStatus, statusWithoutAnswer } from '../../src/fleet/node-status.js';
import { tableDifferences, tableLines } from '../../src/fleet/table-groups.js';
import { sumTraffic } from '../../src/fleet/traffic.js';
import { statusAnswer } from '../support/simulated-fleet.js';

test('the largest group is first, names are sorted as numbers, and only the first content of a group is made', () => {
  const groups = new NodeGroups<string>();
  let made = 0;
  const add = (node: string, key: string): void =>
    groups.add(node, key, () => {
      made += 1;
      return key;
    });
  for (const [node, key] of [
    ['node-9', 'b'],
    ['node-10', 'a'],
    ['node-2', 'a'],
    ['node-1', 'c'],
  ] as const)
    add(node, key);
  assert.deepEqual(groups.all(), [
    { nodes: ['node-2', 'node-10'], content: 'a' },
    { nodes: ['node-1'], content: 'c' },
    { nodes: ['node-9'], content: 'b' },
  ]);
  assert.equal(made, 3);
});

test('agreement is told with numbers', () => {
  assert.equal(agreementText(1, 0), '1 node alike');
  assert.equal(agreementText(397, 3), '397 nodes alike, 3 differ');
  assert.equal(agreementText(399, 1), '399 nodes alike, 1 differs');
});

const pod = (name: string, node: string, changes: Partial<DaemonPod> = {}): DaemonPod => ({
  name,
  node,
  createdAt: '2026-11-30T10:00:00Z',
  isTerminating: false,
  obstacle: undefined,
  ...changes,
});

test('of two pods on a node, the one that can answer is asked', () => {
  const cases: readonly (readonly [readonly DaemonPod[], string])[] = [
    [[pod('old', 'n', { isTerminating: true }), pod('new', 'n')], 'new'],
    [[pod('old', 'n', { isTerminating: true }), pod('new', 'n', { obstacle: 'Pending' })], 'old'],
    [[pod('old', 'n'), pod('new', 'n', { createdAt: '2026-11-30T11:00:00Z' })], 'new'],
    [[pod('new', 'n', { createdAt: '2026-11-30T11:00:00Z' }), pod('old', 'n')], 'new'],
  ];
  for (const [pods, expected] of cases)
    assert.deepEqual(fleetMembers(pods, undefined).targets, [{ node: 'n', pod: expected }]);
});

test('nodes without a pod and with one that cannot answer are told apart; pods without a node are left out', () => {
  const pods = [pod('a', 'node-10'), pod('b', 'node-9', { obstacle: 'ImagePullBackOff' }), pod('c', '')];
  assert.deepEqual(fleetMembers(pods, ['node-10', 'node-11', 'node-9']), {
    targets: [{ node: 'node-10', pod: 'a' }],
    unreachable: [{ node: 'node-9', reason: 'pod b: ImagePullBackOff' }],
    withoutPod: ['node-11'],
  });
  assert.deepEqual(fleetMembers(pods, ['node-9']).targets, []);
});

const lastSync = statusAnswer('n').lastSync;
assert.ok(lastSync !== undefined);

test('nodes are sorted by trouble: no answer, not healthy, problems, not in sync, drift, name', () => {
  const rows = [
    nodeStatus('node-10', statusAnswer('node-10'), []),
    nodeStatus('node-2', statusAnswer('node-2'), []),
    nodeStatus(
      'drifting',
      statusAnswer('drifting', { drift: [{ object: 'address', drift: 'missing', count: 3 }] }),
      [],
    ),
    nodeStatus(
      'refused',
      statusAnswer('refused', {
        refused: [{ what: 'TCP 10.96.0.1:80', reason: 'EPERM', seconds: 3 }],
        refusedCount: 1,
      }),
      [],
    ),
    nodeStatus('unsynced', statusAnswer('unsynced', { lastSync: { ...lastSync, succeeded: false } }), []),
    nodeStatus('ill', statusAnswer('ill', { healthy: false }), ['the packet rules are not in force']),
    statusWithoutAnswer({ node: 'silent', reason: 'no answer within 30 s' }),
  ].toSorted(byTrouble);
  assert.deepEqual(
    rows.map(({ node, state, inSync, drift, lastError }) => [node, state, inSync, drift, lastError]),
    [
      ['silent', 'no-answer', undefined, undefined, 'no answer within 30 s'],
      ['ill', 'not-healthy', true, 0, 'the packet rules are not in force'],
      ['refused', 'problems', false, 0, 'TCP 10.96.0.1:80: EPERM'],
      ['unsynced', 'healthy', false, 0, ''],
      ['drifting', 'healthy', true, 3, ''],
      ['node-2', 'healthy', true, 0, ''],
      ['node-10', 'healthy', true, 0, ''],
    ],
  );
});

test('checks are grouped by what they say, failures first, then what most nodes have', () => {
  const findings = new DoctorFindings();
  const check = (id: string, result: 'pass' | 'warn' | 'fail', seen: string) => ({
    id,
    result,
    seen,
    remedy: 'do it',
  });
  findings.add('node-1', [check('a', 'warn', 'x'), check('b', 'pass', 'fine'), check('c', 'warn', 'y')]);
  findings.add('node-2', [check('a', 'warn', 'z'), check('b', 'fail', 'bad')]);
  findings.add('node-3', [check('a', 'warn', 'x')]);
  assert.deepEqual(
    findings
      .all()
      .map(({ id, result, nodes, seen }) => [id, result, nodes, seen.map(({ content }) => content)]),
    [
      ['b', 'fail', ['node-2'], ['bad']],
      ['a', 'warn', ['node-1', 'node-2', 'node-3'], ['x', 'z']],
      ['c', 'warn', ['node-1'], ['y']],
    ],
  );
});

test('differences of a node are the lines of diff, and what another program created', () => {
  assert.deepEqual(
    differenceLines({
      operations: [
        {
          op: 'add',
          kind: 'real-server',
          virtualServer: 'TCP 10.96.0.1:80',
          key: '10.244.0.12:8080',
          wanted: { forwarding: 'masquerade', weight: 1 },
          reason: 'shop/web',
        },
      ],
      contested: [{ virtualServer: 'TCP 10.96.0.2:80', service: 'shop/db' }],
    }),
    [
      '+ real server TCP 10.96.0.1:80 → 10.244.0.12:8080 masquerade weight 1  # shop/web',
      '! another program created TCP 10.96.0.2:80, which Service shop/db requests',
    ],
  );
});

const table = (nodeAddresses: readonly string[], realServers: readonly string[], scheduler = 'rr') => ({
  virtualServers: Object.fromEntries([
    ...nodeAddresses.map(
      (address) =>
        [
          `TCP ${address}:30080`,
          {
            service: 'shop/web',
            port: { name: 'http' },
            frontend: 'NodePort' as const,
            scheduler,
            realServers: {},
          },
        ] as const,
    ),
    [
      'TCP 10.96.0.1:80',
      {
        scheduler,
        realServers: Object.fromEntries(
          realServers.map((key) => [key, { weight: 1, forwarding: 'masquerade' }]),
        ),
      },
    ],
  ]),
});

test('tables of nodes with other addresses and another order are equal', () => {
  const one = tableLines(table(['192.0.2.1', '198.51.100.1'], ['10.244.0.1:80', '10.244.0.2:80']));
  assert.deepEqual(one, tableLines(table(['192.0.2.2'], ['10.244.0.2:80', '10.244.0.1:80'])));
  assert.deepEqual(one, [
    'TCP 10.96.0.1:80  rr',
    '  → 10.244.0.1:80  masquerade  weight 1',
    '  → 10.244.0.2:80  masquerade  weight 1',
    'TCP node port 30080  shop/web:http  rr',
  ]);
});

test('a difference of tables names the virtual server of each line', () => {
  const most = tableLines(table([], ['10.244.0.1:80', '10.244.0.2:80']));
  assert.deepEqual(tableDifferences(most, tableLines(table([], ['10.244.0.1:80', '10.244.0.3:80']))), [
    { sign: '-', line: 'TCP 10.96.0.1:80 → 10.244.0.2:80  masquerade  weight 1' },
    { sign: '+', line: 'TCP 10.96.0.1:80 → 10.244.0.3:80  masquerade  weight 1' },
  ]);
  assert.deepEqual(tableDifferences(most, tableLines(table([], ['10.244.0.1:80', '10.244.0.2:80'], 'lc'))), [
    { sign: '-', line: 'TCP 10.96.0.1:80  rr' },
    { sign: '+', line: 'TCP 10.96.0.1:80  lc' },
  ]);
  assert.deepEqual(tableDifferences(most, most), []);
});

const row = (name: string, connectionsPerSecond: number, activeConnections: number) => ({
  name,
  note: name,
  connectionsPerSecond,
  activeConnections,
  inactiveConnections: 1,
  inPacketsPerSecond: 1,
  outPacketsPerSecond: 1,
  inBytesPerSecond: 1,
  outBytesPerSecond: 1,
});

test('traffic is added up by row or by node, the busiest first', () => {
  const latest = new Map([
    ['node-1', [row('shop/web', 2, 5), row('shop/db', 1, 9)]],
    ['node-2', [row('shop/web', 0.5, 1)]],
    ['node-3', []],
  ]);
  const shown = (by: 'service' | 'node') =>
    sumTraffic(latest, by).map((total) => [
      total.name,
      total.connectionsPerSecond,
      total.activeConnections,
      total.inactiveConnections,
      total.nodes,
    ]);
  assert.deepEqual(shown('service'), [
    ['shop/web', 2.5, 6, 2, 2],
    ['shop/db', 1, 9, 1, 1],
  ]);
  assert.deepEqual(shown('node'), [
    ['node-1', 3, 14, 2, 1],
    ['node-2', 0.5, 1, 1, 1],
    ['node-3', 0, 0, 0, 1],
  ]);
});
