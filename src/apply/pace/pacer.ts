import { yieldToEventLoop } from '../../base/async.js';
import type { Logger } from '../../base/log.js';
import type { Pace, Paces, PaceSettings } from '../../model/pace.js';
import {
  protocolOfServer,
  type DesiredVirtualServer,
  type RealServer,
  type RealServerKey,
  type VirtualServerKey,
} from '../../model/virtual-server.js';
import {
  drainRecordKey,
  quarantinedSince,
  quarantineRecord,
  recordedSince,
} from '../../plan/drain/drain-records.js';
import type { SetElement } from '../../nftables/declarations.js';
import type { DesiredView } from '../../plan/operations/diff.js';
import { paceStep, type PaceInput } from '../../plan/pace/pace-step.js';
import {
  answerCheckIntervalMilliseconds,
  quarantine,
  answerStep,
  type AnswerStates,
} from '../../plan/pace/answers.js';
import { tryReadRealServers, type IpvsReads, type UnreadableHandler } from '../mirror/kernel-reader.js';
import type { EngineState } from '../state/engine-state.js';

/** A real server that gets no new connections from now on, because it does not answer. */
export interface Quarantine {
  readonly virtualServer: VirtualServerKey;
  readonly realServer: RealServerKey;
  readonly milliseconds: number;
}

export interface PacerParts {
  readonly ipvs: Pick<IpvsReads, 'realServers'>;
  readonly state: EngineState;
  /** The desired state with full weights. */
  readonly fullWeights: Pick<DesiredView, 'virtualServer'>;
  /** Whether the API reports the endpoint of the real server ready. */
  readonly isEndpointReady: (of: VirtualServerKey, realServer: RealServerKey) => boolean;
  readonly onQuarantined?: ((quarantine: Quarantine) => void) | undefined;
  /** Whether the process ends after one sync: it then sets full weights, because nothing would raise others. */
  readonly runsOnce?: boolean | undefined;
  readonly onUnreadable: UnreadableHandler;
  readonly log: Logger;
  /** Milliseconds of a monotonic clock. */
  readonly now: () => number;
}

type PacedVirtualServer = DesiredVirtualServer & { readonly pace: PaceSettings };

const isPaced = (desired: DesiredVirtualServer | undefined): desired is PacedVirtualServer =>
  desired?.pace !== undefined;

/** Virtual servers to read before yielding to the event loop. */
const readsPerTurn = 64;

/** Weights that change within this time are changed together. */
const minimumDelayMilliseconds = 100;

/** Reading counters takes at most 1/20 of the time, regardless of how many virtual servers are watched. */
const checkTimeDivisor = 20;

/** Decides which weight each real server has at this time, and watches whether real servers answer. */
export class Pacer {
  readonly #answers = new Map<VirtualServerKey, AnswerStates>();
  #nextCheck = 0;
  #quarantineCount = 0;

  constructor(private readonly parts: PacerParts) {}

  /** The number of real servers that do not have their full weight, and the quarantines since the start. */
  get counts(): Readonly<Record<Pace['kind'] | 'quarantines', number>> {
    return { ...this.parts.state.paces.counts, quarantines: this.#quarantineCount };
  }

  /** Milliseconds until a weight changes or counters must be read; undefined if neither is to come. */
  get nextDelay(): number | undefined {
    const { paces } = this.parts.state;
    const next = Math.min(paces.nextChange ?? Infinity, paces.watched.size > 0 ? this.#nextCheck : Infinity);
    if (next === Infinity) return undefined;
    return Math.max(minimumDelayMilliseconds, Math.ceil(next - this.parts.now()));
  }

  /** In whole milliseconds. */
  get #now(): number {
    return Math.floor(this.parts.now());
  }

  /** Brings the paces of these virtual servers up to date. The caller compares their weights afterwards. */
  update(keys: Iterable<VirtualServerKey>): void {
    const { fullWeights, state, runsOnce = false } = this.parts;
    if (runsOnce) return;
    for (const key of keys) {
      const desired = fullWeights.virtualServer(key);
      const before = state.paces.of(key);
      if (isPaced(desired)) {
        const after = paceStep(this.#inputOf(key, desired));
        this.#replace(key, desired, after);
        this.#logEnded(key, before, after);
      } else if (before !== undefined) state.deletePaces(key);
      if (!state.paces.watched.has(key)) this.#answers.delete(key);
    }
  }

  /** The virtual servers with weights that change now. Reads counters if the check is due. */
  async takeDue(): Promise<ReadonlySet<VirtualServerKey>> {
    const { state, now } = this.parts;
    const due = state.paces.takeDue(this.#now);
    if (state.paces.watched.size === 0 || now() < this.#nextCheck) return due;
    const started = now();
    for (const key of await this.#checkAnswers()) due.add(key);
    const took = now() - started;
    this.#nextCheck = now() + Math.max(answerCheckIntervalMilliseconds, took * checkTimeDivisor);
    return due;
  }

  #inputOf(key: VirtualServerKey, desired: PacedVirtualServer): PaceInput {
    const { state, isEndpointReady } = this.parts;
    const { identity } = desired.server;
    const before = state.paces.of(key);
    const draining = state.virtualServers.drains.of(key);
    const now = this.#now;
    const recordOf = (server: RealServer): SetElement | undefined =>
      before === undefined ? state.element(drainRecordKey(identity, server)) : undefined;
    return {
      desired,
      observed: state.virtualServer(key),
      before,
      isDraining: (server) => draining.has(server.key) || recordedSince(recordOf(server), now) !== undefined,
      quarantinedSince: (server) => quarantinedSince(recordOf(server), now),
      isReady: (realServer) => isEndpointReady(key, realServer),
      now,
    };
  }

  /** Replaces the paces of a virtual server, and what the next process finds of its quarantines. */
  #replace(key: VirtualServerKey, desired: PacedVirtualServer, paces: Paces): void {
    const records: SetElement[] = [];
    for (const [realServer, { kind, since }] of paces) {
      const server = kind === 'quarantined' ? desired.realServers.get(realServer) : undefined;
      if (server !== undefined) records.push(quarantineRecord(desired.server.identity, server, since));
    }
    this.parts.state.setPaces(key, paces, desired.pace, records);
  }

  /** Returns the virtual servers with a real server that is quarantined now. */
  async #checkAnswers(): Promise<readonly VirtualServerKey[]> {
    const { state } = this.parts;
    const found: VirtualServerKey[] = [];
    for (const [index, key] of [...state.paces.watched].entries()) {
      if (index % readsPerTurn === readsPerTurn - 1) await yieldToEventLoop();
      if (await this.#checkVirtualServer(key)) found.push(key);
    }
    return found;
  }

  async #checkVirtualServer(key: VirtualServerKey): Promise<boolean> {
    const { ipvs, state, fullWeights, onUnreadable } = this.parts;
    const desired = fullWeights.virtualServer(key);
    const identity = state.virtualServer(key)?.server.identity;
    const protocol = identity && protocolOfServer(identity);
    // The only real server is never quarantined.
    if (!isPaced(desired) || !identity || protocol === undefined || desired.realServers.size < 2) {
      this.#answers.delete(key);
      return false;
    }
    const servers = await tryReadRealServers(ipvs, identity, onUnreadable);
    if (servers === 'unreadable') return false;
    const { states, silent } = answerStep(this.#answers.get(key), servers, protocol);
    this.#answers.set(key, states);
    return silent.length > 0 && this.#quarantine(key, desired, silent);
  }

  #quarantine(key: VirtualServerKey, desired: PacedVirtualServer, silent: readonly RealServerKey[]): boolean {
    const { state, isEndpointReady } = this.parts;
    const paces = state.paces.of(key) ?? new Map<RealServerKey, Pace>();
    const isReady = (realServer: RealServerKey): boolean => isEndpointReady(key, realServer);
    const begun = quarantine({ desired, paces, silent, isReady, now: this.#now });
    this.#replace(key, desired, new Map([...paces, ...begun]));
    for (const realServer of begun.keys()) this.#report(key, realServer, desired.pace.quarantineMilliseconds);
    return begun.size > 0;
  }

  #report(virtualServer: VirtualServerKey, realServer: RealServerKey, milliseconds: number): void {
    const { log, onQuarantined } = this.parts;
    this.#quarantineCount += 1;
    log.warn(
      { event: 'real-server-quarantined', virtualServer, realServer, seconds: milliseconds / 1_000 },
      'Real server does not answer; it gets no new connections for a while',
    );
    onQuarantined?.({ virtualServer, realServer, milliseconds });
  }

  #logEnded(virtualServer: VirtualServerKey, before: Paces | undefined, after: Paces): void {
    for (const [realServer, { kind }] of before ?? [])
      if (kind === 'quarantined' && after.get(realServer)?.kind !== 'quarantined')
        this.parts.log.info(
          { event: 'quarantine-ended', virtualServer, realServer },
          'Quarantine of a real server ended',
        );
  }
}
