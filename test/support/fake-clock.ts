import { yieldToEventLoop } from '../../src/base/async.js';
import type { Clock } from '../../src/watch/api/retry-pacer.js';

interface Sleeper {
  readonly at: number;
  readonly wake: () => void;
}

/** A clock that jumps to whatever is due next, once all work that needs no time is done. */
export class FakeClock implements Clock {
  #now = 0;
  readonly #sleepers = new Set<Sleeper>();

  now(): number {
    return this.#now;
  }

  sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const sleeper: Sleeper = {
        at: this.#now + milliseconds,
        wake: () => {
          this.#sleepers.delete(sleeper);
          resolve();
        },
      };
      if (signal?.aborted === true) return resolve();
      signal?.addEventListener('abort', sleeper.wake, { once: true });
      this.#sleepers.add(sleeper);
    });
  }

  /** Lets time pass until the work has ended. */
  async until(work: Promise<unknown>): Promise<void> {
    const state = { ended: false };
    const end = work.finally(() => (state.ended = true));
    while (!state.ended) {
      // What a stream or an abort wakes up needs turns of the event loop, not of the clock.
      for (let turn = 0; turn < 4; turn += 1) await yieldToEventLoop();
      if (!state.ended) this.#jump();
    }
    await end;
  }

  #jump(): void {
    const [next] = [...this.#sleepers].toSorted((a, b) => a.at - b.at);
    if (next === undefined) return;
    this.#now = Math.max(this.#now, next.at);
    next.wake();
  }
}
