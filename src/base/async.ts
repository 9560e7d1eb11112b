import { setTimeout as delay } from 'node:timers/promises';

/** Node takes a longer delay of a timer for none at all. */
export const longestDelayMilliseconds = 2 ** 31 - 1;

/** Resolves after the time or as soon as the signal aborts; never rejects. */
export const sleep = async (milliseconds: number, signal?: AbortSignal): Promise<void> => {
  try {
    await delay(milliseconds, undefined, signal === undefined ? {} : { signal });
  } catch {
    // aborted: the caller looks at its signal
  }
};

export interface BackoffOptions {
  readonly firstMilliseconds: number;
  readonly maximumMilliseconds: number;
  /** From 0 (inclusive) to 1 (exclusive), as Math.random. */
  readonly random?: () => number;
}

/** Over ±50 %, so that nodes do not march in step; `random` is from 0 to 1. */
export const scattered = (milliseconds: number, random: number): number => milliseconds * (0.5 + random);

/** The delay after so many attempts before: doubled with each of them, up to a maximum, and scattered. */
export const exponentialDelay = (before: number, first: number, maximum: number, random: number): number =>
  scattered(Math.min(maximum, first * 2 ** before), random);

/** Exponential delays, one after the other. */
export class Backoff {
  #attempt = 0;
  constructor(private readonly options: BackoffOptions) {}

  next(): number {
    const { firstMilliseconds, maximumMilliseconds, random = Math.random } = this.options;
    const before = this.#attempt;
    this.#attempt += 1;
    return exponentialDelay(before, firstMilliseconds, maximumMilliseconds, random());
  }

  reset(): void {
    this.#attempt = 0;
  }
}

/** Runs jobs one after the other in the order they came; a job's failure is its caller's alone. */
export class SerialQueue {
  #tail: Promise<unknown> = Promise.resolve();

  run<T>(job: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(job);
    this.#tail = result.catch(() => undefined);
    return result;
  }
}

/** For long work in small steps: `turn` gives the event loop its turn where the last one was so many milliseconds ago. */
export class Turns {
  #since = performance.now();

  constructor(private readonly milliseconds: number) {}

  /** Whether `turn` would do anything: where steps are many and small, waiting for nothing costs more than they do. */
  get isOver(): boolean {
    return performance.now() - this.#since >= this.milliseconds;
  }

  async turn(): Promise<void> {
    if (!this.isOver) return;
    await yieldToEventLoop();
    this.#since = performance.now();
  }
}

/** Items between two looks at the clock, which costs as much as mapping a few of them where clocks are slow. */
const itemsBetweenLooks = 16;

/** As `items.map(map)`, with a turn for the event loop each so many milliseconds. */
export const mapInTurns = async <A, B>(
  items: readonly A[],
  map: (item: A) => B,
  milliseconds: number,
): Promise<readonly B[]> => {
  const turns = new Turns(milliseconds);
  const mapped: B[] = [];
  for (const item of items) {
    if (mapped.length % itemsBetweenLooks === 0) await turns.turn();
    mapped.push(map(item));
  }
  return mapped;
};

/** Lets timers and sockets have their turn. */
export const yieldToEventLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
