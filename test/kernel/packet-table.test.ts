import { defaultInstance } from '../../src/model/instance-names.js';
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { afterEach, test } from 'node:test';
import { families, parseCidr, type Family } from '../../src/base/ip.js';
import { NftablesClient } from '../../src/kernel/nftables/client.js';
import type { PodTraffic } from '../../src/model/pod-traffic.js';
import type { VipBinding } from '../../src/model/settings/vip-binding.js';
import { elementChanges } from '../../src/apply/packet-rules/element-changes.js';
import { markElement, setElement } from '../../src/nftables/declarations.js';
import { tableText } from '../../src/nftables/table-text.js';
import { packetTable, type PacketTableSettings } from '../../src/plan/packet-rules/packet-table.js';
import { run } from '../support/lab-guest.js';
import { ip } from '../support/objects.js';

const client = NftablesClient.open();
const nft = (...args: readonly string[]): string => run('nft', ...args);

const below = { first: 1024, last: 29999 };
const above = { first: 32768, last: 65535 };

const cidrs: Readonly<Record<Family, string>> = { IPv4: '10.244.0.0/16', IPv6: 'fd00:244::/56' };
const lengths: Readonly<Record<Family, readonly number[]>> = { IPv4: [0, 8, 31, 32], IPv6: [0, 7, 64, 128] };

const podTraffic = (family: Family): Readonly<Record<string, PodTraffic | undefined>> => {
  const cidr = parseCidr(cidrs[family]);
  assert.ok(cidr !== undefined);
  return {
    'nobody knows pods': undefined,
    'pods by source': { by: 'source', cidr },
    'pods by bridge': { by: 'interface', name: 'cni0' },
    'pods by interface prefix': { by: 'interface-prefix', prefix: 'veth' },
  };
};

/** Where pods are not recognized, or by their addresses, the rules depend on it. */
const vipBindingsFor = (traffic: PodTraffic | undefined): readonly VipBinding[] =>
  traffic === undefined || traffic.by === 'source' ? ['address', 'route'] : ['address'];

const cases = families.flatMap((family) =>
  Object.entries(podTraffic(family)).flatMap(([name, traffic]) =>
    [[], lengths[family]].flatMap((sourceLengths) =>
      vipBindingsFor(traffic).map((vipBinding): readonly [string, PacketTableSettings] => [
        `${family}, ${name}, ${sourceLengths.length === 0 ? 'no source ranges' : 'source ranges'}, binding ${vipBinding}`,
        {
          family,
          table: defaultInstance.table,
          masqueradeAll: traffic === undefined && sourceLengths.length > 0,
          vipBinding,
          masqueradeMark: 0x4000,
          podTraffic: traffic,
          masqueradePorts: sourceLengths.length > 0 ? [above] : [below, above],
          refusesBeforeRouting: sourceLengths.length > 0,
          sourceLengths,
        },
      ]),
    ),
  ),
);

afterEach(() => {
  nft('flush', 'ruleset');
});

test('the kernel takes a table for pods by a name that no interface can have', async () => {
  for (const podTraffic of [
    { by: 'interface', name: 'a-very-long-bridge-name' },
    { by: 'interface-prefix', prefix: 'a-very-long-prefix' },
  ] as const) {
    const settings = {
      masqueradeAll: false,
      masqueradeMark: 0x4000,
      vipBinding: 'address',
      masqueradePorts: [above],
      refusesBeforeRouting: true,
    } as const;
    const declaration = packetTable({
      ...settings,
      table: defaultInstance.table,
      family: 'IPv4',
      podTraffic,
      sourceLengths: [],
    });
    const outcome = await client.transaction([{ kind: 'declare-table', declaration }]);
    assert.deepEqual(outcome, { status: 'applied' });
    const read = await client.table('IPv4', defaultInstance.table);
    assert.ok(read !== undefined);
    assert.equal(tableText(read), tableText(declaration));
    nft('flush', 'ruleset');
  }
});

for (const [name, settings] of cases.filter(([, { vipBinding }]) => vipBinding === 'address'))
  test(`the table with firewall marks, which has rules that nft cannot express, is read back as declared: ${name}`, async () => {
    const declaration = packetTable({ ...settings, hasInClusterMarks: true, hasNodePortMarks: true });
    assert.deepEqual(await client.transaction([{ kind: 'declare-table', declaration }]), {
      status: 'applied',
    });
    const read = await client.table(settings.family, defaultInstance.table);
    assert.ok(read !== undefined);
    assert.equal(tableText(read), tableText(declaration));
  });

test('elements with marks are read back as added, and nft prints them', async () => {
  const declaration = packetTable({
    ...(cases[0]?.[1] ?? assert.fail()),
    hasInClusterMarks: true,
    hasNodePortMarks: true,
  });
  const vip = ip('203.0.113.9');
  const elements = [
    markElement('IPv4', 'in-cluster', [vip, 'TCP', 80], 0x1234_1156),
    markElement('IPv4', 'node-port', ['TCP', 30_080], 0x1234_1156),
    setElement('IPv4', 'firewall-marks', [0x1234_1156]),
    setElement('IPv4', 'draining-by-mark', [0x1234_1156, ip('10.0.0.1'), 8080]),
  ];
  const id = { family: 'IPv4', name: defaultInstance.table } as const;
  const outcome = await client.transaction([
    { kind: 'declare-table', declaration },
    ...elementChanges('add-elements', id, elements),
  ]);
  assert.deepEqual(outcome, { status: 'applied' });
  for (const element of elements) {
    const set = declaration.sets.find(({ name }) => name === element.set) ?? assert.fail();
    assert.deepEqual(await client.elements('IPv4', defaultInstance.table, set), [element]);
    const printed = nft('list', set.marks === true ? 'map' : 'set', 'ip', defaultInstance.table, set.name);
    assert.match(printed, /0x12341156/, printed);
  }
  const replacement = markElement('IPv4', 'in-cluster', [vip, 'TCP', 80], 0x1234_1157);
  assert.deepEqual(
    await client.transaction([
      ...elementChanges('delete-elements', id, elements.slice(0, 1)),
      ...elementChanges('add-elements', id, [replacement]),
    ]),
    { status: 'applied' },
  );
});

for (const [name, settings] of cases)
  test(`the table is read back as declared, in nft’s words, and nft can load what it prints of it: ${name}`, async () => {
    const declaration = packetTable(settings);
    assert.deepEqual(await client.transaction([{ kind: 'declare-table', declaration }]), {
      status: 'applied',
    });
    const read = await client.table(settings.family, defaultInstance.table);
    assert.ok(read !== undefined);
    const text = tableText(declaration);
    assert.equal(tableText(read), text);
    assert.doesNotMatch(text, /\[ /);
    const printed = nft('list', 'table', settings.family === 'IPv4' ? 'ip' : 'ip6', defaultInstance.table);
    for (const [whose, rules] of Object.entries({ nft: printed, ours: text })) {
      writeFileSync('/tmp/packet-table.nft', rules);
      assert.equal(nft('-c', '-f', '/tmp/packet-table.nft'), '', whose);
    }
  });
