import type { IpvsOperation, Operation, Outcome } from '../model/operation.js';
import { operationTarget } from '../model/operation.js';
import {
  virtualServerKey,
  type VirtualServerIdentity,
  type VirtualServerKey,
} from '../model/virtual-server.js';
import type { Contested } from '../plan/contested.js';
import { isEmpty, union, type Touched } from '../plan/diff.js';
import { phaseOperations, type Phase } from '../plan/order.js';
import {
  tryVirtualServer,
  type IpvsReads,
  type ReadVirtualServer,
  type Unreadable,
} from './kernel-reader.js';
import type { Observed } from './observed.js';

export interface ContestsParts {
  readonly ipvs: IpvsReads;
  readonly observed: Observed;
  readonly contested: Contested;
  /** Whether a virtual server that a Service asks for is to be ours, whoever made it. */
  readonly isGiven: (identity: VirtualServerIdentity) => boolean;
}

const isAdd = (operation: Operation): operation is IpvsOperation & { kind: 'add-virtual-server' } =>
  operation.kind === 'add-virtual-server';

/**
 * Finds out at run time whose a virtual server is that we are about to make. The kernel refuses it where somebody else was
 * faster (EEXIST); but where an earlier try of ours went without an answer, what is there is our own.
 */
export class Contests {
  /** Refused as there is one already, and not read since. */
  readonly #collided = new Map<VirtualServerKey, VirtualServerIdentity>();
  /** Sent without an answer, and not read since. */
  readonly #unanswered = new Set<VirtualServerKey>();

  #missed: ReadonlySet<VirtualServerKey> = new Set();

  constructor(private readonly parts: ContestsParts) {}

  /** Virtual servers of ours that the last dump did not have: it may have passed over them while others came or went. */
  missed(missing: ReadonlySet<VirtualServerKey>): void {
    this.#missed = missing;
    // What of it came to be has been adopted; what somebody makes later is his.
    this.#unanswered.clear();
  }

  /** Whether we may have made it: what came of it is not known. */
  isMaybeOurs(key: VirtualServerKey): boolean {
    return this.#unanswered.has(key);
  }

  /**
   * To be called before touched keys are diffed: what is known of others there is read again, and adopted as it stands where a
   * Service says so. Gives the keys with those that are wanted otherwise since the last call.
   */
  async settle(touched: Touched, unreadable: Unreadable): Promise<Touched> {
    const { contested, observed, isGiven, ipvs } = this.parts;
    if (contested.foreign > 0)
      for (const key of touched.virtualServers) {
        const identity = contested.at(key)?.identity;
        if (identity === undefined) continue;
        const read = await tryVirtualServer(ipvs, identity, unreadable);
        // It stays with whoever has it where it cannot be read.
        if (read === 'unreadable' || (read !== undefined && !isGiven(identity))) continue;
        observed.setVirtualServer(key, read);
        contested.delete(key);
      }
    return this.takeInto(touched);
  }

  /** The keys with those that are wanted otherwise since the last call, as virtual servers of others came or went. */
  takeInto(touched: Touched): Touched {
    const changed = this.parts.contested.take();
    return isEmpty(changed) ? touched : union(touched, changed);
  }

  /** What may still be done of a phase: nothing for the sake of a virtual server that somebody else was faster to make. */
  withhold(phase: Phase): Phase {
    if (this.#collided.size === 0) return phase;
    if ('ipvs' in phase)
      return { ...phase, ipvs: phase.ipvs.filter((each) => !this.#collided.has(operationTarget(each))) };
    if (!('addresses' in phase)) return phase;
    const addresses = new Set(
      [...this.#collided.values()].map((identity) => (identity.by === 'address' ? identity.address : '')),
    );
    return { ...phase, addresses: phase.addresses.filter(({ address }) => !addresses.has(address)) };
  }

  note(operation: Operation, outcome: Outcome): void {
    if (!isAdd(operation)) return;
    const { key, identity } = operation.server;
    if (outcome.status === 'unknown') this.#unanswered.add(key);
    else if (outcome.status === 'failed' && outcome.errno === 'EEXIST') this.#collided.set(key, identity);
  }

  /** The connection broke while the phase was under way. */
  noteLost(phase: Phase): void {
    for (const operation of phaseOperations(phase)) this.note(operation, { status: 'unknown' });
  }

  /** What was read of a virtual server that was in doubt; undefined where it is not ours, or not there. */
  judge(identity: VirtualServerIdentity, read: ReadVirtualServer | undefined): ReadVirtualServer | undefined {
    const key = virtualServerKey(identity);
    const collided = this.#collided.delete(key);
    const isMaybeOurs = this.#unanswered.delete(key) || this.#missed.has(key);
    if (read === undefined || !collided || isMaybeOurs || this.parts.isGiven(identity)) return read;
    this.parts.contested.add(key, identity);
    return undefined;
  }
}
