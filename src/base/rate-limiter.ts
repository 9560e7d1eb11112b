import { sleep } from './async.js';

/** Read again for each caller, because they can change. */
export interface RateLimitOptions {
  /** As in client-go, a negative rate means no limit. */
  readonly perSecond: number;
  /** How many callers may pass at once after a quiet period; at least 1. */
  readonly burst: number;
}

/** A token bucket as in client-go; times are milliseconds of the caller's clock. */
export class TokenBucket {
  /** When the next token would be available without a burst. */
  #next = Number.NEGATIVE_INFINITY;

  /** How long until a token is available. */
  wait(now: number): number {
    return Math.max(0, this.#next - now);
  }

  /** Takes a token, of which each interval adds one, and returns how long to wait for it. */
  take(now: number, interval: number, burst: number): number {
    const earliest = Math.max(this.#next, now - (burst - 1) * interval);
    this.#next = earliest + interval;
    return Math.max(0, earliest - now);
  }
}

/** Callers wait for a token in the order of their calls. */
export class RateLimiter {
  readonly #bucket = new TokenBucket();

  constructor(private readonly options: RateLimitOptions) {}

  /** Resolves when this caller has a token, or as soon as the signal aborts. */
  async acquire(signal: AbortSignal): Promise<void> {
    const { perSecond, burst } = this.options;
    if (perSecond <= 0) return;
    const wait = this.#bucket.take(performance.now(), 1000 / perSecond, Math.max(1, burst));
    if (wait > 0) await sleep(wait, signal);
  }
}
