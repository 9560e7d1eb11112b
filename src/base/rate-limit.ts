import { sleep } from './async.js';

/** Read anew for each caller: they may change. */
export interface RateLimitOptions {
  /** As for client-go, a negative rate is none. */
  readonly perSecond: number;
  /** How many may come at once after a quiet time; at least 1. */
  readonly burst: number;
}

/** A token bucket, as client-go has it: callers wait for their turn, in the order in which they came. */
export class RateLimit {
  /** When the next one would be let through if there were no burst, milliseconds of `performance.now()`. */
  #next = Number.NEGATIVE_INFINITY;

  constructor(private readonly options: RateLimitOptions) {}

  /** Resolves when it is this caller's turn, or as soon as the signal aborts. */
  async turn(signal: AbortSignal): Promise<void> {
    const { perSecond, burst } = this.options;
    if (perSecond <= 0) return;
    const interval = 1000 / perSecond;
    const credit = (Math.max(1, burst) - 1) * interval;
    const now = performance.now();
    this.#next = Math.max(this.#next, now - credit);
    const wait = this.#next - now;
    this.#next += interval;
    if (wait > 0) await sleep(wait, signal);
  }
}
