import { Yielder } from '../base/async.js';
import { bootMilliseconds } from '../base/boot-clock.js';
import { messageOf } from '../base/errors.js';
import type { IpAddress } from '../base/ip.js';
import type { Logger } from '../base/log.js';
import {
  operationKey,
  type ElementOperation,
  type IpvsOperation,
  type Operation,
} from '../model/operation.js';
import { formatOperation } from '../model/plan-entry.js';
import {
  virtualServerKey,
  type VirtualServerIdentity,
  type VirtualServerKey,
} from '../model/virtual-server.js';
import { isDrainRecord, withoutDrainRecords } from '../plan/drain/drain-records.js';
import type { DrainSettings, DrainStep } from '../plan/drain/drain-step.js';
import type { OrphanFacts } from '../plan/drain/orphan.js';
import type { FormerEndpoints } from '../plan/endpoints/former-endpoints.js';
import { diff, dirtyKeys, isEmpty, union, without, type DirtyKeys } from '../plan/operations/diff.js';
import { phases, type Phase } from '../plan/operations/phases.js';
import { virtualServerOf } from '../plan/packet-rules/packet-elements.js';
import { isPacketClass } from '../plan/packet-rules/packet-table.js';
import { resetConnections, type FlowCleaner } from './conntrack/reset-connections.js';
import type { OperationCounters } from './counters/operation-counters.js';
import { Drains, type DrainsParts } from './drain/drains.js';
import { Orphans } from './drain/orphans.js';
import type { IpvsReads, UnreadableHandler } from './mirror/kernel-reader.js';
import { rereadUnconfirmed } from './mirror/reread.js';
import { checkForeign } from './ownership/foreign-check.js';
import { PhaseRunner, type OperationSenders, type ReconcileReport } from './phase-runner.js';
import { meaningOfRead } from './retry/decisions.js';
import { RefusedOperations } from './retry/refused-operations.js';
import type { Failure, RetryDelays } from './retry/retries.js';
import { slices, type Slice } from './slices.js';
import type { DesiredNodeState } from './state/desired-node-state.js';
import type { EngineState } from './state/engine-state.js';

export interface ReconcilerParts extends Omit<OperationSenders, 'ipvs'>, Omit<OrphanFacts, 'observed'> {
  readonly ipvs: IpvsReads & OperationSenders['ipvs'];
  readonly state: EngineState;
  /** What the kernel of this node is to hold. */
  readonly desired: DesiredNodeState;
  readonly drainSettings: () => DrainSettings;
  /** Whether a virtual server that a Service asks for is to be ours, whoever made it. */
  readonly adoptForeign: (identity: VirtualServerIdentity) => boolean;
  /** What real servers were made of. */
  readonly endpoints: DrainsParts['endpoints'] & {
    readonly formerEndpoints: Pick<FormerEndpoints, 'retain'>;
  };
  /** Whether the node is known to be deleted: what drains on it is purged. */
  readonly isNodeDeleted: (nodeName: string) => boolean;
  readonly counters: OperationCounters;
  /** Deletes the flows of real servers that went with open connections, so that their clients learn of it. */
  readonly staleFlows: FlowCleaner;
  readonly log: Logger;
  /** Milliseconds since the machine booted; by its clock if undefined. */
  readonly now?: () => number;
  readonly retryDelays?: RetryDelays;
}

/** A stale picture is mended by reading once; a second round is for what changed meanwhile. */
const maximumRounds = 3;

/** Between two slices the event loop gets its turn after so long. */
const maximumTurnMilliseconds = 5;

/**
 * Makes the kernel hold what is desired: diffs the dirty keys against the engine's state, sends the operations phase by phase,
 * reads again what is in doubt, and keeps what was refused for later. One call at a time.
 */
export class Reconciler {
  readonly #refused: RefusedOperations;
  readonly drains: Drains;
  readonly #orphans: Orphans;
  #stopped = false;

  constructor(private readonly parts: ReconcilerParts) {
    const { log, now = bootMilliseconds, retryDelays } = parts;
    const { onUnreadable } = this;
    this.#refused = new RefusedOperations({ log, now, delays: retryDelays });
    this.drains = new Drains({ ...parts, now, onUnreadable });
    this.#orphans = new Orphans({ ...parts, onUnreadable });
  }

  /** A virtual server that cannot be read is left alone until its next try. */
  readonly onUnreadable: UnreadableHandler = (identity, error) => {
    const key = virtualServerKey(identity);
    this.parts.state.virtualServers.apply(identity, { kind: 'read-refused' });
    const failure = { operation: `read virtual server ${key}`, reason: messageOf(error) };
    this.#refused.record({ kind: 'virtual-server', key }, meaningOfRead(error), failure);
  };

  /** Milliseconds until something is to be tried again; undefined if nothing is. */
  get nextRetry(): number | undefined {
    return this.#refused.nextRetry;
  }

  /** What the kernel refused, by the clock that draining uses. */
  failures(): Iterable<Failure> {
    return this.#refused.failures();
  }

  /** How many things the kernel refused the last time that they were tried. */
  get refused(): number {
    return this.#refused.size;
  }

  /** By kind, how many of them are left until they change or the next resync begins. */
  get givenUp(): RefusedOperations['givenUp'] {
    return this.#refused.givenUp;
  }

  /** A resync begins: what was given up is tried once more. */
  retryGivenUp(): void {
    this.#refused.retryGivenUp();
  }

  /** A call under way ends with its slice; the next process finds what is left over. */
  stop(): void {
    this.#stopped = true;
  }

  get isStopped(): boolean {
    return this.#stopped;
  }

  /** The operations that `reconcile` would begin with, for keys that were examined. */
  plan(examined: DirtyKeys): readonly Phase[] {
    return phases(this.#operations(withoutDrainRecords(examined)), this.parts.desired.urgency);
  }

  /** Reconciles the dirty keys together with those whose retry is due. Never throws for what the kernel refuses. */
  async reconcile(dirty: DirtyKeys): Promise<ReconcileReport> {
    const runner = this.#runner();
    const keys = await this.examine(this.#refused.beginRun(dirty));
    if (!(await this.#applyAll(withoutDrainRecords(keys), runner))) return runner.report;
    await this.#finishDrains(await this.drains.check([...keys.virtualServers]), keys, runner);
    this.#refused.recordSuccesses(keys);
    return this.#finish(runner);
  }

  /** Checks everything that drains: what has become idle or has passed its deadline goes. */
  async drainAll(): Promise<ReconcileReport> {
    this.#refused.beginRun(dirtyKeys());
    return this.#drain(new Set(this.drains.draining.keys()), await this.drains.checkAll());
  }

  /** Checks what is due by now. */
  async drainDue(): Promise<ReconcileReport> {
    const due = this.drains.takeDue();
    if (due === undefined) return this.drainAll();
    this.#refused.beginRun(dirtyKeys());
    return this.#drain(due, await this.drains.check([...due]));
  }

  async #drain(virtualServers: ReadonlySet<VirtualServerKey>, step: DrainStep): Promise<ReconcileReport> {
    const runner = this.#runner();
    await this.#finishDrains(step, dirtyKeys({ virtualServers }), runner);
    return this.#finish(runner);
  }

  #runner(): PhaseRunner {
    return new PhaseRunner({ ...this.parts, refused: this.#refused });
  }

  async #finish(runner: PhaseRunner): Promise<ReconcileReport> {
    const frontends = runner.udpFrontends();
    if (frontends.length > 0) await this.parts.staleFlows.clean(frontends);
    this.#refused.logNew();
    return runner.report;
  }

  /**
   * Reads what must be known to diff the keys, and changes nothing in the kernel: foreign and unreadable virtual servers among them, and the connections
   * of those that no Service asks for any more. Gives the keys together with those that are desired differently for it.
   */
  async examine(dirty: DirtyKeys): Promise<DirtyKeys> {
    const { state, desired } = this.parts;
    const { virtualServers } = state;
    const parts = { ...this.parts, onUnreadable: this.onUnreadable };
    let all = dirty;
    for (let keys: ReadonlySet<VirtualServerKey> = dirty.virtualServers; ; ) {
      await checkForeign(keys, { ...parts, foreign: desired.foreign });
      this.#orphans.release(keys, ['wanted-again', 'gone']);
      await this.#orphans.retain(keys);
      virtualServers.retryUnreadable(keys, (key) => this.#refused.isRefused(key));
      virtualServers.releaseMarkers(keys);
      // What could not be read before was not asked for its connections.
      const reread = await rereadUnconfirmed(parts);
      all = union(all, union(state.takeDirty(), dirtyKeys({ virtualServers: reread })));
      if (reread.size === 0) return all;
      keys = reread;
    }
  }

  #operations(dirty: DirtyKeys): readonly Operation[] {
    const { state, desired, drainSettings } = this.parts;
    return diff(desired, state, dirty, drainSettings());
  }

  /** Applies the keys, and those that are desired differently by what turns out meanwhile. False if it was stopped. */
  async #applyAll(dirty: DirtyKeys, runner: PhaseRunner): Promise<boolean> {
    const { desired, state } = this.parts;
    const turns = new Yielder(maximumTurnMilliseconds);
    for (let pending = dirty; !isEmpty(pending); pending = withoutDrainRecords(state.takeDirty()))
      for (const slice of slices(pending, desired.urgency)) {
        if (this.#stopped) return false;
        await this.#applySlice(slice, runner);
        await turns.yieldIfDue();
      }
    return true;
  }

  async #applySlice(slice: Slice, runner: PhaseRunner): Promise<void> {
    const isRefused = (key: string): boolean => this.#refused.isRefused(key);
    let round: DirtyKeys = slice;
    for (let count = 0; count < maximumRounds; count += 1) {
      const operations = this.#operations(without(round, isRefused)).filter((operation) =>
        this.#mayBegin(operation, slice),
      );
      for (const phase of phases(operations)) await runner.run(phase);
      const reread = await rereadUnconfirmed({ ...this.parts, onUnreadable: this.onUnreadable });
      round = dirtyKeys({ virtualServers: reread });
      if (reread.size === 0) return;
    }
    this.#deferUnstable(without(round, isRefused));
  }

  /** Whether the operation may be sent in this slice: nothing takes the address or the ownership marker of what is still there. */
  #mayBegin(operation: Operation, slice: Slice): boolean {
    const { virtualServers } = this.parts.state;
    if (operation.kind === 'unbind-address') return !virtualServers.hasUnreadable(operation.address);
    if (!('element' in operation)) return true;
    if ((operation.kind === 'delete-element') !== slice.removesElements) return false;
    if (operation.kind !== 'delete-element') return true;
    const { element } = operation;
    if (element.set === 'vips') return !virtualServers.hasUnreadable(element.fields[0] as IpAddress);
    return !this.#mustStay(operation);
  }

  /**
   * Whether the element marks a virtual server as ours that the kernel still has and that nothing desires. It goes with the
   * virtual server: without it the next process would take that for another program's.
   */
  #mustStay({ element }: ElementOperation): boolean {
    const { state, desired } = this.parts;
    if (!isPacketClass(element.set)) return false;
    const of = virtualServerOf(element);
    if (of === undefined || state.virtualServer(of) === undefined) return false;
    if (desired.virtualServer(of) !== undefined) return false;
    state.virtualServers.holdMarker(of, element.key);
    return true;
  }

  /** What still differs after reading it again and again changes while it is programmed: later is better than a busy loop. */
  #deferUnstable(round: DirtyKeys): void {
    for (const key of round.virtualServers) {
      if (this.#operations(dirtyKeys({ virtualServers: new Set([key]) })).length === 0) continue;
      const failure = {
        operation: `program virtual server ${key}`,
        reason: 'another program keeps changing it',
      };
      this.#refused.record({ kind: 'virtual-server', key }, 'retry', failure);
    }
  }

  /** Makes the deletions of a check of what drains, and what follows from them. */
  async #finishDrains(step: DrainStep, checked: DirtyKeys, runner: PhaseRunner): Promise<void> {
    const { state, desired, endpoints } = this.parts;
    for (const phase of phases(step.delete)) await runner.run(phase);
    this.#orphans.release(checked.virtualServers, ['idle']);
    // A virtual server may be set up differently while it drains, or be there for that alone; that ends with its last drain.
    const ended = new Set(step.delete.map(operationKey));
    const elements = new Set([...checked.elements].filter(isDrainRecord));
    let rest = union(dirtyKeys({ virtualServers: ended, elements }), state.takeDirty());
    for (; !isEmpty(rest); rest = state.takeDirty())
      for (const slice of slices(rest, desired.urgency)) await this.#applySlice(slice, runner);
    for (const key of [...checked.virtualServers, ...ended])
      endpoints.formerEndpoints.retain(key, state.virtualServer(key)?.realServers);
    for (const operation of step.delete) this.#retryIfPresent(operation);
    await resetConnections(step.purged, { ...this.parts, observed: state });
  }

  /** A real server whose deletion came to nothing drains no more: only another try finds it. */
  #retryIfPresent(operation: IpvsOperation): void {
    if (operation.kind !== 'delete-real-server') return;
    const key = operationKey(operation);
    if (this.parts.state.virtualServer(key)?.realServers.has(operation.server.key) !== true) return;
    const failure = { operation: formatOperation(operation), reason: 'it is still there' };
    this.#refused.record({ kind: 'virtual-server', key }, 'retry-soon', failure);
  }
}
