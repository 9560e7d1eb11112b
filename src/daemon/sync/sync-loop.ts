import { DummyInterfaceError } from '../../apply/addresses/dummy-interface.js';
import type { ReconcileReport } from '../../apply/phase-runner.js';
import { SerialQueue } from '../../base/async.js';
import type { IpAddress } from '../../base/ip.js';
import { firstOf } from '../../base/log-sampled.js';
import { isEmpty, dirtyKeys, union, type DirtyKeys } from '../../plan/operations/diff.js';
import type { Phase } from '../../plan/operations/phases.js';
import { NamedTimers } from '../../base/named-timers.js';
import type { SyncLoopParts } from './sync-loop-parts.js';
import { resyncRequests } from './resync-requests.js';
import { PacketRulesController } from './packet-rules-controller.js';
import { observeSync } from './sync-observer.js';
import { SyncRunner, type Urgency } from './sync-runner.js';
import { defaultSyncRetryDelays, FailureState } from './failure-state.js';

/** Virtual servers whose real servers one slice of the resync reads. */
const resyncSliceSize = 100;

/** What falls due within this time is tried again together. */
const minimumRetryDelayMilliseconds = 250;

/**
 * The sync loop: turns dirty Services and kernel events into reconciled keys. Everything that touches the kernel passes one
 * serial queue.
 */
export class SyncLoop implements AsyncDisposable {
  readonly #queue = new SerialQueue();
  readonly #runner: SyncRunner;
  readonly #resyncRequests: SyncRunner;
  readonly #dirtyAddresses = new Set<IpAddress>();
  readonly #timers = new NamedTimers();
  readonly #packetRulesController: PacketRulesController;
  readonly #syncFailure: FailureState;
  readonly #minimumRetryDelay: number;
  readonly #readFailure: FailureState;
  #started = false;
  #mirrorIsCurrent = false;
  #rereadPending = false;
  #firstSync: { resolve: (report: ReconcileReport) => void } | undefined;

  constructor(private readonly parts: SyncLoopParts) {
    const { syncRetryDelays: delays = defaultSyncRetryDelays, log } = parts;
    this.#minimumRetryDelay = Math.min(minimumRetryDelayMilliseconds, delays.firstMilliseconds);
    this.#syncFailure = new FailureState(
      { failed: 'a sync failed and is tried again', recovered: 'syncs come to their end again' },
      delays,
      log,
    );
    this.#readFailure = new FailureState(
      { failed: 'could not read links and addresses', recovered: 'links and addresses can be read again' },
      delays,
      log,
    );
    const enqueue = (work: () => Promise<void>): Promise<void> => this.#enqueue(work);
    this.#packetRulesController = new PacketRulesController({
      ...parts,
      timers: this.#timers,
      delays,
      enqueue,
    });
    this.#resyncRequests = resyncRequests(() => enqueue(() => this.#resyncAll()));
    this.#runner = new SyncRunner({
      minSyncPeriod: parts.minSyncPeriod,
      syncPeriod: parts.syncPeriod,
      run: (reason) => {
        for (const observer of parts.observers) observer.due();
        return this.#enqueue(() => (reason === 'periodic' ? this.#resync() : this.#sync()));
      },
    });
  }

  /** From now on the kernel follows the store. Resolves with the report of the first complete sync. */
  start(): Promise<ReconcileReport> {
    this.#started = true;
    for (const observer of this.parts.observers) observer.started();
    this.request();
    return new Promise((resolve) => (this.#firstSync = { resolve }));
  }

  /** Something that rendering depends on changed; the sync follows as minSyncPeriod lets it. */
  request(urgency: Urgency = 'ordinary'): void {
    if (!this.#started || !this.parts.store.synced) return;
    for (const observer of this.parts.observers) observer.queued();
    this.#runner.request(urgency);
  }

  nodeChanged(): void {
    this.parts.desiredStateUpdater.nodeChanged();
    this.request();
  }

  /**
   * Settings are to change: nothing else touches the kernel while `change` prepares it and puts them in force; then everything
   * is rendered by them. Rejects where `change` does.
   */
  async changeSettings(change: () => Promise<void>): Promise<void> {
    await this.#queue.run(change);
    this.#runner.reschedule();
    this.nodeChanged();
  }

  /** Which nodes are gone is not as it was: what drains is looked at now. */
  deletedNodesChanged(): void {
    const { reconciler } = this.parts;
    if (reconciler.drains.draining.size === 0) return;
    void this.#enqueue(() => this.#finishQuietly(() => reconciler.drainAll(), 'drained'));
  }

  dummyChanged(addresses: Iterable<IpAddress>): void {
    for (const address of addresses) this.#dirtyAddresses.add(address);
    this.request();
  }

  /** Events were lost: everything about links and addresses is read again. */
  eventsLost(): void {
    if (this.#rereadPending) return;
    this.parts.log.warn({}, 'the kernel dropped link and address events; reading all of them again');
    this.rereadAddresses();
  }

  /** Somebody changed our nftables tables, or events about them were lost. */
  packetRulesChanged(): void {
    this.#packetRulesController.scheduleRepair(() => this.#repairPacketRules());
  }

  /** IPVS has gone, or is there again: everything is looked at now. */
  ipvsChanged(): void {
    void this.#queue.run(async () => {
      this.#mirrorIsCurrent = false;
      this.#timers.cancel('trouble');
      this.request();
    });
  }

  /** Reads all links and addresses; asked for several times before it begins, once. */
  rereadAddresses(): void {
    if (this.#rereadPending) return;
    this.#rereadPending = true;
    void this.#queue.run(async () => {
      this.#rereadPending = false;
      try {
        if (await this.parts.readAddresses()) this.parts.desiredStateUpdater.nodeChanged();
        if (this.#mirrorIsCurrent) this.dummyChanged(await this.parts.resync.readAddresses());
        this.#readFailure.succeeded();
        this.request();
      } catch (error) {
        this.#timers.after('events', this.#readFailure.failed(error), () => this.rereadAddresses());
      }
    });
  }

  /** All is read and repaired now, not slice by slice when its time has come; asked for again and again, now and then. */
  resyncNow(): void {
    this.#resyncRequests.request();
  }

  /** What the first sync would do. Reads the kernel, changes nothing. */
  async plan(): Promise<readonly Phase[]> {
    return this.#queue.run(async () => {
      const { desiredStateUpdater, orphaned, reconciler } = this.parts;
      const dirtyKeys = await reconciler.examine(await this.#readKernel(desiredStateUpdater.update()));
      return reconciler.plan(this.#packetRulesController.withElementsInForce(dirtyKeys, orphaned));
    });
  }

  /** Ends the work under way and leaves the kernel as it is. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.parts.reconciler.stop();
    this.#timers.stop();
    await Promise.all([this.#runner.stop(), this.#resyncRequests.stop()]);
    await this.#queue.run(async () => undefined);
  }

  /** Work on the kernel. Where it breaks, what the kernel holds is not known any more, and the next sync reads all of it. */
  #enqueue(work: () => Promise<void>): Promise<void> {
    return this.#queue.run(async () => {
      try {
        await work();
      } catch (error) {
        this.#mirrorIsCurrent = false;
        this.parts.packetRules.invalidate();
        this.#timers.after('trouble', this.#syncFailure.failed(error), () => this.#runner.request());
      }
    });
  }

  async #sync(): Promise<void> {
    // In trouble every sync reads the whole kernel: changes wait for the next try together.
    if (!this.parts.store.synced || this.#timers.has('trouble')) return;
    await observeSync(this.parts.observers, () => this.#program());
  }

  async #program(): Promise<void> {
    const { desiredStateUpdater, reconciler } = this.parts;
    const started = performance.now();
    if (!this.#mirrorIsCurrent) await this.parts.ensureIpvs();
    await this.#ensureDummy();
    for (const observer of this.parts.observers) observer.began();
    const changed = await desiredStateUpdater.updateIncrementally();
    const drifted = this.#takeDriftedAddresses(changed);
    const failedDeclarations = (await this.#packetRulesController.declare()) ? 0 : 1;
    const dirtyKeys = { ...changed, addresses: new Set([...changed.addresses, ...drifted]) };
    const report = await reconciler.reconcile(
      this.#mirrorIsCurrent ? dirtyKeys : await this.#readKernel(dirtyKeys),
    );
    this.#syncFailure.succeeded();
    if (!reconciler.isStopped) await this.parts.takeOver.end();
    for (const address of drifted.filter((each) => !this.#differs(each)))
      this.parts.drift.count('address', this.parts.isAddressDesired(address) ? 'missing' : 'extra');
    this.#finish({ ...report, failed: report.failed + failedDeclarations }, 'synced', started);
  }

  /** Without the device the table follows all the same; each address that is wanted says what is wrong, and is tried again. */
  async #ensureDummy(): Promise<void> {
    try {
      await this.parts.dummy.ensure();
    } catch (error) {
      if (!(error instanceof DummyInterfaceError)) throw error;
    }
  }

  /** Reads the whole kernel table into the mirror: what stands there and is wanted stays as it is. */
  async #readKernel(changed: DirtyKeys): Promise<DirtyKeys> {
    const { resync, observed, orphaned, desiredStateUpdater } = this.parts;
    await this.#packetRulesController.read();
    await resync.begin({ ignoreKnown: true });
    this.#mirrorIsCurrent = true;
    return union(union(changed, desiredStateUpdater.desired.keys()), union(orphaned.keys(), observed.keys()));
  }

  async #resyncAll(): Promise<void> {
    this.#timers.cancel('trouble');
    await this.#resync();
    await this.#repairPacketRules();
    const { resync } = this.parts;
    while (resync.remaining > 0) await this.#repair(await resync.step(resyncSliceSize));
  }

  async #resync(): Promise<void> {
    if (!this.parts.store.synced || !this.#mirrorIsCurrent) return this.#sync();
    await observeSync(this.parts.observers, () => this.#beginResync());
  }

  async #beginResync(): Promise<void> {
    this.parts.checkKernelSettings();
    await this.#ensureDummy();
    if (await this.parts.readAddresses()) this.nodeChanged();
    this.parts.packetRules.invalidate();
    await this.#packetRulesController.declare();
    const drifted = await this.parts.resync.begin();
    // Where virtual servers of others came or went, that is no drift of ours.
    await this.#finishQuietly(() => this.parts.reconciler.reconcile(dirtyKeys()), 'synced');
    await this.#repair(drifted);
    await this.parts.staleFlows.clean([]);
    this.parts.reconciler.retryGivenUp();
    this.#scheduleRetries();
    const { resync, syncPeriod } = this.parts;
    this.#scheduleSlices(syncPeriod() / 2 / Math.ceil(resync.remaining / resyncSliceSize));
  }

  async #repairPacketRules(): Promise<void> {
    if (!this.parts.store.synced || !this.#mirrorIsCurrent) return;
    const elements = await this.#packetRulesController.declareAndRead();
    const { resync } = this.parts;
    // Names that could not be read before: without this they would go, as nothing of ours is to name what is somebody else's.
    const adoptedKeys = resync.hasMisclassified ? await resync.begin() : dirtyKeys();
    await this.#repair(union(adoptedKeys, dirtyKeys({ elements })));
  }

  /** Spreads the slices of a round over the first half of the sync period. */
  #scheduleSlices(pause: number): void {
    const { resync } = this.parts;
    if (resync.remaining === 0) return;
    this.#timers.after('slice', pause, () => {
      void this.#enqueue(async () => {
        await this.#repair(await resync.step(resyncSliceSize));
        this.#scheduleSlices(pause);
      });
    });
  }

  async #repair(drifted: DirtyKeys): Promise<void> {
    if (isEmpty(drifted)) return this.#scheduleRetries();
    const started = performance.now();
    this.parts.log.warn(
      {
        virtualServers: firstOf(drifted.virtualServers),
        addresses: firstOf(drifted.addresses),
        packetRules: firstOf(drifted.elements),
      },
      'the kernel differs from what was left there; repairing',
    );
    const { drift, reconciler } = this.parts;
    this.#finish(await drift.countDuring(() => reconciler.reconcile(drifted)), 'repaired', started);
  }

  #differs(address: IpAddress): boolean {
    return this.parts.isAddressDesired(address) !== this.parts.observed.hasAddress(address);
  }

  /** Addresses that somebody else took away or bound, and that nothing else has changed. */
  #takeDriftedAddresses(changed: DirtyKeys): readonly IpAddress[] {
    const drifted = [...this.#dirtyAddresses].filter(
      (address) => !changed.addresses.has(address) && this.#differs(address),
    );
    this.#dirtyAddresses.clear();
    return drifted;
  }

  #finish(report: ReconcileReport, message: string, started: number, level: 'debug' | 'info' = 'info'): void {
    const tookMs = Math.round((performance.now() - started) * 10) / 10;
    if (report.applied + report.failed > 0) this.parts.log[level]({ ...report, tookMs }, message);
    this.#firstSync?.resolve(report);
    this.#firstSync = undefined;
    this.#scheduleRetries();
    this.#scheduleDrain();
  }

  #scheduleRetries(): void {
    const due = this.parts.reconciler.nextRetry;
    if (due === undefined) return;
    this.#timers.after('retry', Math.max(due, this.#minimumRetryDelay), () => {
      void this.#enqueue(() =>
        this.#finishQuietly(() => this.parts.reconciler.reconcile(dirtyKeys()), 'retried'),
      );
    });
  }

  #scheduleDrain(): void {
    const { drains } = this.parts.reconciler;
    if (drains.draining.size === 0) return;
    this.#timers.after('drain', Math.ceil(drains.nextCheckDelay), () => {
      void this.#enqueue(() => this.#finishQuietly(() => this.parts.reconciler.drainDue(), 'drained'));
    });
  }

  async #finishQuietly(operation: () => Promise<ReconcileReport>, message: string): Promise<void> {
    const started = performance.now();
    const report = await operation();
    // What is refused again is no news.
    this.#finish(report, message, started, report.applied === 0 ? 'debug' : 'info');
  }
}
