import { longestDelayMilliseconds } from '../base/async.js';

/** Why a run happens: something asked for it, or syncPeriod has passed since the last one. */
export type RunReason = 'requested' | 'periodic';

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
 * minSyncPeriod after the end of the run before.
 */
export class SyncRunner {
  #requested = false;
  #running = false;
  #stopped = false;
  #timer: NodeJS.Timeout | undefined;
  #lastEnd: number | undefined;
  #idle: Promise<void> = Promise.resolve();
  readonly #now: () => number;

  constructor(private readonly options: SyncRunnerOptions) {
    this.#now = options.now ?? (() => performance.now());
  }

  request(): void {
    if (this.#requested || this.#stopped) return;
    this.#requested = true;
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
    const { minSyncPeriod, syncPeriod } = this.options;
    const passed = this.#lastEnd === undefined ? Infinity : this.#now() - this.#lastEnd;
    const wait = this.#requested ? Math.max(0, minSyncPeriod() - passed) : syncPeriod();
    if (wait === 0) this.#start();
    else this.#timer = setTimeout(() => this.#start(), Math.min(wait, longestDelayMilliseconds));
  }

  #start(): void {
    const reason = this.#requested ? 'requested' : 'periodic';
    this.#requested = false;
    this.#running = true;
    this.#idle = this.options.run(reason).finally(() => {
      this.#running = false;
      this.#lastEnd = this.#now();
      this.#schedule();
    });
  }
}
