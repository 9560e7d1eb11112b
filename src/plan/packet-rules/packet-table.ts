import { hostPrefixLength, type Family } from '../../base/ip.js';
import type { PodTraffic } from '../../model/pod-traffic.js';
import {
  tableName,
  type BaseChainHook,
  type Chain,
  type Expression,
  type KeyField,
  type Rule,
  type SetDeclaration,
  type TableDeclaration,
} from '../../nftables/declarations.js';
import { hasVipAsOwnSource, type VipBinding } from '../../model/vip-binding.js';
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
  acceptVerdict,
  dropVerdict,
  returnVerdict,
  counter,
  loadDestinationKey,
  connectionState,
  fromThisNode,
  maskBytes,
  fromPod,
  setMark,
  isMarked,
  masquerade,
  type PortRange,
} from './rule-expressions.js';

/** The settings that determine the rules of a family; elements are separate. */
export interface PacketTableSettings {
  readonly family: Family;
  readonly masqueradeAll: boolean;
  /** The bit of the packet mark that means "masquerade", as a number. */
  readonly masqueradeMark: number;
  readonly podTraffic: PodTraffic | undefined;
  readonly vipBinding: VipBinding;
  /** Source ports of masqueraded connections, without node ports, so a reply never looks like a request. */
  readonly masqueradePorts: PortRange;
  /** The prefix lengths of source ranges that are or were in use. */
  readonly sourceLengths: readonly number[];
}

/**
 * The packet classes, each with a set. A rule leads from each set to its chain; if two sets contain a virtual
 * server, as during a change of class, the first one applies.
 */
export const packetClasses = ['no-endpoints', 'cluster-ip', 'local', 'local-elsewhere', 'external'] as const;
export type PacketClass = (typeof packetClasses)[number];

export const isPacketClass = (set: string): set is PacketClass => packetClasses.some((name) => name === set);

const classDescriptions: Readonly<Record<PacketClass, string>> = {
  'no-endpoints': 'Services without endpoints',
  'cluster-ip': 'ClusterIPs',
  local: 'externalTrafficPolicy Local, endpoints on this node',
  'local-elsewhere': 'externalTrafficPolicy Local, endpoints only on other nodes',
  external: 'externalTrafficPolicy Cluster',
};

const frontendKey: readonly KeyField[] = ['address', 'protocol', 'port'];

/** The set of source addresses of one prefix length that may reach a restricted frontend. */
export const sourceRangeSet = (prefixLength: number): string => `sources-${prefixLength}`;

/** The prefix length of a set that `sourceRangeSet` named; undefined for any other set. */
export const sourceRangePrefixLength = (set: string): number | undefined => {
  const length = Number(/^sources-(\d{1,3})$/.exec(set)?.[1] ?? Number.NaN);
  return length <= hostPrefixLength('IPv6') ? length : undefined;
};

/** The set of take-over markers. It has elements only during a take-over from another service proxy. */
export const takeOverSet = 'take-over';

/** The set of drain records. No rule refers to it. */
export const drainingSet = 'draining';

const fixedSets: readonly SetDeclaration[] = [
  ...packetClasses.map((name) => ({
    name,
    key: frontendKey,
    verdicts: false,
    comment: classDescriptions[name],
  })),
  { name: 'vips', key: ['address'], verdicts: false, comment: 'addresses of Services' },
  {
    name: 'hairpin',
    key: ['address', 'address', 'protocol', 'port'],
    verdicts: false,
    comment: 'endpoints on this node, as source and destination',
  },
  {
    name: 'health-check-ports',
    key: ['port'],
    verdicts: false,
    comment: 'health check node ports',
  },
  {
    name: 'restricted',
    key: frontendKey,
    verdicts: false,
    comment: 'load balancer addresses with loadBalancerSourceRanges',
  },
  {
    name: drainingSet,
    key: [...frontendKey, 'address', 'port'],
    verdicts: false,
    comment: 'draining real servers',
  },
  {
    name: takeOverSet,
    key: ['protocol'],
    verdicts: false,
    comment: 'take-over from another proxy, until the first sync has completed',
  },
];

const sourceRangeDeclaration = (prefixLength: number): SetDeclaration => ({
  name: sourceRangeSet(prefixLength),
  key: [...frontendKey, 'address'],
  verdicts: false,
  comment: `source ranges of prefix length ${prefixLength}`,
});

/** The declaration of a kube-ipvs set; undefined if no such set exists. */
export const setDeclaration = (name: string): SetDeclaration | undefined => {
  const length = sourceRangePrefixLength(name);
  return length === undefined ? fixedSets.find((set) => set.name === name) : sourceRangeDeclaration(length);
};

const rule = (
  comment: string | undefined,
  ...parts: readonly (Expression | readonly Expression[])[]
): Rule => ({
  comment,
  expressions: parts.flat(),
});

const chain = (name: string, ...rules: readonly Rule[]): Chain => ({ name, hook: undefined, rules });

const baseChain = (
  name: string,
  type: BaseChainHook['type'],
  hook: BaseChainHook['hook'],
  priority: number,
  ...rules: readonly Rule[]
): Chain => ({ name, hook: { type, hook, priority, policy: 'accept' }, rules });

const rejectRules: readonly Rule[] = [
  rule('TCP', loadProtocol(0), equals(tcp), counter, { kind: 'reject', with: 'tcp-reset' }),
  rule('UDP, SCTP and other protocols', counter, { kind: 'reject', with: 'port-unreachable' }),
];

/** The requests to a ClusterIP that are masqueraded (kube-proxy-ipvs §4.6, rule 3). */
const clusterIpRules = (settings: PacketTableSettings): readonly Rule[] => {
  const { family, masqueradeAll, masqueradeMark, podTraffic, vipBinding } = settings;
  const mark = setMark(masqueradeMark, true);
  if (masqueradeAll) return [rule('masqueradeAll', mark)];
  const hasVipAsSource = hasVipAsOwnSource(vipBinding, family);
  const node = rule('source is this node', fromThisNode, mark);
  const vip = rule('source is a VIP: the node itself', loadAddress(family, 'source', 0), inSet('vips'), mark);
  if (podTraffic === undefined) return [hasVipAsSource ? vip : node];
  const outside = rule('source outside the pod network', fromPod(podTraffic, '!='), mark);
  // The node's own packets have no input interface, which old kernels treat as no match, and its addresses may be in
  // the pod network.
  return podTraffic.by === 'source' && hasVipAsSource ? [outside] : [node, outside];
};

/** externalTrafficPolicy Local with endpoints only on other nodes. */
const localElsewhereRules = ({ masqueradeMark, podTraffic }: PacketTableSettings): readonly Rule[] => {
  const node = rule(
    'source is this node: masquerade, so that the reply returns here',
    fromThisNode,
    setMark(masqueradeMark, true),
    acceptVerdict,
  );
  if (podTraffic === undefined) return [node, rule('pods cannot be recognized on this node', acceptVerdict)];
  return [
    node,
    rule('source is a pod', fromPod(podTraffic, '=='), acceptVerdict),
    rule('source outside the pod network: no endpoint on this node', counter, dropVerdict),
  ];
};

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
  rule('loadBalancerSourceRanges', loadDestinationKey(family), inSet('restricted'), {
    kind: 'verdict',
    verdict: 'jump',
    chain: 'source-ranges',
  });

const classRules = (family: Family): readonly Rule[] =>
  packetClasses.map((name) =>
    rule(
      classDescriptions[name],
      loadDestinationKey(family),
      inSet(name),
      goTo(name === 'no-endpoints' ? 'refuse' : name),
    ),
  );

const acceptEstablishedRule: Rule = rule(
  'established: already checked',
  connectionState('!='),
  acceptVerdict,
);

/** A null binding keeps the destination, so a later DNAT rule (a CNI's hostPort) cannot change it. */
const bypassHostPortRule = (family: Family): Rule =>
  rule(
    'destination is a VIP: bypass hostPort rules',
    loadAddress(family, 'destination', 0),
    inSet('vips'),
    loadAddress(family, 'destination', 0),
    { kind: 'destination-nat', address: 0 },
  );

/** One rule per protocol, because nft accepts masquerade ports only after a match of the protocol. */
const masqueradeRules = (ports: PortRange): readonly Rule[] =>
  [tcp, udp, sctp].map((protocol) => rule(undefined, loadProtocol(0), equals(protocol), masquerade(ports)));

const hairpinRule = (family: Family): Rule =>
  rule(
    'hairpin: a pod reached itself through a Service',
    loadAddress(family, 'source', 0),
    loadDestinationKey(family, headerLayout[family].registers),
    inSet('hairpin'),
    goTo('masquerade-now'),
  );

const inputRules = ({ family, sourceLengths }: PacketTableSettings): readonly Rule[] => [
  ...(sourceLengths.length > 0 ? [restrictedRule(family)] : []),
  acceptEstablishedRule,
  ...classRules(family),
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
    loadAddress(family, 'destination', 0),
    inSet('vips'),
    loadProtocol(0),
    equals(icmp[family], '!='),
    goTo('refuse'),
  ),
];

/** Chains that the rules of base chains jump to. */
const jumpTargets = (settings: PacketTableSettings): readonly Chain[] => {
  const { family, masqueradeMark, masqueradePorts, sourceLengths } = settings;
  return [
    chain('refuse', ...rejectRules),
    chain('cluster-ip', ...clusterIpRules(settings)),
    chain('external', rule('masquerade', setMark(masqueradeMark, true))),
    chain('local', rule('keep the client address', acceptVerdict)),
    chain('local-elsewhere', ...localElsewhereRules(settings)),
    ...(sourceLengths.length > 0 ? [chain('source-ranges', ...sourceRangeRules(family, sourceLengths))] : []),
    chain('masquerade-now', ...masqueradeRules(masqueradePorts)),
  ];
};

const outputRules = ({ family, sourceLengths }: PacketTableSettings): readonly Rule[] => [
  ...(sourceLengths.length > 0 ? [restrictedRule(family)] : []),
  acceptEstablishedRule,
  ...classRules(family),
];

const postroutingRules = ({ family, masqueradeMark }: PacketTableSettings): readonly Rule[] => [
  hairpinRule(family),
  rule('marked for masquerading', isMarked(masqueradeMark), goTo('masquerade-now')),
];

const clearMarkRule = ({ masqueradeMark }: PacketTableSettings): Rule =>
  rule('clear the mark', isMarked(masqueradeMark), setMark(masqueradeMark, false));

/**
 * The rules of one family, limited to features of Linux 4.18. `input` and `output` check requests before
 * IPVS, which has priority 98 and -98 there (include/linux/netfilter_ipv4.h, NF_IP_PRI_NAT_SRC - 2 and
 * NAT_DST + 2). A packet mark tells `postrouting`, which runs after IPVS, to masquerade.
 */
export const packetTable = (given: PacketTableSettings): TableDeclaration => {
  const { family } = given;
  const sourceLengths = given.sourceLengths.toSorted((a, b) => b - a);
  const settings = { ...given, sourceLengths };
  return {
    family,
    name: tableName,
    sets: [...fixedSets, ...sourceLengths.map(sourceRangeDeclaration)],
    chains: [
      ...jumpTargets(settings),
      baseChain('bypass-hostport', 'nat', 'prerouting', -105, bypassHostPortRule(family)),
      baseChain('bypass-hostport-output', 'nat', 'output', -105, bypassHostPortRule(family)),
      baseChain('input', 'filter', 'input', -10, ...inputRules(settings)),
      baseChain('output', 'filter', 'output', -110, ...outputRules(settings)),
      baseChain('masquerade-postrouting', 'nat', 'postrouting', 95, ...postroutingRules(settings)),
      baseChain('clear-mark', 'filter', 'postrouting', 110, clearMarkRule(settings)),
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
