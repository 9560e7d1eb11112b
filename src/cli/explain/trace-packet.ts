import type { IpAddress } from '../../base/ip.js';
import { runHook, type RuleEnvironment, type HookResult } from '../../nftables/rule-interpreter.js';
import type { Protocol } from '../../base/protocol.js';
import type { RealServerObservation } from '../../model/virtual-server.js';
import type { ObservedVirtualServer } from '../kernel/kernel-snapshot.js';

/** Who asks. */
export interface PacketSource {
  readonly who: 'pod' | 'node' | 'outside';
  /** Undefined: the node, which speaks with the address that it speaks to. */
  readonly address: IpAddress | undefined;
  /** On this node. */
  readonly here: boolean;
  /** Whether somebody named the address, or it stands for any. */
  readonly given: boolean;
  /** Where its packets come in; '' for the node itself. */
  readonly interfaceName: string;
}

/** Where a packet goes to. */
export interface Destination {
  readonly address: IpAddress;
  readonly protocol: Protocol | 'ICMP';
  readonly port: number;
}

export interface TraceFacts {
  readonly to: Destination;
  readonly from: PacketSource;
  /** Of the family; undefined: they are not in force. */
  readonly rules: RuleEnvironment | undefined;
  /** Whether the address is one of this machine, and whether it is on kube-ipvs0. */
  readonly isLocal: (address: IpAddress) => boolean;
  readonly isVip: (address: IpAddress) => boolean;
  /** As the kernel has it; undefined: it has none there. */
  readonly virtualServer: ObservedVirtualServer | undefined;
  /** Whose a real server is, as `default/web-1 on n2`; '' where nobody told. */
  readonly nameOf: (realServer: RealServerObservation) => string;
  /** Whether it is on this node; undefined: nobody told. */
  readonly isOnThisNode: (realServer: RealServerObservation) => boolean | undefined;
  /** What on this node keeps packets from being passed on, a sentence each. */
  readonly obstacles: readonly string[];
}

export interface TraceStep {
  /** Stable, for programs. */
  readonly id: 'arrive' | 'rules' | 'ipvs' | 'source' | 'forward' | 'answer';
  readonly mark: 'ok' | 'note' | 'warn' | 'fail';
  readonly text: string;
}

/** Who may answer, and what of the asker it sees. */
export interface Candidate {
  readonly realServer: string;
  readonly name: string;
  /** `own`: the asker's address; `node`: this node's, masqueraded; `destination`: the address that was asked; `local`: it is a process of this node. */
  readonly sees: 'own' | 'node' | 'destination' | 'local';
  /** Its answer finds no way back to the asker. */
  readonly lost: boolean;
}

export interface Trace {
  readonly from: PacketSource;
  readonly to: Destination;
  /** `answered`: by one of the candidates; `node`: IPVS has no part in it, a process of this node may answer. */
  readonly end: 'answered' | 'refused' | 'dropped' | 'nowhere' | 'node';
  readonly candidates: readonly Candidate[];
  readonly steps: readonly TraceStep[];
}

const sourceText = ({ from, to }: TraceFacts): string => {
  if (from.who === 'node') return `this node itself, which speaks with ${to.address} as its own address`;
  const who = from.who === 'pod' ? `a pod of ${from.here ? 'this' : 'another'} node` : 'a client outside';
  if (from.given) return `${who}, ${from.address}`;
  return `${who} (as ${from.address}, which stands for any)`;
};

const arrivalStep = (facts: TraceFacts): TraceStep => {
  const { to, isVip, isLocal } = facts;
  if (isVip(to.address))
    return {
      id: 'arrive',
      mark: 'ok',
      text: `${sourceText(facts)}: delivered here, ${to.address} is on kube-ipvs0`,
    };
  return isLocal(to.address)
    ? {
        id: 'arrive',
        mark: 'ok',
        text: `${sourceText(facts)}: delivered here, ${to.address} is an address of this node`,
      }
    : {
        id: 'arrive',
        mark: 'fail',
        text: `${sourceText(facts)}: ${to.address} is on no interface of this node, so that the packet goes where routes lead and never meets IPVS`,
      };
};

/** The rules that decided something, in the words of their comments. */
const decidingRules = ({ matchedRules: met }: HookResult): string => {
  const named = met
    // That an address stays as it is decides nothing.
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
      text: 'there are no packet rules of kube-ipvs here: nothing is masqueraded, dropped or refused by them',
    };
  const deciding = decidingRules(walked);
  const because = deciding === '' ? '' : `: ${deciding}`;
  if (walked.verdict === 'dropped')
    return { id: 'rules', mark: 'fail', text: `packet rules drop it${because}` };
  if (walked.verdict !== 'accepted')
    return {
      id: 'rules',
      mark: 'fail',
      text: `packet rules refuse it with ${refusalTexts[walked.verdict]}${because}`,
    };
  return {
    id: 'rules',
    mark: 'ok',
    text: deciding === '' ? 'no packet rule is about it' : `packet rules let it pass${because}`,
  };
};

const schedulerTexts: Readonly<Record<string, string>> = {
  rr: 'one after the other (rr)',
  wrr: 'one after the other, by weight (wrr)',
  lc: 'with the fewest connections (lc)',
  wlc: 'with the fewest connections for its weight (wlc)',
  sh: 'by the address of the client (sh)',
  dh: 'by the destination (dh)',
  mh: 'by a hash of the client that changes little (mh)',
  sed: 'that answers soonest (sed)',
  nq: 'that is idle, or answers soonest (nq)',
};

const weightText = ({ weight }: RealServerObservation, all: readonly RealServerObservation[]): string =>
  all.every((one) => one.weight === all[0]?.weight) ? '' : `, weight ${weight}`;

const ipvsStep = (facts: TraceFacts, open: readonly RealServerObservation[]): TraceStep => {
  const { virtualServer, nameOf } = facts;
  if (virtualServer === undefined) {
    const text = 'IPVS has no virtual server there: only a process of this node may answer';
    return { id: 'ipvs', mark: facts.isVip(facts.to.address) ? 'fail' : 'note', text };
  }
  if (open.length === 0)
    return { id: 'ipvs', mark: 'fail', text: 'IPVS has no real server that takes connections: it refuses' };
  const { persistence, scheduler } = virtualServer.server;
  const shown = open
    .slice(0, 8)
    .map(
      (real) =>
        `${nameOf(real) === '' ? real.key : `${real.key} (${nameOf(real)})`}${weightText(real, open)}`,
    );
  const more = open.length > shown.length ? ` and ${open.length - shown.length} more` : '';
  const sticky =
    persistence === undefined ? '' : `; whoever asked within ${persistence.seconds} s gets the one of before`;
  const choice =
    open.length === 1 ? 'takes' : `picks one of ${open.length}, ${schedulerTexts[scheduler] ?? scheduler},`;
  return { id: 'ipvs', mark: 'ok', text: `IPVS ${choice} ${shown.join(', ')}${more}${sticky}` };
};

const candidateFor = (facts: TraceFacts, real: RealServerObservation, mark: number): Candidate => {
  const { from, to, rules, isLocal } = facts;
  const name = facts.nameOf(real);
  const base = { realServer: real.key, name };
  if (real.forwarding === 'local' || isLocal(real.address)) return { ...base, sees: 'local', lost: false };
  const masqueraded =
    rules !== undefined &&
    runHook(rules, 'postrouting', {
      source: from.address ?? to.address,
      destination: real.address,
      protocol: to.protocol,
      port: real.port,
      interfaceName: '',
      mark,
    }).masqueraded;
  if (masqueraded) return { ...base, sees: 'node', lost: false };
  const isFar = facts.isOnThisNode(real) === false;
  // The other node answers the asker itself; it cannot know that this node has changed the address.
  if (from.who === 'node') return { ...base, sees: 'destination', lost: isFar };
  return { ...base, sees: 'own', lost: isFar && !from.here };
};

const listed = (candidates: readonly Candidate[]): string => {
  const names = candidates.slice(0, 4).map(({ realServer }) => realServer);
  return candidates.length > names.length
    ? `${names.join(', ')} and ${candidates.length - names.length} more`
    : names.join(', ');
};

/** Of one, and of several. */
const seesTexts: Readonly<Record<Candidate['sees'], readonly [string, string]>> = {
  own: ["sees the asker's own address", "see the asker's own address"],
  node: ["sees this node's address (masqueraded)", "see this node's address (masqueraded)"],
  destination: [
    'sees the address that was asked as the source',
    'see the address that was asked as the source',
  ],
  local: [
    'is a process of this node: the packet does not leave it, and is not masqueraded',
    'are processes of this node: the packet does not leave it, and is not masqueraded',
  ],
};

const sourceSteps = (candidates: readonly Candidate[]): readonly TraceStep[] =>
  (['node', 'own', 'destination', 'local'] as const).flatMap((sees): readonly TraceStep[] => {
    const group = candidates.filter((candidate) => candidate.sees === sees);
    if (group.length === 0) return [];
    const [one, several] = seesTexts[sees];
    if (group.length === 1) return [{ id: 'source', mark: 'ok', text: `${listed(group)} ${one}` }];
    const who = group.length === candidates.length ? 'all of them' : listed(group);
    return [{ id: 'source', mark: 'ok', text: `${who} ${several}` }];
  });

const replyStep = (facts: TraceFacts, candidates: readonly Candidate[]): TraceStep => {
  const lost = candidates.filter((candidate) => candidate.lost);
  if (lost.length > 0)
    return {
      id: 'answer',
      mark: 'warn',
      text: `${listed(lost)} on another node would answer past this node: the asker does not know that answer, unless its route back leads through here`,
    };
  const masqueraded = candidates.some(({ sees }) => sees === 'node');
  return {
    id: 'answer',
    mark: 'ok',
    text: `the answer comes back through this node${masqueraded ? ', which it is addressed to' : ''}: IPVS gives it ${facts.to.address} as its source again`,
  };
};

/** What the rules say before IPVS takes the packet, or a process of the node does. */
const walkPacketRules = ({ from, to, rules, virtualServer: entry }: TraceFacts): HookResult | undefined => {
  if (rules === undefined) return undefined;
  const packet = {
    source: from.address ?? to.address,
    destination: to.address,
    protocol: to.protocol,
    port: to.port,
    mark: 0,
  };
  if (from.who !== 'node') return runHook(rules, 'input', { ...packet, interfaceName: from.interfaceName });
  const sent = runHook(rules, 'output', { ...packet, interfaceName: '' });
  // What IPVS does not take on its way out comes back in by the loopback interface.
  return sent.verdict === 'accepted' && entry === undefined
    ? runHook(rules, 'input', { ...packet, interfaceName: 'lo' })
    : sent;
};

/** In an order that does not change with the kernel's. */
const byKey = (a: RealServerObservation, b: RealServerObservation): number =>
  a.key < b.key ? -1 : Number(a.key > b.key);

const isOpen = (real: RealServerObservation): boolean => real.weight > 0;

/** What becomes of the first packet of a connection, step by step, as the kernel's own tables decide. */
export const tracePacket = (facts: TraceFacts): Trace => {
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
  const walked = walkPacketRules(facts);
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
