import { hostPrefixLength, type Family } from '../../base/ip.js';
import type { PodTraffic } from '../../model/pod-traffic.js';
import { hasVipAsOwnSource, type VipBinding } from '../../model/settings/vip-binding.js';
import type { Chain, Expression, Rule, TableDeclaration } from '../../nftables/declarations.js';
import { firewallMarkChains, sentLocalChain } from './firewall-mark-chains.js';
import { classRules } from './class-rules.js';
import { baseChain, chain, rule } from './rule-builders.js';
import {
  headerLayout,
  sctp,
  tcp,
  udp,
  icmp,
  loadAddress,
  loadProtocol,
  loadDestinationPort,
  equals,
  inSet,
  goTo,
  jumpTo,
  acceptVerdict,
  dropVerdict,
  returnVerdict,
  counter,
  loadDestinationKey,
  toThisNode,
  firstOfConnection,
  maskBytes,
  fromPod,
  setMark,
  isMarked,
  masquerade,
  randomlyBelow,
  type PortRange,
} from './rule-expressions.js';
import {
  fixedSets,
  firewallMarkSets,
  inClusterSets,
  nodePortSets,
  sourceRangeDeclaration,
  sourceRangeSet,
} from './packet-sets.js';

/** The settings that determine the rules of a family; elements are separate. */
export interface PacketTableSettings {
  readonly family: Family;
  readonly table: string;
  readonly masqueradeAll: boolean;
  /** The bit of the packet mark that means "masquerade", as a number. */
  readonly masqueradeMark: number;
  readonly podTraffic: PodTraffic | undefined;
  readonly vipBinding: VipBinding;
  /**
   * Source ports of masqueraded connections, without node ports, so a reply never looks like a request: one
   * or two ranges.
   */
  readonly masqueradePorts: readonly PortRange[];
  /** Whether a rule may refuse packets before they are routed (Linux 5.9). */
  readonly refusesBeforeRouting: boolean;
  /** The prefix lengths of source ranges that are or were in use. */
  readonly sourceLengths: readonly number[];
  /** Whether requests from the cluster have or had virtual servers on firewall marks. */
  readonly hasInClusterMarks?: boolean;
  /** Whether node ports have or had virtual servers on firewall marks. */
  readonly hasNodePortMarks?: boolean;
}

const rejectRules: readonly Rule[] = [
  rule('TCP', loadProtocol(0), equals(tcp), counter, { kind: 'reject', with: 'tcp-reset' }),
  rule('UDP, SCTP and other protocols', counter, { kind: 'reject', with: 'port-unreachable' }),
];

/** The requests to a ClusterIP that are masqueraded (kube-proxy-ipvs §4.6, rule 3). */
const clusterIpRules = (settings: PacketTableSettings): readonly Rule[] => {
  const { family, masqueradeAll, masqueradeMark, podTraffic, vipBinding } = settings;
  const mark = setMark(masqueradeMark, true);
  if (masqueradeAll) return [rule('masqueradeAll', mark)];
  if (podTraffic === undefined)
    return hasVipAsOwnSource(vipBinding, family)
      ? [rule('source is a VIP: the node itself', loadAddress(family, 'source', 0), inSet('vips'), mark)]
      : [rule('pods cannot be recognized on this node', returnVerdict)];
  return [rule('source outside the pod network', fromPod(podTraffic, '!='), mark)];
};

/** externalTrafficPolicy Local with endpoints only on other nodes. */
const localElsewhereRules = ({ podTraffic }: PacketTableSettings): readonly Rule[] =>
  podTraffic === undefined
    ? [rule('pods cannot be recognized on this node', returnVerdict)]
    : [
        rule('source is a pod', fromPod(podTraffic, '=='), returnVerdict),
        rule('source outside the pod network: no endpoint on this node', counter, dropVerdict),
      ];

const sourceRangeRules = (family: Family, lengths: readonly number[]): readonly Rule[] => {
  const first = headerLayout[family].registers + 2;
  const fromRange = (length: number): Rule =>
    rule(
      undefined,
      loadDestinationKey(family),
      loadAddress(family, 'source', first),
      length === hostPrefixLength(family)
        ? []
        : {
            kind: 'bitwise',
            from: first,
            to: first,
            mask: maskBytes(family, length),
            xor: new Uint8Array(headerLayout[family].length),
          },
      inSet(sourceRangeSet(length)),
      returnVerdict,
    );
  return [...lengths.map(fromRange), rule('not in loadBalancerSourceRanges', counter, dropVerdict)];
};

const restrictedRule = (family: Family): Rule =>
  rule('loadBalancerSourceRanges', loadDestinationKey(family), inSet('restricted'), jumpTo('source-ranges'));

/** Without the rule for Services without endpoints, IPVS itself refuses: with ICMP errors, which are limited, and log lines. */
const receivedClassRules = (settings: PacketTableSettings): readonly Rule[] =>
  classRules(settings, {
    'cluster-ip': 'cluster-ip',
    external: 'external',
    local: 'local',
    'local-elsewhere': 'local-elsewhere',
    'no-endpoints': settings.refusesBeforeRouting ? 'refuse' : undefined,
  });

/**
 * The node is outside the pod network. Where its packets to a VIP have the VIP as their source, the chain for
 * received packets recognizes them by it, unless it looks at the input interface.
 */
const sentClassRules = (settings: PacketTableSettings): readonly Rule[] => {
  const { family, podTraffic, vipBinding, hasInClusterMarks = false } = settings;
  const isRecognized = hasVipAsOwnSource(vipBinding, family) && (podTraffic?.by ?? 'source') === 'source';
  return classRules(settings, {
    'cluster-ip': isRecognized ? 'cluster-ip' : 'external',
    external: 'external',
    local: hasInClusterMarks ? 'local-sent' : 'local',
    'local-elsewhere': 'external',
    'no-endpoints': 'refuse',
  });
};

/** A null binding keeps the destination, so a later DNAT rule (a CNI's hostPort) cannot change it. */
const keepDestination = (family: Family): readonly Expression[] => [
  loadAddress(family, 'destination', 0),
  { kind: 'destination-nat', address: 0 },
];

const toVip = (family: Family): readonly Expression[] => [
  loadAddress(family, 'destination', 0),
  inSet('vips'),
];

/** One rule per protocol, because nft accepts masquerade ports only after a match of the protocol. */
const masqueradeRules = (ports: PortRange): readonly Rule[] =>
  [tcp, udp, sctp].map((protocol) => rule(undefined, loadProtocol(0), equals(protocol), masquerade(ports)));

const sizeOf = ({ first, last }: PortRange): number => last - first + 1;

/** Chooses among two ranges by their sizes, so that both are exhausted at the same time. */
const masqueradeChains = ([first, second]: readonly PortRange[]): readonly Chain[] => {
  if (first === undefined) return [chain('masquerade-now')];
  if (second === undefined) return [chain('masquerade-now', ...masqueradeRules(first))];
  const share = sizeOf(first) / (sizeOf(first) + sizeOf(second));
  return [
    chain('masquerade-lower-ports', ...masqueradeRules(first)),
    chain(
      'masquerade-now',
      rule(
        `${Math.round(share * 100)} % of the ports are below the node ports`,
        randomlyBelow(share),
        goTo('masquerade-lower-ports'),
      ),
      ...masqueradeRules(second),
    ),
  ];
};

const hairpinRule = (family: Family): Rule =>
  rule(
    'hairpin: a pod reached itself through a Service',
    loadAddress(family, 'source', 0),
    loadDestinationKey(family, headerLayout[family].registers),
    inSet('hairpin'),
    goTo('masquerade-now'),
  );

/** Connections to this node that no class rule took. */
const otherPortRules = (family: Family): readonly Rule[] => [
  rule(
    'health check node port',
    loadProtocol(0),
    equals(tcp),
    loadDestinationPort(0),
    inSet('health-check-ports'),
    acceptVerdict,
  ),
  rule(
    'VIP: refuse other ports, answer ping',
    toVip(family),
    loadProtocol(0),
    equals(icmp[family], '!='),
    firstOfConnection,
    goTo('refuse'),
  ),
];

/** Chains that the rules of base chains jump to. */
const jumpTargets = (settings: PacketTableSettings): readonly Chain[] => {
  const { family, masqueradeMark, masqueradePorts, sourceLengths, hasInClusterMarks = false } = settings;
  const restricted = sourceLengths.length > 0;
  return [
    chain('refuse', ...rejectRules),
    chain('cluster-ip', ...clusterIpRules(settings)),
    chain('external', rule('masquerade', setMark(masqueradeMark, true))),
    chain('local', rule('keep the client address', returnVerdict)),
    ...(hasInClusterMarks ? [sentLocalChain(family, masqueradeMark)] : []),
    chain('local-elsewhere', ...localElsewhereRules(settings)),
    ...(restricted ? [chain('source-ranges', ...sourceRangeRules(family, sourceLengths))] : []),
    chain('services', ...(restricted ? [restrictedRule(family)] : []), ...receivedClassRules(settings)),
    chain('vip', rule(undefined, jumpTo('services')), rule('bypass hostPort rules', keepDestination(family))),
    ...masqueradeChains(masqueradePorts),
  ];
};

const postroutingRules = ({ family, masqueradeMark }: PacketTableSettings): readonly Rule[] => [
  hairpinRule(family),
  rule(
    'marked for masquerading: clear the mark',
    isMarked(masqueradeMark),
    setMark(masqueradeMark, false),
    goTo('masquerade-now'),
  ),
];

/** These check every packet, so that a range that was removed ends open connections too. */
const restrictedChains = (family: Family): readonly Chain[] => [
  baseChain('restricted-input', 'filter', 'input', -10, restrictedRule(family)),
  baseChain('restricted-output', 'filter', 'output', -110, restrictedRule(family)),
];

/**
 * The chains that keep the DNAT rules of other programs from packets to VIPs. Without their rules, new connections go to those
 * programs, such as kube-proxy in mode iptables.
 */
export const bypassChains = { prerouting: 'prerouting', output: 'bypass-hostport-output' } as const;

/**
 * The rules of one family, limited to features of Linux 4.18. Chains of type nat see only the first packet of
 * a connection; other chains cost something for each packet. `prerouting` and `output` check requests before
 * IPVS, which has priority 98 and -98 there (include/linux/netfilter_ipv4.h, NF_IP_PRI_NAT_SRC - 2 and
 * NAT_DST + 2). A packet mark tells `masquerade-postrouting`, which runs after IPVS, to masquerade. Packets
 * that IPVS does not take reach `input`.
 */
export const packetTable = (given: PacketTableSettings): TableDeclaration => {
  const { family, hasInClusterMarks = false, hasNodePortMarks = false } = given;
  const sourceLengths = given.sourceLengths.toSorted((a, b) => b - a);
  const settings = { ...given, sourceLengths };
  return {
    family,
    name: given.table,
    sets: [
      ...fixedSets,
      ...(hasInClusterMarks ? inClusterSets : []),
      ...(hasNodePortMarks ? nodePortSets : []),
      ...(hasInClusterMarks || hasNodePortMarks ? firewallMarkSets : []),
      ...sourceLengths.map(sourceRangeDeclaration),
    ],
    chains: [
      ...jumpTargets(settings),
      baseChain(
        bypassChains.prerouting,
        'nat',
        'prerouting',
        -105,
        rule(undefined, toVip(family), goTo('vip')),
        rule(undefined, toThisNode, goTo('services')),
      ),
      baseChain('output', 'nat', 'output', -105, ...sentClassRules(settings), ...otherPortRules(family)),
      baseChain(
        bypassChains.output,
        'nat',
        'output',
        -104,
        rule('destination is a VIP: bypass hostPort rules', toVip(family), keepDestination(family)),
      ),
      baseChain('input', 'nat', 'input', 95, ...otherPortRules(family)),
      baseChain('masquerade-postrouting', 'nat', 'postrouting', 95, ...postroutingRules(settings)),
      ...(sourceLengths.length > 0 ? restrictedChains(family) : []),
      ...firewallMarkChains(settings),
    ],
  };
};

/** Creates a `packetTable` that returns the same object until the settings of a family change. */
export const cachedPacketTable = (): ((settings: PacketTableSettings) => TableDeclaration) => {
  const last = new Map<Family, { readonly settings: string; readonly table: TableDeclaration }>();
  return (settings) => {
    const text = JSON.stringify(settings);
    const known = last.get(settings.family);
    if (known?.settings === text) return known.table;
    const table = packetTable(settings);
    last.set(settings.family, { settings: text, table });
    return table;
  };
};
