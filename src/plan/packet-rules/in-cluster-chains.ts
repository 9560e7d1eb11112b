import type { Family } from '../../base/ip.js';
import { firewallMarkLayout } from '../../model/firewall-mark.js';
import type { PodTraffic } from '../../model/pod-traffic.js';
import type { Chain, Expression, Rule } from '../../nftables/declarations.js';
import { firewallMarkSet, inClusterMap } from './packet-sets.js';
import { baseChain, chain, rule } from './rule-builders.js';
import {
  equals,
  firstOfConnection,
  fromPod,
  goTo,
  inSet,
  loadDestinationKey,
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

/**
 * IPVS compares the whole mark of a packet with that of a virtual server, so the packet has no other mark while
 * IPVS looks at it. Its own one is kept in the packet's priority, the only other field that rules can write and
 * that IPVS leaves alone.
 */
const exchangeMark = (family: Family): Rule =>
  rule('the mark of IPVS; the former one is kept in the priority', ...findMark(family), [
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

/**
 * The chains that lead requests from the cluster to virtual servers on firewall marks. The first ones run directly
 * before IPVS takes requests (priority 99 of input and -98 of output, ip_vs_ops4 in
 * net/netfilter/ipvs/ip_vs_core.c). IPVS passes the packet to the output hook again, where the first chain of all
 * restores the mark; `after` restores it where the real server is this node itself.
 */
export const inClusterChains = (family: Family, podTraffic: PodTraffic | undefined): readonly Chain[] => [
  chain('in-cluster', exchangeMark(family)),
  ...(podTraffic === undefined
    ? []
    : [
        baseChain(
          'in-cluster-input',
          'filter',
          'input',
          97,
          rule('source is a pod', firstOfConnection, fromPod(podTraffic, '=='), goTo('in-cluster')),
        ),
        baseChain('in-cluster-input-after', 'filter', 'input', 101, restoreMark),
      ]),
  baseChain(
    'in-cluster-output',
    'filter',
    'output',
    -99,
    rule('source is the node', firstOfConnection, goTo('in-cluster')),
  ),
  baseChain('in-cluster-output-after', 'filter', 'output', -97, restoreMark),
  baseChain('in-cluster-forwarded', 'filter', 'output', -350, restoreMark),
];
