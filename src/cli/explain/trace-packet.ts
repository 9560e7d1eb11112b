import type { IpAddress } from '../../base/ip.js';
import { runHooks, type RuleEnvironment, type HookResult } from '../../nftables/rule-interpreter.js';
import type { Protocol } from '../../base/protocol.js';
import { inClusterMap, nodePortMap } from '../../plan/packet-rules/packet-sets.js';
import type { VipBindings } from '../../model/settings/vip-binding.js';
import type { RealServerObservation } from '../../model/virtual-server.js';
import type { ObservedVirtualServer } from '../kernel/kernel-snapshot.js';

/** The sender of the packet. */
export interface PacketSource {
  readonly who: 'pod' | 'node' | 'outside';
  /** Undefined: the node, which uses the destination address as its source. */
  readonly address: IpAddress | undefined;
  /** Whether it is on this node. */
  readonly here: boolean;
  /** Whether the user gave the address; otherwise it is an example. */
  readonly given: boolean;
  /** The interface that its packets arrive on; '' for the node itself. */
  readonly interfaceName: string;
}

/** The destination of the packet. */
export interface Destination {
  readonly address: IpAddress;
  readonly protocol: Protocol | 'ICMP';
  readonly port: number;
}

export interface TraceFacts {
  readonly to: Destination;
  readonly from: PacketSource;
  /** The packet rules of the family; undefined: not in force. */
  readonly rules: RuleEnvironment | undefined;
  /** Whether the address is local on this node. */
  readonly isLocal: (address: IpAddress) => boolean;
  /** How the destination is bound as a VIP. */
  readonly bindings: VipBindings;
  /** The name of the interface that has the VIPs of the instance. */
  readonly dummyInterface: string;
  /** At the destination; undefined: the kernel has none. */
  readonly virtualServer: ObservedVirtualServer | undefined;
  /** At the firewall mark that requests to the destination may get: those from the cluster, or all to a node port. */
  readonly markedServer?: ObservedVirtualServer | undefined;
  /** The pod and node of a real server, `web-1 on n2`; '' where unknown. */
  readonly nameOf: (realServer: RealServerObservation) => string;
  /** Whether a real server is on this node; undefined: unknown. */
  readonly isOnThisNode: (realServer: RealServerObservation) => boolean | undefined;
  /** What keeps this node from forwarding packets. */
  readonly obstacles: readonly string[];
}

export interface TraceStep {
  /** Stable, for programs. */
  readonly id: 'arrive' | 'rules' | 'ipvs' | 'source' | 'forward' | 'answer';
  readonly mark: 'ok' | 'note' | 'warn' | 'fail';
  readonly text: string;
}

/** A real server that may answer, and the source address that it sees. */
export interface Candidate {
  readonly realServer: string;
  readonly name: string;
  /** `own`: the client's address; `node`: this node's, masqueraded; `destination`: the destination address; `local`: it is a process on this node. */
  readonly sees: 'own' | 'node' | 'destination' | 'local';
  /** Its reply does not return through this node, and the client does not recognize it. */
  readonly lost: boolean;
}

export interface Trace {
  readonly from: PacketSource;
  readonly to: Destination;
  /** `answered`: by one of the candidates; `node`: not by IPVS, but a process on this node may answer. */
  readonly end: 'answered' | 'refused' | 'dropped' | 'nowhere' | 'node';
  readonly candidates: readonly Candidate[];
  readonly steps: readonly TraceStep[];
}

const sourceText = ({ from, to }: TraceFacts): string => {
  if (from.who === 'node')
    return from.address === undefined
      ? `from this node, with source address ${to.address}`
      : `from this node, with one of its addresses as the source, for example ${from.address}`;
  const who =
    from.who === 'pod' ? `a pod on ${from.here ? 'this' : 'another'} node` : 'a client outside the cluster';
  return from.given ? `from ${who}, ${from.address}` : `from ${who}, for example ${from.address}`;
};

const bindingText = ({ bindings, dummyInterface }: TraceFacts): string => {
  if (bindings.length === 0) return 'is an address of this node';
  return bindings.includes('address') ? `is on ${dummyInterface}` : 'has a local route';
};

const arrivalStep = (facts: TraceFacts): TraceStep => {
  const { to, isLocal } = facts;
  const source = sourceText(facts);
  if (!isLocal(to.address))
    return {
      id: 'arrive',
      mark: 'fail',
      text: `${source}: ${to.address} is not local on this node; the packet is routed elsewhere and never reaches IPVS`,
    };
  const text = `${source}: delivered to this node, ${to.address} ${bindingText(facts)}`;
  return { id: 'arrive', mark: 'ok', text };
};

/** The comments of the rules that decided. */
const decidingRules = ({ matchedRules }: HookResult): string => {
  const named = matchedRules
    // These rules translate an address to itself and decide nothing.
    .filter(({ rule }) => rule.expressions.every(({ kind }) => kind !== 'destination-nat'))
    .map(({ rule }) => rule.comment)
    .filter((comment) => comment !== undefined);
  return named.join(' → ');
};

const refusalTexts = { 'tcp-reset': 'a TCP reset', 'port-unreachable': 'ICMP port unreachable' } as const;

const rulesStep = (rules: RuleEnvironment | undefined, walked: HookResult | undefined): TraceStep => {
  if (rules === undefined || walked === undefined)
    return {
      id: 'rules',
      mark: 'warn',
      text: 'the packet rules of kube-ipvs are missing: nothing is masqueraded, dropped or refused',
    };
  const deciding = decidingRules(walked);
  const because = deciding === '' ? '' : `: ${deciding}`;
  if (walked.verdict === 'dropped')
    return { id: 'rules', mark: 'fail', text: `the packet rules drop it${because}` };
  if (walked.verdict !== 'accepted')
    return {
      id: 'rules',
      mark: 'fail',
      text: `the packet rules refuse it with ${refusalTexts[walked.verdict]}${because}`,
    };
  return {
    id: 'rules',
    mark: 'ok',
    text: deciding === '' ? 'no packet rule matches it' : `the packet rules accept it${because}`,
  };
};

const schedulerTexts: Readonly<Record<string, string>> = {
  rr: 'in turn (rr)',
  wrr: 'in turn, by weight (wrr)',
  lc: 'with the fewest connections (lc)',
  wlc: 'with the fewest connections for its weight (wlc)',
  sh: 'by a hash of the source address (sh)',
  dh: 'by a hash of the destination address (dh)',
  mh: 'by a consistent hash of the source address (mh)',
  sed: 'with the shortest expected delay (sed)',
  nq: 'that is idle or has the shortest expected delay (nq)',
};

const weightText = ({ weight }: RealServerObservation, all: readonly RealServerObservation[]): string =>
  all.every((one) => one.weight === all[0]?.weight) ? '' : `, weight ${weight}`;

const ipvsStep = (facts: TraceFacts, open: readonly RealServerObservation[]): TraceStep => {
  const { virtualServer, nameOf } = facts;
  if (virtualServer === undefined) {
    const text = 'IPVS has no virtual server there: only a process on this node can answer';
    return { id: 'ipvs', mark: facts.bindings.length > 0 ? 'fail' : 'note', text };
  }
  if (open.length === 0)
    return {
      id: 'ipvs',
      mark: 'fail',
      text: 'IPVS has no real server that accepts connections: the connection is refused',
    };
  const { persistence, scheduler } = virtualServer.server;
  const shown = open
    .slice(0, 8)
    .map(
      (real) =>
        `${nameOf(real) === '' ? real.key : `${real.key} (${nameOf(real)})`}${weightText(real, open)}`,
    );
  const more = open.length > shown.length ? ` and ${open.length - shown.length} more` : '';
  const sticky =
    persistence === undefined
      ? ''
      : `; a client that connected within ${persistence.seconds} s gets the same one again`;
  const choice =
    open.length === 1
      ? 'forwards it to'
      : `picks one of ${open.length} real servers, ${schedulerTexts[scheduler] ?? scheduler}:`;
  return { id: 'ipvs', mark: 'ok', text: `IPVS ${choice} ${shown.join(', ')}${more}${sticky}` };
};

const candidateFor = (facts: TraceFacts, real: RealServerObservation, mark: number): Candidate => {
  const { from, to, rules, isLocal } = facts;
  const name = facts.nameOf(real);
  const base = { realServer: real.key, name };
  if (real.forwarding === 'local' || isLocal(real.address)) return { ...base, sees: 'local', lost: false };
  const masqueraded =
    rules !== undefined &&
    runHooks(rules, ['postrouting'], {
      source: from.address ?? to.address,
      destination: real.address,
      protocol: to.protocol,
      port: real.port,
      interfaceName: '',
      mark,
    }).masqueraded;
  if (masqueraded) return { ...base, sees: 'node', lost: false };
  const isFar = facts.isOnThisNode(real) === false;
  // The real server replies directly to the client; it does not know that this node translated the address.
  if (from.who === 'node' && from.address === undefined) return { ...base, sees: 'destination', lost: isFar };
  return { ...base, sees: 'own', lost: isFar && !from.here };
};

const listed = (candidates: readonly Candidate[]): string => {
  const names = candidates.slice(0, 4).map(({ realServer }) => realServer);
  return candidates.length > names.length
    ? `${names.join(', ')} and ${candidates.length - names.length} more`
    : names.join(', ');
};

/** For one real server, and for several. */
const seesTexts: Readonly<Record<Candidate['sees'], readonly [string, string]>> = {
  own: ["sees the client's address", "see the client's address"],
  node: ["sees this node's address (masqueraded)", "see this node's address (masqueraded)"],
  destination: ['sees the destination address as the source', 'see the destination address as the source'],
  local: [
    'is a process on this node: the packet does not leave the node and is not masqueraded',
    'are processes on this node: the packet does not leave the node and is not masqueraded',
  ],
};

const sourceSteps = (candidates: readonly Candidate[]): readonly TraceStep[] =>
  (['node', 'own', 'destination', 'local'] as const).flatMap((sees): readonly TraceStep[] => {
    const group = candidates.filter((candidate) => candidate.sees === sees);
    if (group.length === 0) return [];
    const [one, several] = seesTexts[sees];
    if (group.length === 1) return [{ id: 'source', mark: 'ok', text: `${listed(group)} ${one}` }];
    const who = group.length === candidates.length ? 'all backends' : listed(group);
    return [{ id: 'source', mark: 'ok', text: `${who} ${several}` }];
  });

const replyStep = (facts: TraceFacts, candidates: readonly Candidate[]): TraceStep => {
  const lost = candidates.filter((candidate) => candidate.lost);
  if (lost.length > 0)
    return {
      id: 'answer',
      mark: 'warn',
      text: `${listed(lost)} on another node would reply directly: the client does not recognize the reply unless it is routed through this node`,
    };
  const masqueraded = candidates.some(({ sees }) => sees === 'node');
  return {
    id: 'answer',
    mark: 'ok',
    text: `the reply comes back through this node${masqueraded ? ', to which it is addressed' : ''}: IPVS sets its source to ${facts.to.address}`,
  };
};

/** Runs the rules that the packet passes before IPVS, or a process on the node, receives it. */
const walkPacketRules = (facts: TraceFacts): HookResult | undefined => {
  const { from, to, rules } = facts;
  const virtualServer = facts.virtualServer ?? facts.markedServer;
  if (rules === undefined) return undefined;
  const packet = {
    source: from.address ?? to.address,
    destination: to.address,
    protocol: to.protocol,
    port: to.port,
    mark: 0,
  };
  if (from.who !== 'node')
    return runHooks(
      rules,
      ['prerouting', 'input'],
      { ...packet, interfaceName: from.interfaceName },
      // IPVS takes its packets before the kernel runs chains of type nat there.
      ({ hook, type }) => virtualServer === undefined || hook === 'prerouting' || type !== 'nat',
    );
  const sent = runHooks(rules, ['output'], { ...packet, interfaceName: '' });
  // A packet that IPVS does not handle on output arrives again on the loopback interface, with its NAT decided.
  return sent.verdict === 'accepted' && virtualServer === undefined
    ? runHooks(
        rules,
        ['prerouting', 'input'],
        { ...packet, interfaceName: 'lo' },
        ({ type }) => type !== 'nat',
      )
    : sent;
};

/** With the virtual server that takes the packet: the rules may have led it to the one on a firewall mark. */
const withTakingServer = (facts: TraceFacts, walked: HookResult | undefined): TraceFacts => {
  const { markedServer, virtualServer } = facts;
  const isLed = walked?.matchedRules.some(({ chain }) => chain === inClusterMap || chain === nodePortMap);
  return isLed === true ? { ...facts, virtualServer: markedServer ?? virtualServer } : facts;
};

/** Independent of the kernel's order. */
const byKey = (a: RealServerObservation, b: RealServerObservation): number =>
  a.key < b.key ? -1 : Number(a.key > b.key);

const isOpen = (real: RealServerObservation): boolean => real.weight > 0;

/** Follows the first packet of a connection step by step through the kernel's tables. */
export const tracePacket = (given: TraceFacts): Trace => {
  const walked = given.isLocal(given.to.address) ? walkPacketRules(given) : undefined;
  const facts = withTakingServer(given, walked);
  const { to, from, rules, virtualServer } = facts;
  const steps: TraceStep[] = [arrivalStep(facts)];
  const ended = (end: Trace['end'], candidates: readonly Candidate[] = []): Trace => ({
    from,
    to,
    end,
    candidates,
    steps,
  });
  if (!facts.isLocal(to.address)) return ended('nowhere');
  steps.push(rulesStep(rules, walked));
  if (walked?.verdict === 'dropped') return ended('dropped');
  if (walked !== undefined && walked.verdict !== 'accepted') return ended('refused');
  const open = [...(virtualServer?.realServers.values() ?? [])].filter(isOpen).toSorted(byKey);
  steps.push(ipvsStep(facts, open));
  if (virtualServer === undefined) return ended('node');
  if (open.length === 0) return ended('refused');
  const candidates = open.map((real) => candidateFor(facts, real, walked?.mark ?? 0));
  steps.push(
    ...sourceSteps(candidates),
    ...facts.obstacles.map((text): TraceStep => ({ id: 'forward', mark: 'fail', text })),
    replyStep(facts, candidates),
  );
  return ended('answered', candidates);
};
