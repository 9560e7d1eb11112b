import type { RoundOptions } from '../../apply/mirror/resync.js';
import type { ReconcileReport } from '../../apply/phase-runner.js';
import { SerialQueue } from '../../base/async.js';
import { isExpectedError, raiseUncaught } from '../../base/errors.js';
import { Wakeups, type LoopWakeup } from './wakeups.js';
import { dirtyKeys, type DirtyKeys } from '../../plan/operations/diff.js';
import type { FullRenderCause } from '../../model/change-cause.js';
import type { Phase } from '../../plan/operations/phases.js';
import type { ClusterStore } from '../../watch/store/cluster-store.js';
import { defaultSyncRetryDelays, FailureState, type SyncRetryDelays } from './failure-state.js';
import { KernelSync, resyncSliceSize, type KernelSyncParts } from './kernel-sync.js';
import {
  PacketRulesController,
  type ManagedRules,
  type PacketRulesWakeup,
} from './packet-rules-controller.js';
import { resyncRequests } from './resync-requests.js';
import { addressReadFailureLog, logFinished, syncFailureLog, type FinishedEvent } from './sync-log.js';
import { observeSync, type SyncObserver } from './sync-observer.js';
import { SyncRunner, type RunReason, type Urgency } from './sync-runner.js';
import { nextState, type SyncEvent, type SyncState } from './sync-state.js';
import type { SyncTrigger } from './sync-trigger.js';

/** Retries that fall due within this time are made together. */
const minimumRetryDelayMilliseconds = 250;

export interface SyncLoopParts extends KernelSyncParts {
  readonly store: Pick<ClusterStore, 'synced'>;
  readonly packetRules: ManagedRules;
  /** Milliseconds; read each time, as settings change. */
  readonly periods: () => { readonly minSyncPeriod: number; readonly syncPeriod: number };
  readonly observer: SyncObserver;
  readonly syncRetryDelays?: SyncRetryDelays | undefined;
  /** Ends the process. */
  readonly raise?: ((error: unknown) => void) | undefined;
}

type Wakeup = LoopWakeup | PacketRulesWakeup;

/**
 * The sync loop: turns dirty Services and kernel events into reconciled keys. All work on the kernel passes one serial queue,
 * `sync-state.ts` says what the loop may do, and `nextWakeup` is when it acts next by itself.
 */
export class SyncLoop implements AsyncDisposable {
  readonly #queue = new SerialQueue();
  readonly #runner: SyncRunner;
  readonly #resyncRequests: SyncRunner;
  readonly #wakeups = new Wakeups<Wakeup>((name) => this.#wake(name));
  readonly #packetRulesController: PacketRulesController;
  readonly #sync: KernelSync;
  readonly #syncFailure: FailureState;
  readonly #readFailure: FailureState;
  readonly #minimumRetryDelay: number;
  #state: SyncState = 'not-started';
  #addressReadQueued = false;
  /** The delay between two slices of a resync, milliseconds. */
  #sliceInterval = 0;
  #firstSync: { resolve: (report: ReconcileReport) => void } | undefined;

  constructor(private readonly parts: SyncLoopParts) {
    const { syncRetryDelays: delays = defaultSyncRetryDelays, log, periods } = parts;
    this.#minimumRetryDelay = Math.min(minimumRetryDelayMilliseconds, delays.firstMilliseconds);
    this.#syncFailure = new FailureState(syncFailureLog(log), delays);
    this.#readFailure = new FailureState(addressReadFailureLog(log), delays);
    this.#packetRulesController = new PacketRulesController({ ...parts, wakeups: this.#wakeups, delays });
    this.#sync = new KernelSync(parts, this.#packetRulesController);
    this.#resyncRequests = resyncRequests(() => this.#enqueue(() => this.#resyncAll()));
    this.#runner = new SyncRunner({
      minSyncPeriod: () => periods().minSyncPeriod,
      syncPeriod: () => periods().syncPeriod,
      run: (reason) => this.#run(reason),
    });
  }

  get state(): SyncState {
    return this.#state;
  }

  /** When the loop acts next without a request, by the clock of `performance.now`. */
  get nextWakeup(): number | undefined {
    return this.#wakeups.nextWakeup;
  }

  /** From now on the kernel follows the store. Resolves with the report of the first complete sync. */
  start(): Promise<ReconcileReport> {
    this.#advance('started');
    this.parts.observer.started();
    this.request();
    return new Promise((resolve) => (this.#firstSync = { resolve }));
  }

  handle(trigger: SyncTrigger): void {
    switch (trigger.kind) {
      case 'cluster-changed':
        return this.request(trigger.urgency);
      case 'node-changed':
        return this.nodeChanged();
      case 'vips-changed':
        this.#sync.addDirtyAddresses(trigger.addresses);
        return this.request();
      case 'addresses-untrusted':
        return this.rereadAddresses();
      case 'packet-rules-untrusted':
        return this.packetRulesChanged();
      case 'node-deleted':
        return this.#checkDrains();
    }
  }

  /** A sync follows as soon as minSyncPeriod allows. */
  request(urgency: Urgency = 'ordinary'): void {
    if (this.#state === 'not-started' || !this.parts.store.synced) return;
    this.#advance('sources-synced');
    this.parts.observer.queued();
    this.#runner.request(urgency);
  }

  nodeChanged(cause?: FullRenderCause): void {
    this.parts.desiredStateUpdater.nodeChanged(cause);
    this.request();
  }

  /**
   * Runs `change`, which prepares the kernel for new settings and puts them in force, while no other work touches the kernel;
   * then renders every Service again. Rejects if `change` does.
   */
  async changeSettings(change: () => Promise<void>): Promise<void> {
    await this.#queue.run(change);
    this.#runner.reschedule();
    this.nodeChanged('settings-changed');
  }

  /** The kernel dropped link and address events. */
  eventsLost(): void {
    if (this.#addressReadQueued) return;
    this.parts.log.warn({ event: 'address-events-lost' }, 'Link and address events lost; reading them again');
    this.rereadAddresses();
  }

  /** Another program changed our nftables tables, or the kernel dropped events about them. */
  packetRulesChanged(): void {
    this.#packetRulesController.scheduleRepair();
  }

  /** The module ip_vs was unloaded or loaded. */
  ipvsChanged(): void {
    void this.#queue.run(async () => {
      this.#loseObservedState();
      this.request();
    });
  }

  /** Reads all links and addresses; requests made before the read begins share it. */
  rereadAddresses(): void {
    if (this.#addressReadQueued) return;
    this.#addressReadQueued = true;
    void this.#queue.run(async () => {
      this.#addressReadQueued = false;
      try {
        await this.#readAddresses();
      } catch (error) {
        if (!isExpectedError(error)) return this.#fail(error);
        this.#wakeups.schedule('address-read', this.#readFailure.failed(error));
      }
    });
  }

  /** Reads and repairs the whole kernel at once, not slice by slice. Repeated requests are spread. */
  resyncNow(): void {
    this.#resyncRequests.request();
  }

  /** Returns what the first sync would do. Reads the kernel, changes nothing. */
  plan(): Promise<readonly Phase[]> {
    return this.#queue.run(() => this.#sync.plan());
  }

  /** Finishes the work in progress and leaves the kernel as it is. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.parts.reconciler.stop();
    this.#wakeups.stop();
    await Promise.all([this.#runner.stop(), this.#resyncRequests.stop()]);
    await this.#queue.run(async () => undefined);
  }

  #advance(event: SyncEvent): void {
    this.#state = nextState(this.#state, event);
  }

  #wake(name: Wakeup): void {
    if (name === 'address-read') return this.rereadAddresses();
    if (name !== 'sync-retry') return void this.#enqueue(() => this.#dueWork(name));
    this.#advance('retry-due');
    this.#runner.request();
  }

  async #dueWork(name: Exclude<Wakeup, 'sync-retry' | 'address-read'>): Promise<void> {
    const { reconciler } = this.parts;
    switch (name) {
      case 'retry':
        return this.#finishQuietly(() => reconciler.reconcile(dirtyKeys(), 'retry'), 'retried');
      case 'drain':
        return this.#finishQuietly(() => reconciler.drainDue(), 'drained');
      case 'pace':
        return this.#finishQuietly(() => reconciler.pace(), 'paced');
      case 'slice':
        await this.#repair(await this.#sync.resyncSlice());
        return this.#scheduleSlice();
      case 'connection-sync':
        await this.parts.upkeep.connectionSync.check();
        return this.#scheduleRetries();
      case 'packet-rules-declare':
        return void (await this.#packetRulesController.declare());
      case 'packet-rules-repair':
        return this.#repairPacketRules();
    }
  }

  /** Work on the kernel. If it fails, the observed state is lost and the retry reads the whole kernel. */
  #enqueue(work: () => Promise<void>): Promise<void> {
    return this.#queue.run(async () => {
      if (this.#state === 'failed') return;
      try {
        await work();
      } catch (error) {
        if (!isExpectedError(error)) return this.#fail(error);
        this.#advance('sync-failed');
        this.parts.packetRules.invalidate();
        this.#wakeups.schedule('sync-retry', this.#syncFailure.failed(error));
      }
    });
  }

  /** A programming error would come again with each retry: the kernel keeps forwarding, and the kubelet restarts the process. */
  #fail(error: unknown): void {
    this.#advance('programming-error');
    this.#wakeups.stop();
    (this.parts.raise ?? raiseUncaught)(error);
  }

  #loseObservedState(): void {
    this.#advance('observed-state-lost');
    this.#wakeups.cancel('sync-retry');
  }

  #run(reason: RunReason): Promise<void> {
    this.parts.observer.due();
    return this.#enqueue(() => (reason === 'periodic' ? this.#resync() : this.#program()));
  }

  async #program(): Promise<void> {
    const adopt = this.#state === 'adopting';
    if (!adopt && this.#state !== 'in-sync') return;
    const { observer } = this.parts;
    await observeSync(observer, async (started) => {
      const report = await this.#sync.program({ adopt, onBegin: () => observer.began() });
      this.#advance('synced');
      this.#syncFailure.succeeded();
      this.#finish(report, 'synced', started);
    });
  }

  async #readAddresses(): Promise<void> {
    const { isNodeChanged, boundVips } = await this.parts.readAddresses();
    if (isNodeChanged) this.parts.desiredStateUpdater.nodeChanged();
    if (this.#state === 'in-sync') this.#sync.recordBoundVips(boundVips);
    this.#readFailure.succeeded();
    this.request();
  }

  #checkDrains(): void {
    const { reconciler } = this.parts;
    if (reconciler.drains.draining.size === 0) return;
    void this.#enqueue(() => this.#finishQuietly(() => reconciler.drainAll(), 'drained'));
  }

  async #resyncAll(): Promise<void> {
    if (this.#state === 'retrying') this.#loseObservedState();
    await this.#resync({ thorough: true });
    await this.#repairPacketRules();
    while (this.parts.resync.remaining > 0) await this.#repair(await this.#sync.resyncSlice());
  }

  async #resync(options: RoundOptions = {}): Promise<void> {
    if (this.#state !== 'in-sync') return this.#program();
    await observeSync(this.parts.observer, () => this.#beginResync(options));
  }

  async #beginResync(options: RoundOptions): Promise<void> {
    const { reconciler, resync, periods } = this.parts;
    const drifted = await this.#sync.beginResync(options, () => this.nodeChanged());
    // A foreign virtual server that came or went is no drift of ours: it is reconciled before drift is counted.
    await this.#finishQuietly(() => reconciler.reconcile(dirtyKeys(), 'ownership'), 'synced');
    await this.#repair(drifted);
    await this.#sync.retryGivenUp();
    this.#scheduleRetries();
    // The slices of a round take the first half of the sync period.
    this.#sliceInterval = periods().syncPeriod / 2 / Math.ceil(resync.remaining / resyncSliceSize);
    this.#scheduleSlice();
  }

  async #repairPacketRules(): Promise<void> {
    if (this.#state === 'in-sync') await this.#repair(await this.#sync.checkPacketRules());
  }

  async #repair(drifted: DirtyKeys): Promise<void> {
    const started = performance.now();
    const report = await this.#sync.repair(drifted);
    if (report === undefined) this.#scheduleRetries();
    else this.#finish(report, 'repaired', started);
  }

  #finish(
    report: ReconcileReport,
    event: FinishedEvent,
    started: number,
    level: 'debug' | 'info' = 'info',
  ): void {
    logFinished(this.parts.log, event, report, { started, level });
    this.#firstSync?.resolve(report);
    this.#firstSync = undefined;
    this.#scheduleRetries();
    this.#scheduleWeightChanges();
  }

  async #finishQuietly(operation: () => Promise<ReconcileReport>, event: FinishedEvent): Promise<void> {
    const started = performance.now();
    const report = await operation();
    // Neither an operation that the kernel refuses again nor a step of a weight is worth a line.
    this.#finish(report, event, started, report.applied === 0 || event === 'paced' ? 'debug' : 'info');
  }

  #scheduleRetries(): void {
    const due = this.parts.reconciler.nextRetry;
    if (due !== undefined) this.#wakeups.schedule('retry', Math.max(due, this.#minimumRetryDelay));
    const { retryDelay } = this.parts.upkeep.connectionSync;
    if (retryDelay !== undefined) this.#wakeups.schedule('connection-sync', retryDelay);
  }

  #scheduleWeightChanges(): void {
    const { drains, pacer } = this.parts.reconciler;
    if (drains.draining.size > 0) this.#wakeups.schedule('drain', Math.ceil(drains.nextCheckDelay));
    if (pacer.nextDelay !== undefined) this.#wakeups.schedule('pace', pacer.nextDelay);
  }

  #scheduleSlice(): void {
    if (this.parts.resync.remaining > 0) this.#wakeups.schedule('slice', this.#sliceInterval);
  }
}
