import { Yielder } from '../base/async.js';
import { bootMilliseconds } from '../base/boot-clock.js';
import { messageOf } from '../base/errors.js';
import type { IpAddress } from '../base/ip.js';
import type { RunCause } from '../model/change-cause.js';
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
import type { MarkedFrontends } from '../plan/marked-frontends.js';
import type { FormerEndpoints } from '../plan/endpoints/former-endpoints.js';
import { diff, dirtyKeys, isEmpty, sizeOf, union, without, type DirtyKeys } from '../plan/operations/diff.js';
import { phases, type Phase } from '../plan/operations/phases.js';
import { virtualServerOf } from '../plan/packet-rules/packet-elements.js';
import { isOwnershipMarkerSet } from '../plan/packet-rules/packet-sets.js';
import { noRecorder, type ChangeRecorder } from './change-recorder.js';
import { resetConnections, type FlowCleaner } from './conntrack/reset-connections.js';
import type { OperationCounters } from './counters/operation-counters.js';
import { Drains, type DrainsParts } from './drain/drains.js';
import { Orphans } from './drain/orphans.js';
import type { IpvsReads, UnreadableHandler } from './mirror/kernel-reader.js';
import { rereadUnconfirmed, type RereadParts } from './mirror/reread.js';
import { checkForeign, type ForeignCheckParts } from './ownership/foreign-check.js';
import { Pacer, type PacerParts } from './pace/pacer.js';
import { PhaseRunner, type OperationSenders, type ReconcileReport } from './phase-runner.js';
import { meaningOfRead } from './retry/decisions.js';
import { RefusedOperations } from './retry/refused-operations.js';
import type { Failure, RetryDelays } from './retry/retries.js';
import { ReplacedServers } from './replaced-servers.js';
import { slices, type Slice } from './slices.js';
import type { DesiredNodeState } from './state/desired-node-state.js';
import type { EngineState } from './state/engine-state.js';

export interface ReconcilerParts
  extends Omit<OperationSenders, 'ipvs'>,
    Omit<OrphanFacts, 'observed' | 'leadingElements'> {
  readonly ipvs: IpvsReads & OperationSenders['ipvs'];
  readonly state: EngineState;
  /** The desired state of the kernel on this node. */
  readonly desired: DesiredNodeState;
  readonly drainSettings: () => DrainSettings;
  /** Whether the Service adopts the virtual server even if another program created it. */
  readonly adoptForeign: (identity: VirtualServerIdentity) => boolean;
  /** The endpoints behind the real servers. */
  readonly endpoints: DrainsParts['endpoints'] & {
    readonly formerEndpoints: Pick<FormerEndpoints, 'retain'>;
  };
  readonly isEndpointReady: PacerParts['isEndpointReady'];
  readonly onQuarantined?: PacerParts['onQuarantined'];
  readonly runsOnce?: PacerParts['runsOnce'];
  /** Whether the node is known to be deleted. Draining real servers on such a node are purged. */
  readonly isNodeDeleted: (nodeName: string) => boolean;
  readonly counters: OperationCounters;
  /** By default no change is recorded. */
  readonly recorder?: ChangeRecorder | undefined;
  readonly marked: MarkedFrontends;
  /**
   * Deletes the flows of real servers that were deleted with open connections, so the kernel resets those
   * connections.
   */
  readonly staleFlows: FlowCleaner;
  readonly log: Logger;
  /** Milliseconds since boot; the default reads the system's clock. */
  readonly now?: () => number;
  readonly retryDelays?: RetryDelays;
}

/** One reread corrects stale observed state. The further rounds are for changes that happen meanwhile. */
const maximumRounds = 3;

/** Between two turns of the event loop. */
const maximumTurnMilliseconds = 5;
const keysPerClockCheck = 32;

/**
 * Makes the kernel match the desired state: compares the dirty keys with the engine's state, sends the
 * operations phase by phase, rereads uncertain objects and retries refused operations. Allows one call at a
 * time.
 */
export class Reconciler {
  readonly #refused: RefusedOperations;
  readonly #recorder: ChangeRecorder;
  readonly drains: Drains;
  readonly pacer: Pacer;
  readonly #orphans: Orphans;
  readonly #reads: RereadParts & ForeignCheckParts;
  #stopped = false;

  constructor(private readonly parts: ReconcilerParts) {
    const { log, now = bootMilliseconds, retryDelays, recorder = noRecorder } = parts;
    const { onUnreadable } = this;
    this.#recorder = recorder;
    this.#reads = { ...parts, foreign: parts.desired.foreign, onUnreadable };
    this.#refused = new RefusedOperations({
      log,
      now,
      delays: retryDelays,
      onRefused: (...refused) => recorder.refused(...refused),
    });
    this.drains = new Drains({ ...parts, now, onUnreadable, recorder });
    this.pacer = new Pacer({ ...parts, fullWeights: parts.desired.foreign, now, onUnreadable });
    this.#orphans = new Orphans({ ...parts, onUnreadable });
  }

  /** An unreadable virtual server is not changed until its next attempt. */
  readonly onUnreadable: UnreadableHandler = (identity, error) => {
    const key = virtualServerKey(identity);
    this.parts.state.virtualServers.apply(identity, { kind: 'read-refused' });
    const failure = { operation: `read virtual server ${key}`, reason: messageOf(error) };
    this.#refused.record({ kind: 'virtual-server', key }, meaningOfRead(error), failure);
  };

  /** Milliseconds until the next retry; undefined if no retry is due by itself. */
  get nextRetry(): number | undefined {
    return this.#refused.nextRetry;
  }

  /** The refused operations. Their times use the clock of the drains. */
  failures(): Iterable<Failure> {
    return this.#refused.failures();
  }

  /** The number of objects whose last attempt the kernel refused. */
  get refused(): number {
    return this.#refused.size;
  }

  /** By kind, the number of objects that are retried only when they change or when the next resync begins. */
  get givenUp(): RefusedOperations['givenUp'] {
    return this.#refused.givenUp;
  }

  /** Makes everything that was given up due for one more attempt. */
  retryGivenUp(): void {
    this.#refused.retryGivenUp();
  }

  /** A running call ends after its current slice. The next process completes the rest. */
  stop(): void {
    this.#stopped = true;
  }

  get isStopped(): boolean {
    return this.#stopped;
  }

  /** The operations with which `reconcile` would start, for keys that `examine` returned. */
  plan(examined: DirtyKeys): readonly Phase[] {
    return phases(this.#operations(withoutDrainRecords(examined)), this.parts.desired.urgency);
  }

  /**
   * Reconciles the dirty keys and the keys whose retry is due. Never throws because the kernel refuses an
   * operation. Replaced virtual servers come last: no new requests get to them, so connections can be counted.
   */
  async reconcile(dirty: DirtyKeys, cause: RunCause = 'changes'): Promise<ReconcileReport> {
    const runner = this.#runner(cause);
    const all = this.#refused.beginRun(dirty);
    const replaced = new ReplacedServers(this.parts.marked);
    let keys = replaced.setAside(await this.examine(replaced.setAside(all)));
    if (!(await this.#applyAll(withoutDrainRecords(keys), runner))) return runner.report;
    if (replaced.keys.size > 0) {
      const rest = await this.examine(dirtyKeys({ virtualServers: replaced.keys }));
      if (!(await this.#applyAll(withoutDrainRecords(rest), runner))) return runner.report;
      keys = union(keys, rest);
    }
    await this.#finishDrains(await this.drains.check([...keys.virtualServers]), keys, runner);
    this.#refused.recordSuccesses(keys);
    return this.#finish(runner);
  }

  /** Checks every draining real server and deletes those that are idle or past their deadline. */
  async drainAll(): Promise<ReconcileReport> {
    this.#refused.beginRun(dirtyKeys());
    return this.#drain(new Set(this.drains.draining.keys()), await this.drains.checkAll());
  }

  /** Checks the draining real servers whose check is due. */
  async drainDue(): Promise<ReconcileReport> {
    const due = this.drains.takeDue();
    if (due === undefined) return this.drainAll();
    this.#refused.beginRun(dirtyKeys());
    return this.#drain(due, await this.drains.check([...due]));
  }

  /** Changes the weights that climb or end a quarantine now, and quarantines real servers that do not answer. */
  async pace(): Promise<ReconcileReport> {
    return this.reconcile(dirtyKeys({ virtualServers: await this.pacer.takeDue() }), 'pace');
  }

  async #drain(virtualServers: ReadonlySet<VirtualServerKey>, step: DrainStep): Promise<ReconcileReport> {
    const runner = this.#runner('drain-ended');
    await this.#finishDrains(step, dirtyKeys({ virtualServers }), runner);
    return this.#finish(runner);
  }

  #runner(cause: RunCause): PhaseRunner {
    this.#recorder.began(cause);
    return new PhaseRunner({ ...this.parts, refused: this.#refused, recorder: this.#recorder, cause });
  }

  async #finish(runner: PhaseRunner): Promise<ReconcileReport> {
    const frontends = runner.udpFrontends();
    if (frontends.length > 0) await this.parts.staleFlows.clean(frontends);
    this.#refused.logNew();
    this.#recorder.ended();
    return runner.report;
  }

  /**
   * Reads the state that the comparison of the keys needs, without changing the kernel: foreign and
   * unreadable virtual servers, and the connections of virtual servers that no Service defines any more.
   * Returns the keys plus those whose desired state changed as a result.
   */
  async examine(dirty: DirtyKeys): Promise<DirtyKeys> {
    const { state } = this.parts;
    let all = dirty;
    for (let keys: ReadonlySet<VirtualServerKey> = dirty.virtualServers; ; ) {
      await checkForeign(keys, this.#reads);
      this.#orphans.release(keys, ['wanted-again', 'gone']);
      state.virtualServers.recheckLeadingElements(keys);
      await this.#orphans.retain(keys);
      state.virtualServers.retryUnreadable(keys, (key) => this.#refused.isRefused(key));
      state.virtualServers.releaseMarkers(keys);
      // Virtual servers that were unreadable so far may have connections, so the loop examines those that
      // were reread.
      const reread = await rereadUnconfirmed(this.#reads);
      this.pacer.update(keys);
      const found = union(state.takeDirty(), dirtyKeys({ virtualServers: reread }));
      if (!isEmpty(found)) all = union(all, found);
      if (reread.size === 0) return all;
      keys = reread;
    }
  }

  #operations(dirty: DirtyKeys): readonly Operation[] {
    const { state, desired, drainSettings } = this.parts;
    return diff(desired, state, dirty, drainSettings());
  }

  /** Applies the keys and those whose desired state changes as a result. Returns false if it was stopped. */
  async #applyAll(dirty: DirtyKeys, runner: PhaseRunner): Promise<boolean> {
    const { desired, state } = this.parts;
    const turns = new Yielder(maximumTurnMilliseconds, keysPerClockCheck);
    for (let pending = dirty; !isEmpty(pending); pending = withoutDrainRecords(state.takeDirty()))
      for (const slice of slices(pending, desired.urgency)) {
        if (this.#stopped) return false;
        await this.#applySlice(slice, runner);
        await turns.yieldIfDue(sizeOf(slice));
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
      const reread = await rereadUnconfirmed(this.#reads);
      round = dirtyKeys({ virtualServers: reread });
      if (reread.size === 0) return;
    }
    this.#deferUnstable(without(round, isRefused));
  }

  /** Whether this slice may send it: a virtual server that exists keeps its address and ownership marker. */
  #mayBegin(operation: Operation, slice: Slice): boolean {
    const { virtualServers } = this.parts.state;
    if (operation.kind === 'unbind-address')
      return operation.replacedBy !== undefined || !virtualServers.hasUnreadable(operation.address);
    if (!('element' in operation)) return true;
    if ((operation.kind === 'delete-element') !== slice.removesElements) return false;
    if (operation.kind !== 'delete-element') return true;
    const { element } = operation;
    if (element.set === 'vips') return !virtualServers.hasUnreadable(element.fields[0] as IpAddress);
    return !this.#mustStay(operation);
  }

  /**
   * Whether the element is the ownership marker of an undesired virtual server that the kernel still has. The
   * marker stays as long as the virtual server; otherwise the next process would take it for foreign.
   */
  #mustStay({ element }: ElementOperation): boolean {
    const { state, desired } = this.parts;
    if (!isOwnershipMarkerSet(element.set)) return false;
    const of = virtualServerOf(element);
    if (of === undefined || state.virtualServer(of) === undefined) return false;
    if (desired.virtualServer(of) !== undefined) return false;
    state.virtualServers.holdMarker(of, element.key);
    return true;
  }

  /**
   * Virtual servers that still differ after the last round are changing concurrently. They are retried later
   * to avoid a busy loop.
   */
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

  /** Applies the deletions of a drain step and the changes that follow from them. */
  async #finishDrains(step: DrainStep, checked: DirtyKeys, runner: PhaseRunner): Promise<void> {
    const { state, desired, endpoints } = this.parts;
    for (const phase of phases(step.delete)) await runner.run(phase, 'drain-ended');
    this.#orphans.release(checked.virtualServers, ['idle']);
    // When its last drain ends, a virtual server may need other settings or may become undesired.
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

  /** A real server whose deletion had no effect no longer counts as draining, so only a retry deletes it. */
  #retryIfPresent(operation: IpvsOperation): void {
    if (operation.kind !== 'delete-real-server') return;
    const key = operationKey(operation);
    if (this.parts.state.virtualServer(key)?.realServers.has(operation.server.key) !== true) return;
    const failure = { operation: formatOperation(operation), reason: 'the kernel still has it' };
    this.#refused.record({ kind: 'virtual-server', key }, 'retry-soon', failure);
  }
}
