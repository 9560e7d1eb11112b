import { sleep } from '../../base/async.js';
import type { RetryDelay } from './retry-delay.js';

/** A monotonic clock, and its timer. */
export interface Clock {
  /** Milliseconds. */
  now(): number;
  /** Resolves after the time or as soon as the signal aborts; never rejects. */
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>;
}

export const realClock: Clock = { now: () => performance.now(), sleep };

/** How far an attempt got: 0 no response, 1 refused, 2 the response began. */
export type Reach = 0 | 1 | 2;

interface Waiter {
  readonly reach: Reach;
  readonly wake: AbortController;
}

/**
 * Schedules the attempts for all resources of one API server. While it is unreachable the resources take turns, so that it gets one
 * cheap attempt at a time; when one attempt gets further than the others did, the others try at once.
 */
export class RetryPacer {
  readonly #waiting = new Set<Waiter>();
  /** When the last scheduled turn begins. */
  #lastTurn = Number.NEGATIVE_INFINITY;

  constructor(readonly clock: Clock = realClock) {}

  /** Call for each response: resources whose last attempt did not get as far try at once. */
  reached(reach: Reach): void {
    const behind = [...this.#waiting].filter((waiter) => waiter.reach < reach);
    if (behind.length === 0) return;
    this.#lastTurn = Number.NEGATIVE_INFINITY;
    for (const waiter of behind) waiter.wake.abort();
  }

  /** Waits after an attempt; ends early when the signal aborts. */
  async pause(delay: RetryDelay, reach: Reach, signal: AbortSignal): Promise<void> {
    if (delay.serverDelay > 0) await this.clock.sleep(delay.serverDelay, signal);
    const rest = Math.max(0, delay.milliseconds - delay.serverDelay);
    const milliseconds = delay.takesTurns ? this.#nextTurn(rest, delay.milliseconds) : rest;
    if (!delay.endsEarly) return this.clock.sleep(milliseconds, signal);
    const waiter = { reach, wake: new AbortController() };
    this.#waiting.add(waiter);
    await this.clock.sleep(milliseconds, AbortSignal.any([waiter.wake.signal, signal]));
    this.#waiting.delete(waiter);
  }

  /** Waits until the time has passed, and at least so long after the previous turn. */
  #nextTurn(milliseconds: number, gap: number): number {
    const now = this.clock.now();
    this.#lastTurn = Math.max(now + milliseconds, this.#lastTurn + gap);
    return this.#lastTurn - now;
  }
}
