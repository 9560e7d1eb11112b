import { Yielder } from '../base/async.js';
import { bootMilliseconds } from '../base/boot-clock.js';
import type { Logger } from '../base/log.js';
import {
  operationKey,
  type AddressOperation,
  type ElementOperation,
  type IpvsOperation,
  type Operation,
  type Outcome,
} from '../model/operation.js';
import { formatOperation } from '../model/plan-entry.js';
import { virtualServerKey, type VirtualServerKey } from '../model/virtual-server.js';
import {
  diff,
  isEmpty,
  dirtyKeys,
  union,
  without,
  type DirtyKeys,
  type DesiredView,
} from '../plan/operations/diff.js';
import type { DrainSettings, DrainStep } from '../plan/drain/drain-step.js';
import { phases, phaseOperations, type Phase, type Urgency } from '../plan/operations/phases.js';
import type { OwnershipConflicts } from './ownership/ownership-conflicts.js';
import { decide, type Decision, type Refusal } from './retry/decisions.js';
import { Drains, withoutDrainRecords, withDrainRecords, type DrainsParts } from './drain/drains.js';
import { OrphanRelease, type OrphanReleaseParts } from './drain/orphan-release.js';
import { OwnershipMarkers } from './ownership/ownership-markers.js';
import type { IpvsReads, UnreadableHandler } from './mirror/kernel-reader.js';
import { UntrustedKeys } from './mirror/untrusted-keys.js';
import type { ObservedState } from './mirror/observed-state.js';
import type { OperationCounters } from './counters/operation-counters.js';
import { resetConnections, type FlowCleaner } from './conntrack/reset-connections.js';
import { UdpFlowInvalidation } from './conntrack/udp-flow-invalidation.js';
import {
  retryTargetName,
  RefusedOperations,
  retryTargetOf,
  type RetryTarget,
} from './retry/refused-operations.js';
import type { Failure, RetryDelays } from './retry/retries.js';
import { slices, type Slice } from './slices.js';

export interface ReconcilerParts {
  readonly ipvs: IpvsReads & { apply(operations: readonly IpvsOperation[]): Promise<readonly Outcome[]> };
  readonly addresses: { apply(operations: readonly AddressOperation[]): Promise<readonly Outcome[]> };
  readonly packetRules: { apply(operations: readonly ElementOperation[]): Promise<readonly Outcome[]> };
  readonly observed: ObservedState;
  readonly desired: DesiredView & { readonly urgency: Urgency };
  /** The part of it that no Service asks for. */
  readonly orphans: OrphanReleaseParts['orphans'];
  /** As they are now. */
  readonly drainSettings: () => DrainSettings;
  /** Finds out whose a virtual server is that the kernel has already. */
  readonly conflicts: OwnershipConflicts;
  /** Of what was wanted. */
  readonly endpoints: DrainsParts['endpoints'];
  /** Whether the node is known to be gone: what drains on it is purged. */
  readonly isNodeDeleted: (nodeName: string) => boolean;
  readonly counters: OperationCounters;
  /** Deletes the flows of real servers that went with open connections, so that their clients learn of it. */
  readonly staleFlows: FlowCleaner;
  readonly log: Logger;
  /** Milliseconds since the machine started; by its clock where nothing is said. */
  readonly now?: () => number;
  readonly retryDelays?: RetryDelays;
}

export interface ReconcileReport {
  readonly applied: number;
  /** Operations the kernel refused; each is tried again later. */
  readonly failed: number;
}

/** A stale picture is mended by reading once; a second round is for what changed meanwhile. */
const maximumRounds = 3;

/** Between two slices the event loop has its turn after so long. */
const maximumTurnMilliseconds = 5;

const applied: Outcome = { status: 'applied' };
const unknown: Outcome = { status: 'unknown' };

const failureReason = (outcome: Outcome): string =>
  outcome.status === 'failed' ? outcome.message : 'no answer';

/**
 * Makes the kernel hold what is wanted: diffs the touched keys against what the kernel acknowledged, sends the operations
 * phase by phase, reads again what is in doubt, and keeps what was refused for later. One call at a time.
 */
export class Reconciler {
  readonly #refusedOperations: RefusedOperations;
  /** What the call under way was refused. */
  readonly #refusedTargets = new Set<string>();
  readonly #untrusted: UntrustedKeys;
  readonly drains: Drains;
  readonly #orphanRelease: OrphanRelease;
  readonly #ownershipMarkers: OwnershipMarkers;
  readonly #desired: DesiredView;
  readonly #udpFlows: UdpFlowInvalidation;
  #stopped = false;
  /** To be told where somebody could not read one: it is read before anything is done to it, and nothing is while that fails. */
  readonly onUnreadable: UnreadableHandler = (identity, error) =>
    this.#untrusted.recordUnreadable(identity, error);

  constructor(private readonly parts: ReconcilerParts) {
    this.#udpFlows = new UdpFlowInvalidation(parts.observed);
    const { log, now = bootMilliseconds, retryDelays } = parts;
    this.#refusedOperations = new RefusedOperations({ log, now, delays: retryDelays });
    this.#untrusted = new UntrustedKeys({
      ...parts,
      scheduleRetry: (key, refusal, failure) =>
        this.#recordRefusal({ kind: 'virtual-server', key }, refusal, failure),
    });
    const { onUnreadable } = this;
    this.drains = new Drains({ ...parts, now, onUnreadable });
    this.#desired = withDrainRecords(parts.desired, this.drains);
    this.#orphanRelease = new OrphanRelease({ ...parts, onUnreadable });
    this.#ownershipMarkers = new OwnershipMarkers(parts);
  }

  /** In how many milliseconds something is to be tried again, if anything is. */
  get nextRetry(): number | undefined {
    return this.#refusedOperations.nextRetry;
  }

  /** What the kernel refused, by the clock that draining goes by. */
  failures(): Iterable<Failure> {
    return this.#refusedOperations.failures();
  }

  /** How many things the kernel refused the last time that they were tried. */
  get refused(): number {
    return this.#refusedOperations.size;
  }

  /** By kind, how many of them are left until they change or the next resync begins. */
  get givenUp(): RefusedOperations['givenUp'] {
    return this.#refusedOperations.givenUp;
  }

  /** A resync begins: what was given up is tried once more. */
  retryGivenUp(): void {
    this.#refusedOperations.retryGivenUp();
  }

  /** A call under way ends with the slice that it is at; what is left over is found by the next process. */
  stop(): void {
    this.#stopped = true;
  }

  get isStopped(): boolean {
    return this.#stopped;
  }

  /** The keys with those that are wanted otherwise for what is read of the kernel now; changes nothing there. */
  async expandDirtyKeys(dirty: DirtyKeys): Promise<DirtyKeys> {
    const { conflicts } = this.parts;
    const settled = await conflicts.expandDirtyKeys(dirty, (of, error) =>
      this.#untrusted.scheduleRetry(virtualServerKey(of), error),
    );
    return this.#ownershipMarkers.expandDirtyKeys(await this.#orphanRelease.expandDirtyKeys(settled));
  }

  /** The operations that `reconcile` would begin with, for settled keys. */
  plan(dirty: DirtyKeys): readonly Phase[] {
    return phases(this.#operations(withoutDrainRecords(dirty)), this.parts.desired.urgency);
  }

  #operations(dirty: DirtyKeys): readonly Operation[] {
    const { observed, drainSettings } = this.parts;
    return diff(this.#desired, observed, dirty, drainSettings());
  }

  /** Reconciles the touched keys together with those whose retry is due. Never throws for what the kernel refuses. */
  async reconcile(dirty: DirtyKeys): Promise<ReconcileReport> {
    const { conflicts, desired } = this.parts;
    const turns = new Yielder(maximumTurnMilliseconds);
    const report = { applied: 0, failed: 0 };
    this.#refusedTargets.clear();
    const known = await this.expandDirtyKeys(this.#refusedOperations.withDue(dirty));
    const expanded = union(known, this.#untrusted.invalidate(known.virtualServers));
    const reread = await this.#untrusted.reread();
    // What could not be read before was not asked for its connections.
    const all =
      reread.size === 0
        ? expanded
        : union(expanded, await this.expandDirtyKeys(dirtyKeys({ virtualServers: reread })));
    // A second time only where it turned out that somebody else has what is wanted.
    for (
      let pending = withoutDrainRecords(all);
      !isEmpty(pending);
      pending = conflicts.addChangedKeys(dirtyKeys())
    ) {
      for (const slice of slices(pending, desired.urgency)) {
        if (this.#stopped) return report;
        await this.#reconcileSlice(slice, report);
        await turns.yieldIfDue();
      }
    }
    await this.#finishDrains(await this.drains.check(all.virtualServers), all, report);
    this.#refusedOperations.recordSuccesses(all, this.#refusedTargets);
    await this.#invalidateUdpFlows();
    this.#refusedOperations.logNew();
    return report;
  }

  async #reconcileSlice(slice: Slice, report: { applied: number; failed: number }): Promise<void> {
    let round: DirtyKeys = slice;
    for (let count = 0; count < maximumRounds; count += 1) {
      const operations = this.#operations(without(round, this.#refusedTargets)).filter(
        (operation) =>
          !this.#untrusted.mustWait(operation) &&
          (!('element' in operation) ||
            ((operation.kind === 'delete-element') === slice.removesElements &&
              !this.#ownershipMarkers.mustWait(operation))),
      );
      for (const phase of phases(operations)) await this.#runPhase(phase, report);
      const reread = await this.#untrusted.reread();
      round = dirtyKeys({ virtualServers: reread });
      if (reread.size === 0) return;
    }
    this.#deferUnstable(without(round, this.#refusedTargets));
  }

  /** Looks at all that drains: what has become idle or has passed its deadline goes. */
  drainAll(): Promise<ReconcileReport> {
    this.#refusedTargets.clear();
    return this.#drain(new Set(this.drains.draining.keys()), this.drains.checkAll());
  }

  /** The same for what is due by now. */
  drainDue(): Promise<ReconcileReport> {
    this.#refusedTargets.clear();
    const due = this.drains.due();
    return due.size === this.drains.draining.size
      ? this.drainAll()
      : this.#drain(due, this.drains.check(due));
  }

  async #drain(
    virtualServers: ReadonlySet<VirtualServerKey>,
    step: Promise<DrainStep | undefined>,
  ): Promise<ReconcileReport> {
    const report = { applied: 0, failed: 0 };
    await this.#finishDrains(await step, dirtyKeys({ virtualServers }), report);
    await this.#invalidateUdpFlows();
    this.#refusedOperations.logNew();
    return report;
  }

  async #invalidateUdpFlows(): Promise<void> {
    const rerouted = this.#udpFlows.take();
    if (rerouted.length > 0) await this.parts.staleFlows.clean(rerouted);
  }

  async #runPhase(all: Phase, report: { applied: number; failed: number }): Promise<void> {
    const phase = this.parts.conflicts.withoutConflicts(all);
    const outcomes = await this.#apply(phase);
    for (const [index, operation] of phaseOperations(phase).entries()) {
      const decision = this.#record(operation, outcomes[index] ?? unknown);
      if (decision === 'applied') report.applied += 1;
      else if (decision !== 'reread') report.failed += 1;
    }
  }

  async #apply(phase: Phase): Promise<readonly Outcome[]> {
    const { ipvs, addresses, packetRules, conflicts } = this.parts;
    if ('addresses' in phase) return addresses.apply(phase.addresses);
    if ('elements' in phase) return packetRules.apply(phase.elements);
    try {
      return await ipvs.apply(phase.ipvs);
    } catch (error) {
      conflicts.recordLost(phase);
      throw error;
    }
  }

  #record(operation: Operation, outcome: Outcome): Decision {
    const { observed, counters, conflicts } = this.parts;
    const decision = decide(operation, outcome);
    conflicts.recordOutcome(operation, outcome);
    if (decision === 'applied') this.#udpFlows.record(operation);
    counters.count(operation.kind, outcome);
    observed.record(operation, decision === 'applied' ? applied : outcome);
    if (decision === 'applied') return decision;
    const target = retryTargetOf(operation);
    // Virtual servers alone are read one by one.
    if (decision === 'reread' && target.kind === 'virtual-server') return decision;
    this.#recordRefusal(target, decision, {
      operation: formatOperation(operation),
      reason: failureReason(outcome),
    });
    return decision;
  }

  /** A real server of a virtual server that was itself refused says nothing new. */
  #recordRefusal(
    target: RetryTarget,
    refusal: Refusal,
    failure: { readonly operation: string; readonly reason: string },
  ): void {
    if (this.#refusedTargets.has(retryTargetName(target))) return;
    this.#refusedTargets.add(retryTargetName(target));
    this.#refusedOperations.record(target, refusal, failure);
  }

  /** What still differs after reading it again and again changes under our hands: later is better than a busy loop. */
  #deferUnstable(round: DirtyKeys): void {
    for (const key of round.virtualServers) {
      if (this.#operations(dirtyKeys({ virtualServers: new Set([key]) })).length === 0) continue;
      const failure = { operation: `make virtual server ${key}`, reason: 'it changes under our hands' };
      this.#recordRefusal({ kind: 'virtual-server', key }, 'retry', failure);
    }
  }

  /** Makes the deletions of a look at what drains, and what follows from them. */
  async #finishDrains(
    step: DrainStep | undefined,
    checked: DirtyKeys,
    report: { applied: number; failed: number },
  ): Promise<void> {
    for (const phase of phases(step?.delete ?? [])) await this.#runPhase(phase, report);
    const ended = new Set(step?.delete.map(operationKey));
    // A virtual server may be set up otherwise while it drains, or be there for that alone; that ends with the last one that drained.
    const elements = this.drains.takeDirtyRecords(checked.elements);
    const released = this.#orphanRelease.release(checked.virtualServers, ['idle']);
    const rest = union(dirtyKeys({ virtualServers: ended, elements }), released);
    if (!isEmpty(rest))
      for (const slice of slices(rest, this.parts.desired.urgency)) await this.#reconcileSlice(slice, report);
    if (step === undefined) return;
    this.drains.forgetEndpoints(ended);
    for (const operation of step.delete) this.#retryIfPresent(operation);
    await resetConnections(step.purged, this.parts);
  }

  /** A real server whose deletion came to nothing drains no more: nothing but another try finds it. */
  #retryIfPresent(operation: Operation): void {
    if (operation.kind !== 'delete-real-server') return;
    const key = operationKey(operation);
    if (!this.parts.observed.virtualServer(key)?.realServers.has(operation.server.key)) return;
    const failure = { operation: formatOperation(operation), reason: 'it is still there' };
    this.#recordRefusal({ kind: 'virtual-server', key }, 'retry-soon', failure);
  }
}
