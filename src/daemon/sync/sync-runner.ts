import { maxTimerDelayMilliseconds } from '../../base/async.js';
import { TokenBucket } from '../../base/rate-limiter.js';

/** Why a run happens: something asked for it, or syncPeriod has passed since the last one. */
export type RunReason = 'requested' | 'periodic';

/** `urgent`: does not wait for minSyncPeriod, within bounds. */
export type Urgency = 'ordinary' | 'urgent';

/**
 * So many runs a minSyncPeriod may be urgent ones, all of them at once or one after the other. More urgent requests than that
 * are batched, in a tenth of the time of others.
 */
const urgentRuns = 10;

export interface SyncRunnerOptions {
  /** Milliseconds between the end of one run and the start of the next; 0: none. */
  readonly minSyncPeriod: () => number;
  /** Milliseconds after the end of the last run without a request. */
  readonly syncPeriod: () => number;
  /** Must not reject: a failure is the run's own business. */
  readonly run: (reason: RunReason) => Promise<void>;
  /** Milliseconds of a clock that nobody sets: with the time of day a step back would hold up every sync for as long. */
  readonly now?: () => number;
}

/**
 * kube-proxy's rate limit (kube-proxy-ipvs §5.8): requests coalesce, the first runs at once, later ones wait until
 * minSyncPeriod after the end of the run before. Urgent requests pass them by, within bounds, and take along what waits.
 */
export class SyncRunner {
  #requested: Urgency | undefined;
  readonly #urgent = new TokenBucket();
  #running = false;
  #stopped = false;
  #timer: NodeJS.Timeout | undefined;
  #lastEnd: number | undefined;
  #idle: Promise<void> = Promise.resolve();
  readonly #now: () => number;

  constructor(private readonly options: SyncRunnerOptions) {
    this.#now = options.now ?? (() => performance.now());
  }

  request(urgency: Urgency = 'ordinary'): void {
    if (this.#stopped || this.#requested === 'urgent' || this.#requested === urgency) return;
    this.#requested = urgency;
    if (!this.#running) this.#schedule();
  }

  /** The periods are others now: what waits does so by them. */
  reschedule(): void {
    if (this.#timer !== undefined && !this.#running) this.#schedule();
  }

  /** No run starts after this; resolves when the one under way has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#idle;
  }

  #schedule(): void {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    const wait = this.#requested === undefined ? this.options.syncPeriod() : this.#wait(this.#requested);
    if (wait === 0) this.#start();
    else this.#timer = setTimeout(() => this.#start(), Math.min(wait, maxTimerDelayMilliseconds));
  }

  /** Milliseconds. */
  #wait(urgency: Urgency): number {
    const now = this.#now();
    const ordinary = Math.max(0, (this.#lastEnd ?? -Infinity) + this.options.minSyncPeriod() - now);
    return urgency === 'urgent' ? Math.min(ordinary, this.#urgent.wait(now)) : ordinary;
  }

  /** Takes a token where the run starts earlier than an ordinary one. */
  #countUrgent(): void {
    if (this.#requested !== 'urgent' || this.#wait('ordinary') === 0) return;
    this.#urgent.take(this.#now(), this.options.minSyncPeriod() / urgentRuns, urgentRuns);
  }

  #start(): void {
    const reason = this.#requested === undefined ? 'periodic' : 'requested';
    this.#countUrgent();
    this.#requested = undefined;
    this.#running = true;
    this.#idle = this.options.run(reason).finally(() => {
      this.#running = false;
      this.#lastEnd = this.#now();
      this.#schedule();
    });
  }
}
