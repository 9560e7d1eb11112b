import { defaultInstance } from '../../../src/model/instance-names.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasVipAsOwnSource, isBound } from '../../../src/model/settings/vip-binding.js';
import { parseCidr, type IpAddress } from '../../../src/base/ip.js';
import { podTrafficFromRules } from '../../../src/cli/explain/packet-source.js';
import { tracePacket, type PacketSource, type Trace } from '../../../src/cli/explain/trace-packet.js';
import { renderNode } from '../../../src/cli/render/render-node.js';
import { parseFlags } from '../../../src/config/parse-flags.js';
import { podNetworksUnknown, podTraffic } from '../../../src/config/pod-traffic.js';
import { resolveSettings } from '../../../src/config/settings.js';
import type { InterfaceAddress } from '../../../src/model/node.js';
import { setElement, setNameOfKey } from '../../../src/nftables/declarations.js';
import { virtualServerKey } from '../../../src/model/virtual-server.js';
import { packetTable } from '../../../src/plan/packet-rules/packet-table.js';
import { sourceRangePrefixLength } from '../../../src/plan/packet-rules/packet-sets.js';
import { mergeManifests, readManifest } from '../../../src/watch/manifests/manifests.js';
import { ip, thisNode } from '../../support/objects.js';
import { observedEntry } from '../../support/observed-entries.js';
import { cases, configText, settings, type Case, type Family } from '../../traffic/matrix.js';
import type { Position } from '../../traffic/network.js';
import { nodeAddresses, nodeObject, podAddresses, target, worldOf } from '../../traffic/world.js';

// The trace is judged by what the lab tries with real connections: every row of the traffic matrix.

const interfaceAddresses: readonly InterfaceAddress[] = Object.entries(nodeAddresses).flatMap(
  ([interfaceName, addresses]) =>
    Object.values(addresses).map((address) => ({
      address: ip(address),
      prefixLength: address.includes(':') ? 64 : 24,
      interfaceName,
    })),
);
const ownAddresses = new Set<string>(interfaceAddresses.map(({ address }) => address));

const nodeOf = (settingName: string) => {
  const file = {
    name: 'matrix',
    text: configText(settings[settingName], thisNode),
  };
  const resolved = resolveSettings({ flags: parseFlags([]), files: [file], hostname: thisNode });
  const text = JSON.stringify({
    apiVersion: 'v1',
    kind: 'List',
    items: [nodeObject(thisNode), ...worldOf(cases)],
  });
  const { services, endpointSlices, nodes, pods } = mergeManifests([readManifest({ name: 'matrix', text })]);
  const objects = {
    services: services.values(),
    slices: endpointSlices.values(),
    nodes: nodes.values(),
    pods,
  };
  const { desired } = renderNode(objects, resolved, interfaceAddresses);
  const { elements } = desired.keys();
  const [node] = [...nodes.values()];
  const sourceLengths = new Set(
    [...elements].flatMap((key) => sourceRangePrefixLength(setNameOfKey(key)) ?? []),
  );
  const marks = new Map(
    [...elements].flatMap((key) => {
      const element = desired.element(key);
      return element?.mark === undefined
        ? []
        : [[setElement(element.family, element.set, element.fields).key, element.mark] as const];
    }),
  );
  const rulesOf = (family: Family) => ({
    table: packetTable({
      family,
      table: defaultInstance.table,
      vipBinding: resolved.vipBinding,
      masqueradeAll: resolved.masqueradeAll || podNetworksUnknown(resolved, node),
      masqueradeMark: resolved.masqueradeMark,
      podTraffic: podTraffic(resolved, node)[family],
      masqueradePorts: [{ first: 32_768, last: 60_999 }],
      refusesBeforeRouting: true,
      sourceLengths: [...sourceLengths],
      hasInClusterMarks: [...marks.keys()].some((key) => key.includes(' in-cluster ')),
      hasNodePortMarks: [...marks.keys()].some((key) => key.includes(' node-port ')),
    }),
    markOf: (set: string, fields: Parameters<typeof setElement>[2]) =>
      marks.get(setElement(family, set, fields).key),
    hasElement: (set: string, fields: Parameters<typeof setElement>[2]) =>
      elements.has(setElement(family, set, fields).key),
    isLocal: (address: string) => ownAddresses.has(address) || isBound(desired, ip(address)),
  });
  return { desired, rulesOf, vipBinding: resolved.vipBinding };
};

const nodeNames: Readonly<Record<string, string>> = { x: 'other0' };

const askerAt = (position: Position, family: Family, ownSource: IpAddress | undefined): PacketSource => {
  if (position === 'node')
    return { who: 'node', address: ownSource, here: true, given: false, interfaceName: '' };
  const here = position === 'a' || position === 'c';
  return {
    who: position === 'client' ? 'outside' : 'pod',
    address: ip(podAddresses[position]?.[family] ?? ''),
    here,
    given: true,
    interfaceName: here ? 'cni0' : (nodeNames[position] ?? 'ext0'),
  };
};

const podOf = (realServer: string, family: Family): string =>
  Object.entries(podAddresses).find(([, addresses]) =>
    realServer.startsWith(family === 'IPv6' ? `[${addresses[family]}]` : `${addresses[family]}:`),
  )?.[0] ?? 'node';

/** In the words of the matrix. */
const wordsOf = ({ end, candidates, from }: Trace, family: Family): readonly string[] => {
  if (end === 'refused') return ['refused'];
  if (end === 'dropped') return ['timeout'];
  if (end !== 'answered') return [end];
  return candidates.map(({ realServer, sees, lost }) => {
    const pod = podOf(realServer, family);
    if (sees === 'local') return from.who === 'node' ? 'node:any' : 'node:own';
    const isOwn = sees === 'destination' || (sees === 'own' && from.who === 'node');
    return `${pod}:${isOwn ? 'vip' : sees}${lost ? ':lost' : ''}`;
  });
};

/** What is the node's own matter is not for a trace to tell. */
const ofTheNode = ['daemon', 'health', 'answered'];

const expectedWords = (words: readonly string[]): readonly string[] => {
  if (words.some((word) => ofTheNode.includes(word))) return ['node'];
  // x does not hear of itself by its own address: IPv4 takes it for a forgery, IPv6 delivers it; the answer is lost in both.
  return words.length > 1 ? words.map((word) => (word === 'timeout' ? 'x:own:lost' : word)) : words;
};

const protocols = { tcp: 'TCP', udp: 'UDP', sctp: 'SCTP', ping: 'ICMP' } as const;

const traceOf = (
  { desired, rulesOf, vipBinding }: ReturnType<typeof nodeOf>,
  one: Case,
  index: number,
  row: { readonly frontend: string; readonly family: Family; readonly transport: keyof typeof protocols },
  from: Position,
): Trace => {
  const [address, servicePort] = target(one, index, row.frontend, row.family);
  const protocol = protocols[row.transport];
  const port = protocol === 'ICMP' ? 0 : servicePort;
  const to = { address: ip(address), protocol, port };
  const rules = rulesOf(row.family);
  const table =
    protocol === 'ICMP'
      ? undefined
      : desired.virtualServer(virtualServerKey({ by: 'address', address: ip(address), port, protocol }));
  const identity = { by: 'address', address: ip(address), port, protocol } as const;
  const markedKey =
    protocol === 'ICMP' ? undefined : desired.markedServerOf(virtualServerKey({ ...identity, protocol }));
  const marked = markedKey && desired.virtualServer(markedKey);
  const hereOf = (key: string): boolean => podOf(key, row.family) !== 'x';
  const ownSource =
    hasVipAsOwnSource(vipBinding, row.family) || !isBound(desired, to.address)
      ? undefined
      : ip(nodeAddresses['cni0']?.IPv6 ?? '');
  return tracePacket({
    to,
    from: askerAt(from, row.family, ownSource),
    rules,
    isLocal: rules.isLocal,
    dummyInterface: defaultInstance.dummyInterface,
    bindings: desired.bindings(to.address),
    virtualServer: table && observedEntry(table),
    markedServer: marked && observedEntry(marked),
    nameOf: () => '',
    isOnThisNode: ({ key }) => hereOf(key),
    obstacles: [],
  });
};

for (const setting of Object.keys(settings))
  test(`traces agree with the traffic matrix: ${setting}`, () => {
    const node = nodeOf(setting);
    let tried = 0;
    const wrong: string[] = [];
    for (const [index, one] of cases.entries())
      for (const row of one.rows.filter((candidate) => candidate.settings.includes(setting)))
        for (const frontend of row.frontends)
          for (const family of row.families)
            for (const transport of row.transports)
              for (const [from, expected] of row.cells) {
                const found = traceOf(node, one, index, { frontend, family, transport }, from);
                const seen = wordsOf(found, family).toSorted().join(' ');
                const wanted = expectedWords(expected).toSorted().join(' ');
                tried += 1;
                // Nobody listens on the node's own port there: whether a process of the node answers is not for the rules to say.
                if (seen === 'node' && wanted === 'refused' && !isBound(node.desired, found.to.address))
                  continue;
                if (seen !== wanted)
                  wrong.push(
                    `${one.name}: ${transport} ${family} ${frontend} from ${from}: ${seen}, expected ${wanted}`,
                  );
              }
    assert.deepEqual(wrong, []);
    assert.ok(tried > 0);
  });

test('how pods are told from others is read from the rules', () => {
  const told = (setting: string) => podTrafficFromRules(nodeOf(setting).rulesOf('IPv4').table);
  assert.deepEqual(told('cluster-cidr'), { by: 'source', cidr: parseCidr('10.128.0.0/16') });
  assert.deepEqual(told('bridge-interface'), { by: 'interface', name: 'cni0' });
  assert.deepEqual(told('interface-prefix'), { by: 'interface-prefix', prefix: 'cni' });
  assert.equal(told('none'), undefined);
});
