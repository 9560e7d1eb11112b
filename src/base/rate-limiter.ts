import { sleep } from './async.js';

/** Read anew for each caller: they may change. */
export interface RateLimitOptions {
  /** As for client-go, a negative rate is none. */
  readonly perSecond: number;
  /** How many may come at once after a quiet time; at least 1. */
  readonly burst: number;
}

/** A token bucket, as client-go has it; times are milliseconds of the caller's clock. */
export class TokenBucket {
  /** When the next token would be there if there were no burst. */
  #next = Number.NEGATIVE_INFINITY;

  /** How long it takes until a token is there. */
  wait(now: number): number {
    return Math.max(0, this.#next - now);
  }

  /** Takes a token, one of which comes each interval, and says how long to wait for it. */
  take(now: number, interval: number, burst: number): number {
    const earliest = Math.max(this.#next, now - (burst - 1) * interval);
    this.#next = earliest + interval;
    return Math.max(0, earliest - now);
  }
}

/** Callers wait for their turn, in the order in which they came. */
export class RateLimiter {
  readonly #bucket = new TokenBucket();

  constructor(private readonly options: RateLimitOptions) {}

  /** Resolves when it is this caller's turn, or as soon as the signal aborts. */
  async acquire(signal: AbortSignal): Promise<void> {
    const { perSecond, burst } = this.options;
    if (perSecond <= 0) return;
    const wait = this.#bucket.take(performance.now(), 1000 / perSecond, Math.max(1, burst));
    if (wait > 0) await sleep(wait, signal);
  }
}
