import { setTimeout as delay } from 'node:timers/promises';

/** Node treats a longer timer delay as 1 ms. */
export const maxTimerDelayMilliseconds = 2 ** 31 - 1;

/** Resolves after the time or as soon as the signal aborts; never rejects. */
export const sleep = async (milliseconds: number, signal?: AbortSignal): Promise<void> => {
  try {
    await delay(milliseconds, undefined, signal === undefined ? {} : { signal });
  } catch {
    // aborted: the caller checks its signal
  }
};

export interface BackoffOptions {
  readonly firstMilliseconds: number;
  readonly maximumMilliseconds: number;
  /** From 0 (inclusive) to 1 (exclusive), as Math.random. */
  readonly random?: () => number;
}

/** Spread over ±50 %, so that nodes do not act in step; `random` is from 0 to 1. */
export const jittered = (milliseconds: number, random: number): number => milliseconds * (0.5 + random);

/** The delay after so many earlier attempts: doubled with each of them, up to a maximum, then spread. */
export const exponentialDelay = (attempts: number, first: number, maximum: number, random: number): number =>
  jittered(Math.min(maximum, first * 2 ** attempts), random);

/** A sequence of exponential delays. */
export class Backoff {
  #attempt = 0;
  constructor(private readonly options: BackoffOptions) {}

  next(): number {
    const { firstMilliseconds, maximumMilliseconds, random = Math.random } = this.options;
    const attempts = this.#attempt;
    this.#attempt += 1;
    return exponentialDelay(attempts, firstMilliseconds, maximumMilliseconds, random());
  }

  reset(): void {
    this.#attempt = 0;
  }
}

/** Runs jobs one after the other, in order. Only the caller of a failed job gets its error. */
export class SerialQueue {
  #tail: Promise<unknown> = Promise.resolve();

  run<T>(job: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(job);
    this.#tail = result.catch(() => undefined);
    return result;
  }
}

/** For long work in small steps: yields to the event loop when the last yield is so many milliseconds ago. */
export class Yielder {
  #turnBeganAt: number | undefined;
  #steps = 0;

  /**
   * On machines with a slow clock, reading it costs as much as some small steps: it is read after `stepsPerClockCheck`. With more
   * than one, it is read for the first time then, so work of few steps reads no clock.
   */
  constructor(
    private readonly intervalMilliseconds: number,
    private readonly stepsPerClockCheck = 1,
  ) {
    if (stepsPerClockCheck === 1) this.#turnBeganAt = performance.now();
  }

  /** Whether `yieldIfDue` would yield: awaiting it after each of many small steps costs more than the steps. */
  get isDue(): boolean {
    const now = performance.now();
    this.#turnBeganAt ??= now;
    return now - this.#turnBeganAt >= this.intervalMilliseconds;
  }

  async yieldIfDue(steps = 1): Promise<void> {
    this.#steps += steps;
    if (this.#steps < this.stepsPerClockCheck) return;
    this.#steps = 0;
    if (!this.isDue) return;
    await yieldToEventLoop();
    this.#turnBeganAt = performance.now();
  }
}

/** Lets due timers and sockets run. */
export const yieldToEventLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
