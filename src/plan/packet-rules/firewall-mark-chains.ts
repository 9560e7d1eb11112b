import type { Family } from '../../base/ip.js';
import { firewallMarkLayout } from '../../model/firewall-mark.js';
import type { PodTraffic } from '../../model/pod-traffic.js';
import type { Chain, Expression, Rule } from '../../nftables/declarations.js';
import { firewallMarkSet, inClusterMap, nodePortAddressSet, nodePortMap } from './packet-sets.js';
import { baseChain, chain, rule } from './rule-builders.js';
import {
  equals,
  firstOfConnection,
  fromPod,
  goTo,
  inSet,
  jumpTo,
  loadAddress,
  loadDestinationKey,
  loadDestinationPort,
  loadProtocol,
  returnVerdict,
  setMark,
} from './rule-expressions.js';

/** The registers of the firewall mark and of the mark that the packet had; the key of a look-up needs 0 to 5. */
const markRegister = 8;
const formerRegister = 9;

/** Matches a packet to a frontend that the map has. */
const findMark = (family: Family): readonly Expression[] => [
  ...loadDestinationKey(family),
  { kind: 'mark-map', set: inClusterMap, from: 0, to: markRegister },
];

/** Matches a packet to a shared node port. */
const findNodePortMark = (family: Family): readonly Expression[] => [
  loadAddress(family, 'destination', 0),
  inSet(nodePortAddressSet),
  loadProtocol(0),
  loadDestinationPort(1),
  { kind: 'mark-map', set: nodePortMap, from: 0, to: markRegister },
];

/**
 * IPVS compares the whole mark of a packet with that of a virtual server, so the packet has no other mark while
 * IPVS looks at it. Its own one is kept in the packet's priority, the only other field that rules can write and
 * that IPVS leaves alone.
 */
const exchangeMark = (find: readonly Expression[]): Rule =>
  rule('the mark of IPVS; the former one is kept in the priority', ...find, [
    { kind: 'meta', key: 'mark', to: formerRegister },
    { kind: 'meta-set', key: 'priority', from: formerRegister },
    { kind: 'meta-set', key: 'mark', from: markRegister },
  ]);

const hasFirewallMark: readonly Expression[] = [
  { kind: 'meta', key: 'mark', to: 0 },
  { kind: 'bitwise', from: 0, to: 0, mask: firewallMarkLayout.mask, xor: 0 },
  equals(firewallMarkLayout.value),
  { kind: 'meta', key: 'mark', to: 0 },
  inSet(firewallMarkSet),
];

const restoreMark: Rule = rule('the former mark', ...hasFirewallMark, [
  { kind: 'meta', key: 'priority', to: 0 },
  { kind: 'meta-set', key: 'mark', from: 0 },
  { kind: 'immediate', to: 0, value: 0 },
  { kind: 'meta-set', key: 'priority', from: 0 },
]);

/** Requests of the node with externalTrafficPolicy Local: those to endpoints of all nodes are masqueraded. */
export const sentLocalChain = (family: Family, masqueradeMark: number): Chain =>
  chain(
    'local-sent',
    rule('masquerade requests to endpoints on any node', ...findMark(family), setMark(masqueradeMark, true)),
    rule('keep the client address', returnVerdict),
  );

export interface FirewallMarkSettings {
  readonly family: Family;
  readonly podTraffic: PodTraffic | undefined;
  readonly hasInClusterMarks?: boolean;
  readonly hasNodePortMarks?: boolean;
}

/** The chains that give a packet the mark of IPVS, and the rules that lead to them. */
interface MarkingChains {
  readonly chains: readonly Chain[];
  readonly input: readonly Rule[];
  readonly output: readonly Rule[];
}

const nodePortMarking = (family: Family): MarkingChains => {
  const toNodePort = rule('new connection', firstOfConnection, jumpTo(nodePortMap));
  return {
    chains: [chain(nodePortMap, exchangeMark(findNodePortMark(family)))],
    input: [toNodePort],
    output: [toNodePort],
  };
};

const inClusterMarking = (family: Family, podTraffic: PodTraffic | undefined): MarkingChains => ({
  chains: [chain(inClusterMap, exchangeMark(findMark(family)))],
  input:
    podTraffic === undefined
      ? []
      : [rule('source is a pod', firstOfConnection, fromPod(podTraffic, '=='), goTo(inClusterMap))],
  output: [rule('source is the node', firstOfConnection, goTo(inClusterMap))],
});

/**
 * The chains that lead requests to virtual servers on firewall marks. The first ones run directly before IPVS takes
 * requests (priority 99 of input and -98 of output, ip_vs_ops4 in net/netfilter/ipvs/ip_vs_core.c). IPVS passes the
 * packet to the output hook again, where the first chain of all restores the mark; `after` restores it where the real
 * server is this node itself. No frontend is in both maps.
 */
export const firewallMarkChains = (settings: FirewallMarkSettings): readonly Chain[] => {
  const { family, podTraffic, hasInClusterMarks = false, hasNodePortMarks = false } = settings;
  const marking = [
    ...(hasNodePortMarks ? [nodePortMarking(family)] : []),
    ...(hasInClusterMarks ? [inClusterMarking(family, podTraffic)] : []),
  ];
  if (marking.length === 0) return [];
  const input = marking.flatMap((each) => each.input);
  return [
    ...marking.flatMap((each) => each.chains),
    ...(input.length === 0
      ? []
      : [
          baseChain('mark-input', 'filter', 'input', 97, ...input),
          baseChain('mark-input-after', 'filter', 'input', 101, restoreMark),
        ]),
    baseChain('mark-output', 'filter', 'output', -99, ...marking.flatMap((each) => each.output)),
    baseChain('mark-output-after', 'filter', 'output', -97, restoreMark),
    baseChain('mark-forwarded', 'filter', 'output', -350, restoreMark),
  ];
};
