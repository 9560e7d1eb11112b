import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Protocol } from '../../../src/base/protocol.js';
import { defaultInstance } from '../../../src/model/instance-names.js';
import { setElement, type KeyValue } from '../../../src/nftables/declarations.js';
import { runHooks, type Packet } from '../../../src/nftables/rule-interpreter.js';
import { tableText } from '../../../src/nftables/table-text.js';
import { nodePortMark } from '../../../src/model/firewall-mark.js';
import { packetTable, type PacketTableSettings } from '../../../src/plan/packet-rules/packet-table.js';
import { ip } from '../../support/objects.js';

const address = ip('203.0.113.1');
const settings: PacketTableSettings = {
  family: 'IPv4',
  table: defaultInstance.table,
  masqueradeAll: false,
  masqueradeMark: 0x4000,
  podTraffic: undefined,
  vipBinding: 'address',
  masqueradePorts: [
    { first: 1_024, last: 29_999 },
    { first: 32_768, last: 65_535 },
  ],
  refusesBeforeRouting: true,
  sourceLengths: [],
};

const linesOf = (chain: string, changes: Partial<PacketTableSettings> = {}): readonly string[] => {
  const text = tableText(packetTable({ ...settings, ...changes }));
  const [, rules = ''] = new RegExp(`\tchain ${chain} \\{\n([^}]*)\t\\}`).exec(text) ?? [];
  return rules
    .split('\n')
    .map((line) => line.trim().replace(/ comment ".*"$/, ''))
    .filter((line) => line !== '' && !line.startsWith('type '));
};

const request: Packet = {
  source: ip('198.51.100.7'),
  destination: address,
  protocol: 'TCP',
  port: 80,
  interfaceName: 'eth0',
  mark: 0,
};

const isIn = (...elements: readonly (readonly [set: string, ...fields: KeyValue[]])[]) => {
  const keys = new Set(elements.map(([set, ...fields]) => setElement('IPv4', set, fields).key));
  return (set: string, fields: readonly KeyValue[]) => keys.has(setElement('IPv4', set, fields).key);
};

const fwmark = 0x1234_1156;
const podsOf = (name: string) => ({ by: 'interface', name }) as const;

const frontend: readonly [KeyValue, Protocol, number] = [address, 'TCP', 80];

test('a Service without endpoints does not answer sources outside its ranges, on a VIP or a node address', () => {
  const table = packetTable({ ...settings, sourceLengths: [24] });
  const restricted = [
    ['restricted', ...frontend],
    ['no-endpoints', ...frontend],
    ['sources-24', ...frontend, ip('192.0.2.0')],
  ] as const;
  const verdictOf = (source: string, isVip: boolean) =>
    runHooks(
      {
        table,
        hasElement: isIn(...restricted, ...(isVip ? [['vips', address] as const] : [])),
        isLocal: () => true,
      },
      ['prerouting'],
      { ...request, source: ip(source) },
    ).verdict;
  for (const isVip of [true, false]) {
    assert.equal(verdictOf('198.51.100.7', isVip), 'dropped');
    assert.equal(verdictOf('192.0.2.7', isVip), 'tcp-reset');
  }
});

test('only source ranges have chains that every packet meets', () => {
  const filters = (sourceLengths: readonly number[]) =>
    packetTable({ ...settings, sourceLengths })
      .chains.filter(({ hook }) => hook !== undefined && hook.type !== 'nat')
      .map(({ name }) => name);
  assert.deepEqual(filters([]), []);
  assert.deepEqual(filters([32]), ['restricted-input', 'restricted-output']);
});

test('only firewall marks have chains beside those of connections, and no others', () => {
  const names = ({ chains }: ReturnType<typeof packetTable>): readonly string[] =>
    chains.map(({ name }) => name);
  const before = names(packetTable(settings));
  const more = names(packetTable({ ...settings, hasInClusterMarks: true, podTraffic: podsOf('cni0') }));
  assert.deepEqual(
    more.filter((name) => !before.includes(name)),
    [
      'local-sent',
      'in-cluster',
      'mark-input',
      'mark-input-after',
      'mark-output',
      'mark-output-after',
      'mark-forwarded',
    ],
  );
});

for (const [who, interfaceName, isLed] of [
  ['a pod', 'cni0', true],
  ['a client outside', 'eth0', false],
] as const)
  test(`requests of ${who} ${isLed ? 'get' : 'do not get'} the firewall mark, and the former mark is back after IPVS`, () => {
    const table = packetTable({ ...settings, hasInClusterMarks: true, podTraffic: podsOf('cni0') });
    const rules = {
      table,
      hasElement: isIn(['local', ...frontend], ['firewall-marks', fwmark]),
      markOf: () => fwmark,
      isLocal: () => true,
    };
    const until = (last: number) =>
      runHooks(
        rules,
        ['input'],
        { ...request, interfaceName, mark: 0x4_0000 },
        ({ priority }) => priority <= last,
      );
    assert.equal(until(97).mark, isLed ? fwmark : 0x4_0000);
    assert.equal(until(101).mark, 0x4_0000);
  });

test('requests of the node get the firewall mark, and are masqueraded after it', () => {
  const table = packetTable({ ...settings, hasInClusterMarks: true });
  const rules = {
    table,
    hasElement: isIn(['local', ...frontend], ['firewall-marks', fwmark]),
    markOf: () => fwmark,
    isLocal: () => true,
  };
  const until = (last: number) =>
    runHooks(rules, ['output'], { ...request, interfaceName: '' }, ({ priority }) => priority <= last).mark;
  assert.deepEqual([until(-100), until(-99), until(-97)], [0x4000, fwmark, 0x4000]);
});

const nodePort = 30_080;
const markOfPort = nodePortMark({ protocol: 'TCP', port: nodePort });
const toNodePort: Packet = { ...request, port: nodePort };
/** The rules of a node whose address has a shared node port of a class. */
const sharedRules = (
  packetClass: string,
  more: readonly (readonly [set: string, ...fields: KeyValue[]])[] = [],
) => ({
  table: packetTable({ ...settings, hasNodePortMarks: true }),
  hasElement: isIn(
    ['node-port-addresses', address],
    [`node-ports-${packetClass}`, 'TCP', nodePort],
    ['firewall-marks', markOfPort],
    ...more,
  ),
  markOf: (set: string, fields: readonly KeyValue[]) =>
    set === 'node-port' && fields.join() === `TCP,${nodePort}` ? markOfPort : undefined,
  isLocal: () => true,
});

for (const [who, hook, before, taken, after] of [
  ['a client', 'input', 96, 97, 101],
  ['the node', 'output', -100, -99, -97],
] as const)
  test(`a request of ${who} to a shared node port has its mark only while IPVS looks at it`, () => {
    const markAt = (last: number, packet: Packet): number =>
      runHooks(
        sharedRules('external'),
        [hook],
        { ...packet, interfaceName: who === 'the node' ? '' : 'eth0', mark: 0x4_0000 },
        ({ priority }) => priority <= last,
      ).mark & ~0x4000;
    assert.deepEqual(
      [before, taken, after].map((last) => markAt(last, toNodePort)),
      [0x4_0000, markOfPort, 0x4_0000],
    );
    for (const other of [{ port: 30_081 }, { protocol: 'UDP' }, { destination: ip('203.0.113.2') }] as const)
      assert.equal(markAt(taken, { ...toNodePort, ...other }), 0x4_0000, JSON.stringify(other));
  });

test('a shared node port is masqueraded, keeps the source or refuses by its class', () => {
  const result = (packetClass: string) => {
    const { verdict, mark } = runHooks(sharedRules(packetClass), ['prerouting'], toNodePort);
    return [verdict, mark];
  };
  assert.deepEqual(result('external'), ['accepted', 0x4000]);
  assert.deepEqual(result('local'), ['accepted', 0]);
  assert.deepEqual(result('no-endpoints'), ['tcp-reset', 0]);
});

test('a virtual server by address that drains after sharing began does not make the rules refuse its node port', () => {
  const drains = ['no-endpoints', address, 'TCP', nodePort] as const;
  for (const hook of ['prerouting', 'output'] as const)
    assert.equal(runHooks(sharedRules('external', [drains]), [hook], toNodePort).verdict, 'accepted');
  const withoutPort = { ...sharedRules('external', [drains]), hasElement: isIn(drains) };
  assert.equal(runHooks(withoutPort, ['prerouting'], toNodePort).verdict, 'tcp-reset');
});

test('packets to an address that is not of this node pass, even if a Service has it', () => {
  const passed = runHooks(
    {
      table: packetTable(settings),
      hasElement: isIn(['no-endpoints', ...frontend], ['external', address, 'TCP', 81]),
      isLocal: () => false,
    },
    ['prerouting'],
    request,
  );
  assert.deepEqual([passed.verdict, passed.mark, passed.matchedRules], ['accepted', 0, []]);
});

test('before Linux 5.9 no rule refuses packets before they are routed', () => {
  const refuses = (chain: string, refusesBeforeRouting: boolean) =>
    linesOf(chain, { refusesBeforeRouting }).some((line) => line.includes('@no-endpoints goto refuse'));
  assert.deepEqual([refuses('services', true), refuses('output', true)], [true, true]);
  assert.deepEqual([refuses('services', false), refuses('output', false)], [false, true]);
});

test('where pods are recognized by an interface, the node is masqueraded without a look at its interface', () => {
  const target = (podTraffic: PacketTableSettings['podTraffic']) =>
    linesOf('output', { podTraffic })
      .find((line) => line.includes('@cluster-ip'))
      ?.replace(/.*goto /, '');
  assert.equal(target({ by: 'interface', name: 'cni0' }), 'external');
  assert.equal(target({ by: 'interface-prefix', prefix: 'veth' }), 'external');
  assert.equal(target(undefined), 'cluster-ip');
});

test('where the node has no VIP as its source, it is masqueraded whatever its address', () => {
  const target = (changes: Partial<PacketTableSettings>) =>
    tableText(packetTable({ ...settings, ...changes }))
      .split('\tchain output {')[1]
      ?.match(/@cluster-ip goto (\S+)/)?.[1];
  assert.equal(target({ family: 'IPv6', vipBinding: 'route' }), 'external');
  assert.equal(target({ family: 'IPv4', vipBinding: 'route' }), 'cluster-ip');
});

test('two ranges of source ports are used in proportion to their sizes', () => {
  assert.deepEqual(linesOf('masquerade-now'), [
    'meta random < 2015596210 goto masquerade-lower-ports',
    'meta l4proto tcp masquerade to :32768-65535 fully-random',
    'meta l4proto udp masquerade to :32768-65535 fully-random',
    'meta l4proto sctp masquerade to :32768-65535 fully-random',
  ]);
  assert.match(linesOf('masquerade-lower-ports').join(), /tcp masquerade to :1024-29999 fully-random/);
  assert.deepEqual(linesOf('masquerade-now', { masqueradePorts: [{ first: 40_000, last: 50_000 }] }), [
    'meta l4proto tcp masquerade to :40000-50000 fully-random',
    'meta l4proto udp masquerade to :40000-50000 fully-random',
    'meta l4proto sctp masquerade to :40000-50000 fully-random',
  ]);
});
