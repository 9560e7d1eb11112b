import { maxTimerDelayMilliseconds } from '../../base/async.js';
import { TokenBucket } from '../../base/rate-limiter.js';

/** Why a run happens: a request, or syncPeriod has passed since the last one. */
export type RunReason = 'requested' | 'periodic';

/** `urgent`: does not wait for minSyncPeriod, within bounds. */
export type Urgency = 'ordinary' | 'urgent';

/**
 * How many urgent runs a minSyncPeriod may have, at once or spread. More urgent requests are batched, in a tenth of the
 * ordinary time.
 */
const urgentRuns = 10;

export interface SyncRunnerOptions {
  /** Milliseconds between the end of one run and the start of the next; 0: none. */
  readonly minSyncPeriod: () => number;
  /** Milliseconds after the end of the last run without a request. */
  readonly syncPeriod: () => number;
  /** Must not reject. */
  readonly run: (reason: RunReason) => Promise<void>;
  /** A monotonic clock in milliseconds: with the time of day a step back would delay every sync. */
  readonly now?: () => number;
}

/**
 * kube-proxy's rate limit (kube-proxy-ipvs §5.8): requests coalesce, the first runs at once, later ones wait until
 * minSyncPeriod after the end of the previous run. Urgent requests do not wait, within limits, and include the waiting
 * ones.
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

  /** Applies changed periods to a run that waits. */
  reschedule(): void {
    if (this.#timer !== undefined && !this.#running) this.#schedule();
  }

  /** Starts no more runs; resolves when the current one has finished. */
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
    const period = this.options.minSyncPeriod();
    if (period === 0) return 0;
    const now = this.#now();
    const ordinary = Math.max(0, (this.#lastEnd ?? -Infinity) + period - now);
    return urgency === 'urgent' ? Math.min(ordinary, this.#urgent.wait(now)) : ordinary;
  }

  /** Takes a token if the run starts earlier than an ordinary one would. */
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
