import type { IpvsOperation, Operation, Outcome } from '../../model/operation.js';
import { operationKey } from '../../model/operation.js';
import {
  virtualServerKey,
  type VirtualServerIdentity,
  type VirtualServerKey,
} from '../../model/virtual-server.js';
import type { ForeignVirtualServers } from '../../plan/ownership/foreign-virtual-servers.js';
import { isEmpty, union, type DirtyKeys } from '../../plan/operations/diff.js';
import { phaseOperations, type Phase } from '../../plan/operations/phases.js';
import {
  tryReadVirtualServer,
  type IpvsReads,
  type VirtualServerSnapshot,
  type UnreadableHandler,
} from '../mirror/kernel-reader.js';
import type { ObservedState } from '../mirror/observed-state.js';

export interface OwnershipConflictsParts {
  readonly ipvs: IpvsReads;
  readonly observed: ObservedState;
  readonly foreign: ForeignVirtualServers;
  /** Whether a virtual server that a Service asks for is to be ours, whoever made it. */
  readonly adoptForeign: (identity: VirtualServerIdentity) => boolean;
}

const isAddVirtualServer = (
  operation: Operation,
): operation is IpvsOperation & { kind: 'add-virtual-server' } => operation.kind === 'add-virtual-server';

/**
 * Finds out at run time whose a virtual server is that we are about to make. The kernel refuses it where somebody else was
 * faster (EEXIST); but where an earlier try of ours went without an answer, what is there is our own.
 */
export class OwnershipConflicts {
  /** Refused as there is one already, and not read since. */
  readonly #alreadyExisting = new Map<VirtualServerKey, VirtualServerIdentity>();
  /** Sent without an answer, and not read since. */
  readonly #unknownOutcomes = new Set<VirtualServerKey>();

  #missingFromDump: ReadonlySet<VirtualServerKey> = new Set();

  constructor(private readonly parts: OwnershipConflictsParts) {}

  /** Virtual servers of ours that the last dump did not have: it may have passed over them while others came or went. */
  setMissing(missing: ReadonlySet<VirtualServerKey>): void {
    this.#missingFromDump = missing;
    // What of it came to be has been adopted; what somebody makes later is his.
    this.#unknownOutcomes.clear();
  }

  /** Whether we may have made it: what came of it is not known. */
  mayBeOurs(key: VirtualServerKey): boolean {
    return this.#unknownOutcomes.has(key);
  }

  /**
   * To be called before touched keys are diffed: what is known of others there is read again, and adopted as it stands where a
   * Service says so. Gives the keys with those that are wanted otherwise since the last call.
   */
  async expandDirtyKeys(dirty: DirtyKeys, onUnreadable: UnreadableHandler): Promise<DirtyKeys> {
    const { foreign, observed, adoptForeign, ipvs } = this.parts;
    if (foreign.size > 0)
      for (const key of dirty.virtualServers) {
        const identity = foreign.conflictAt(key)?.identity;
        if (identity === undefined) continue;
        const read = await tryReadVirtualServer(ipvs, identity, onUnreadable);
        // It stays with whoever has it where it cannot be read.
        if (read === 'unreadable' || (read !== undefined && !adoptForeign(identity))) continue;
        observed.setVirtualServer(key, read);
        foreign.delete(key);
      }
    return this.addChangedKeys(dirty);
  }

  /** The keys with those that are wanted otherwise since the last call, as virtual servers of others came or went. */
  addChangedKeys(dirty: DirtyKeys): DirtyKeys {
    const changed = this.parts.foreign.takeDirtyKeys();
    return isEmpty(changed) ? dirty : union(dirty, changed);
  }

  /** What may still be done of a phase: nothing for the sake of a virtual server that somebody else was faster to make. */
  withoutConflicts(phase: Phase): Phase {
    if (this.#alreadyExisting.size === 0) return phase;
    if ('ipvs' in phase)
      return { ...phase, ipvs: phase.ipvs.filter((each) => !this.#alreadyExisting.has(operationKey(each))) };
    if (!('addresses' in phase)) return phase;
    const addresses = new Set(
      [...this.#alreadyExisting.values()].map((identity) =>
        identity.by === 'address' ? identity.address : '',
      ),
    );
    return { ...phase, addresses: phase.addresses.filter(({ address }) => !addresses.has(address)) };
  }

  recordOutcome(operation: Operation, outcome: Outcome): void {
    if (!isAddVirtualServer(operation)) return;
    const { key, identity } = operation.server;
    if (outcome.status === 'unknown') this.#unknownOutcomes.add(key);
    else if (outcome.status === 'failed' && outcome.errno === 'EEXIST')
      this.#alreadyExisting.set(key, identity);
  }

  /** The connection broke while the phase was under way. */
  recordLost(phase: Phase): void {
    for (const operation of phaseOperations(phase)) this.recordOutcome(operation, { status: 'unknown' });
  }

  /** What was read of a virtual server that was in doubt; undefined where it is not ours, or not there. */
  resolveOwnership(
    identity: VirtualServerIdentity,
    read: VirtualServerSnapshot | undefined,
  ): VirtualServerSnapshot | undefined {
    const key = virtualServerKey(identity);
    const collided = this.#alreadyExisting.delete(key);
    const mayBeOurs = this.#unknownOutcomes.delete(key) || this.#missingFromDump.has(key);
    if (read === undefined || !collided || mayBeOurs || this.parts.adoptForeign(identity)) return read;
    this.parts.foreign.add(key, identity);
    return undefined;
  }
}
