import { DummyInterfaceError } from '../apply/dummy-interface.js';
import type { Report } from '../apply/reconciler.js';
import { SerialQueue } from '../base/async.js';
import type { IpAddress } from '../base/ip.js';
import { isEmpty, touch, union, type Touched } from '../plan/diff.js';
import type { Phase } from '../plan/order.js';
import { NamedTimers } from './named-timers.js';
import type { ProxyParts } from './proxy-parts.js';
import { resyncWishes } from './resync-wishes.js';
import { RulesCare } from './rules-care.js';
import { timed } from './sync-observer.js';
import { SyncRunner, type Urgency } from './sync-runner.js';
import { defaultTroubleDelays, Trouble } from './trouble.js';

/** Virtual servers whose real servers one slice of the resync reads. */
const resyncSlice = 100;

/** What falls due within this time is tried again together. */
const leastRetryPauseMilliseconds = 250;

/** For a log line: the first ones; nothing where there is none. */
const someOf = <Key>(keys: ReadonlySet<Key>): readonly Key[] | undefined =>
  keys.size === 0 ? undefined : [...keys].slice(0, 10);

/**
 * The sync loop: turns dirty Services and kernel events into reconciled keys. Everything that touches the kernel passes one
 * serial queue.
 */
export class Proxy implements AsyncDisposable {
  readonly #queue = new SerialQueue();
  readonly #runner: SyncRunner;
  readonly #wishes: SyncRunner;
  readonly #touchedAddresses = new Set<IpAddress>();
  readonly #timers = new NamedTimers();
  readonly #rules: RulesCare;
  readonly #trouble: Trouble;
  readonly #leastRetryPause: number;
  readonly #readingTrouble: Trouble;
  #started = false;
  #adopted = false;
  #rereading = false;
  #firstSync: { resolve: (report: Report) => void } | undefined;

  constructor(private readonly parts: ProxyParts) {
    const { troubleDelays: delays = defaultTroubleDelays, log } = parts;
    this.#leastRetryPause = Math.min(leastRetryPauseMilliseconds, delays.firstMilliseconds);
    const mended = 'syncs come to their end again';
    this.#trouble = new Trouble({ broken: 'a sync failed and is tried again', mended }, delays, log);
    this.#readingTrouble = new Trouble(
      { broken: 'could not read links and addresses', mended: 'links and addresses can be read again' },
      delays,
      log,
    );
    const enqueue = (work: () => Promise<void>): Promise<void> => this.#enqueue(work);
    this.#rules = new RulesCare({ ...parts, timers: this.#timers, delays, enqueue });
    this.#wishes = resyncWishes(() => enqueue(() => this.#resyncWhole()));
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
  start(): Promise<Report> {
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
    this.parts.wanted.nodeChanged();
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
  lostNodesChanged(): void {
    const { reconciler } = this.parts;
    if (reconciler.drains.draining.size === 0) return;
    void this.#enqueue(() => this.#again(() => reconciler.drain(), 'drained'));
  }

  dummyChanged(addresses: Iterable<IpAddress>): void {
    for (const address of addresses) this.#touchedAddresses.add(address);
    this.request();
  }

  /** Events were lost: everything about links and addresses is read again. */
  eventsLost(): void {
    if (this.#rereading) return;
    this.parts.log.warn({}, 'the kernel dropped link and address events; reading all of them again');
    this.rereadAddresses();
  }

  /** Somebody changed our nftables tables, or events about them were lost. */
  packetRulesChanged(): void {
    this.#rules.changed(() => this.#repairPacketRules());
  }

  /** IPVS has gone, or is there again: everything is looked at now. */
  ipvsChanged(): void {
    void this.#queue.run(async () => {
      this.#adopted = false;
      this.#timers.cancel('trouble');
      this.request();
    });
  }

  /** Reads all links and addresses; asked for several times before it begins, once. */
  rereadAddresses(): void {
    if (this.#rereading) return;
    this.#rereading = true;
    void this.#queue.run(async () => {
      this.#rereading = false;
      try {
        if (await this.parts.readAddresses()) this.parts.wanted.nodeChanged();
        if (this.#adopted) this.dummyChanged(await this.parts.resync.readAddresses());
        this.#readingTrouble.succeeded();
        this.request();
      } catch (error) {
        this.#timers.after('events', this.#readingTrouble.broke(error), () => this.rereadAddresses());
      }
    });
  }

  /** All is read and repaired now, not slice by slice when its time has come; asked for again and again, now and then. */
  resyncNow(): void {
    this.#wishes.request();
  }

  /** What the first sync would do. Reads the kernel, changes nothing. */
  async plan(): Promise<readonly Phase[]> {
    return this.#queue.run(async () => {
      const { wanted, reconciler } = this.parts;
      const touched = await reconciler.settle(await this.#adopt(wanted.update()));
      return reconciler.plan(this.#rules.inForce(touched, wanted.lingering));
    });
  }

  /** Ends the work under way and leaves the kernel as it is. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.parts.reconciler.stop();
    this.#timers.stop();
    await Promise.all([this.#runner.stop(), this.#wishes.stop()]);
    await this.#queue.run(async () => undefined);
  }

  /** Work on the kernel. Where it breaks, what the kernel holds is not known any more, and the next sync reads all of it. */
  #enqueue(work: () => Promise<void>): Promise<void> {
    return this.#queue.run(async () => {
      try {
        await work();
      } catch (error) {
        this.#adopted = false;
        this.parts.packetRules.forget();
        this.#timers.after('trouble', this.#trouble.broke(error), () => this.#runner.request());
      }
    });
  }

  async #sync(): Promise<void> {
    // In trouble every sync reads the whole kernel: changes wait for the next try together.
    if (!this.parts.store.synced || this.#timers.has('trouble')) return;
    await timed(this.parts.observers, () => this.#program());
  }

  async #program(): Promise<void> {
    const { wanted, reconciler } = this.parts;
    const started = performance.now();
    if (!this.#adopted) await this.parts.ensureIpvs();
    await this.#ensureDummy();
    for (const observer of this.parts.observers) observer.began();
    const changed = await wanted.updateInTurns();
    const drifted = this.#takeDriftedAddresses(changed);
    const refused = (await this.#rules.declare()) ? 0 : 1;
    const touched = { ...changed, addresses: new Set([...changed.addresses, ...drifted]) };
    const report = await reconciler.reconcile(this.#adopted ? touched : await this.#adopt(touched));
    this.#trouble.succeeded();
    if (!reconciler.isStopped) await this.parts.takeOver.end();
    for (const address of drifted.filter((each) => !this.#differs(each)))
      this.parts.drift.count('address', this.parts.wantsAddress(address) ? 'missing' : 'extra');
    this.#finish({ ...report, failed: report.failed + refused }, 'synced', started);
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
  async #adopt(changed: Touched): Promise<Touched> {
    const { resync, observed, wanted } = this.parts;
    await this.#rules.read();
    await resync.begin({ anew: true });
    this.#adopted = true;
    return union(union(changed, wanted.desired.keys()), union(wanted.lingering.keys(), observed.keys()));
  }

  async #resyncWhole(): Promise<void> {
    this.#timers.cancel('trouble');
    await this.#resync();
    await this.#repairPacketRules();
    const { resync } = this.parts;
    while (resync.remaining > 0) await this.#repair(await resync.step(resyncSlice));
  }

  async #resync(): Promise<void> {
    if (!this.parts.store.synced || !this.#adopted) return this.#sync();
    await timed(this.parts.observers, () => this.#beginResync());
  }

  async #beginResync(): Promise<void> {
    this.parts.checkSettings();
    await this.#ensureDummy();
    if (await this.parts.readAddresses()) this.nodeChanged();
    this.parts.packetRules.forget();
    await this.#rules.declare();
    const drifted = await this.parts.resync.begin();
    // Where virtual servers of others came or went, that is no drift of ours.
    await this.#again(() => this.parts.reconciler.reconcile(touch()), 'synced');
    await this.#repair(drifted);
    await this.parts.staleFlows.clean([]);
    this.parts.reconciler.tryGivenUp();
    this.#scheduleRetries();
    const { resync, syncPeriod } = this.parts;
    this.#scheduleSlices(syncPeriod() / 2 / Math.ceil(resync.remaining / resyncSlice));
  }

  async #repairPacketRules(): Promise<void> {
    if (!this.parts.store.synced || !this.#adopted) return;
    const elements = await this.#rules.readAnew();
    const { resync } = this.parts;
    // Names that could not be read before: without this they would go, as nothing of ours is to name what is somebody else's.
    const adopted = resync.isMistaken ? await resync.begin() : touch();
    await this.#repair(union(adopted, touch({ elements })));
  }

  /** Spreads the slices of a round over the first half of the sync period. */
  #scheduleSlices(pause: number): void {
    const { resync } = this.parts;
    if (resync.remaining === 0) return;
    this.#timers.after('slice', pause, () => {
      void this.#enqueue(async () => {
        await this.#repair(await resync.step(resyncSlice));
        this.#scheduleSlices(pause);
      });
    });
  }

  async #repair(drifted: Touched): Promise<void> {
    if (isEmpty(drifted)) return this.#scheduleRetries();
    const started = performance.now();
    this.parts.log.warn(
      {
        virtualServers: someOf(drifted.virtualServers),
        addresses: someOf(drifted.addresses),
        packetRules: someOf(drifted.elements),
      },
      'the kernel differs from what was left there; repairing',
    );
    const { drift, reconciler } = this.parts;
    this.#finish(await drift.during(() => reconciler.reconcile(drifted)), 'repaired', started);
  }

  #differs(address: IpAddress): boolean {
    return this.parts.wantsAddress(address) !== this.parts.observed.hasAddress(address);
  }

  /** Addresses that somebody else took away or bound, and that nothing else has changed. */
  #takeDriftedAddresses(changed: Touched): readonly IpAddress[] {
    const drifted = [...this.#touchedAddresses].filter(
      (address) => !changed.addresses.has(address) && this.#differs(address),
    );
    this.#touchedAddresses.clear();
    return drifted;
  }

  #finish(report: Report, message: string, started: number, level: 'debug' | 'info' = 'info'): void {
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
    this.#timers.after('retry', Math.max(due, this.#leastRetryPause), () => {
      void this.#enqueue(() => this.#again(() => this.parts.reconciler.reconcile(touch()), 'retried'));
    });
  }

  #scheduleDrain(): void {
    const { drains } = this.parts.reconciler;
    if (drains.draining.size === 0) return;
    this.#timers.after('drain', Math.ceil(drains.pause), () => {
      void this.#enqueue(() => this.#again(() => this.parts.reconciler.drainDue(), 'drained'));
    });
  }

  async #again(work: () => Promise<Report>, message: string): Promise<void> {
    const started = performance.now();
    const report = await work();
    // What is refused again is no news.
    this.#finish(report, message, started, report.applied === 0 ? 'debug' : 'info');
  }
}
