import type { Protocol } from '../../base/protocol.js';
import type { PaceSettings, Pace, Paces } from '../../model/pace.js';
import type {
  DesiredVirtualServer,
  RealServerKey,
  RealServerObservation,
} from '../../model/virtual-server.js';
import { maximumQuarantined, openRealServers } from './pace-step.js';

/** What the counters of a real server showed at the last check. */
export interface AnswerState {
  readonly requests: bigint;
  readonly outPackets: bigint;
  /** Since its last answer: the checks that saw new requests, and these requests. */
  readonly unansweredChecks: number;
  readonly unansweredRequests: bigint;
}

export type AnswerStates = ReadonlyMap<RealServerKey, AnswerState>;

/** The minimum time between two checks: the kernel updates its counters every two seconds. */
export const answerCheckIntervalMilliseconds = 3_000;

/** An answer may be counted one check after its request. */
const minimumUnansweredChecks = 2;
const minimumUnansweredRequests = 3n;

/** A UDP client may send all its requests from one port, so its packets count; a packet of TCP needs no reply. */
const initialState = (
  { statistics, forwarding, weight }: RealServerObservation,
  protocol: Protocol,
): AnswerState | undefined => {
  // Replies pass through this node only if it translates addresses.
  if (statistics === undefined || forwarding !== 'masquerade' || weight === 0) return undefined;
  const { connections, inPackets, outPackets } = statistics;
  const requests = protocol === 'UDP' ? inPackets : connections;
  return { requests, outPackets, unansweredChecks: 0, unansweredRequests: 0n };
};

const nextState = (before: AnswerState | undefined, current: AnswerState): AnswerState => {
  // Fewer requests than before: another program reset the counters.
  if (before === undefined || current.requests < before.requests || current.outPackets !== before.outPackets)
    return current;
  if (current.requests === before.requests) return before;
  return {
    ...current,
    unansweredChecks: before.unansweredChecks + 1,
    unansweredRequests: before.unansweredRequests + current.requests - before.requests,
  };
};

const isSilent = ({ unansweredChecks, unansweredRequests }: AnswerState): boolean =>
  unansweredChecks >= minimumUnansweredChecks && unansweredRequests >= minimumUnansweredRequests;

export interface AnswerStep {
  readonly states: AnswerStates;
  /** The real servers that got requests and sent nothing, while another one answered. */
  readonly silent: readonly RealServerKey[];
}

/** Compares the counters of the real servers of one virtual server with those of the last check. */
export const answerStep = (
  before: AnswerStates | undefined,
  servers: readonly RealServerObservation[],
  protocol: Protocol,
): AnswerStep => {
  const states = new Map<RealServerKey, AnswerState>();
  let anyAnswers = false;
  for (const server of servers) {
    const current = initialState(server, protocol);
    if (current === undefined) continue;
    const known = before?.get(server.key);
    if (known !== undefined && current.outPackets > known.outPackets) anyAnswers = true;
    states.set(server.key, nextState(known, current));
  }
  const silent = anyAnswers ? [...states].flatMap(([key, state]) => (isSilent(state) ? [key] : [])) : [];
  return { states, silent };
};

export interface QuarantineInput {
  readonly desired: DesiredVirtualServer & { readonly pace: PaceSettings };
  readonly paces: Paces;
  readonly silent: readonly RealServerKey[];
  readonly isReady: (key: RealServerKey) => boolean;
  readonly now: number;
}

/** The silent real servers that are quarantined now: used, ready, and at most as many as allowed. */
export const quarantine = (input: QuarantineInput): Paces => {
  const { desired, paces, silent, isReady, now } = input;
  const quarantined = [...paces.values()].filter(({ kind }) => kind === 'quarantined').length;
  const candidates = silent.filter(
    (key) => desired.realServers.has(key) && paces.get(key)?.kind !== 'quarantined' && isReady(key),
  );
  const chosen = candidates.slice(
    0,
    Math.max(0, maximumQuarantined(openRealServers(desired).length) - quarantined),
  );
  const until = now + desired.pace.quarantineMilliseconds;
  const pace: Pace = { kind: 'quarantined', since: now, until };
  return new Map(chosen.map((key) => [key, pace]));
};
