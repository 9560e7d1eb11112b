import { Random } from './random.js';

/** A timer that is set. */
interface Timer {
  readonly at: number;
  readonly order: number;
  readonly work: () => void;
}

/** What a timer is named by; as the real ones it can be unreferenced, which changes nothing here. */
class Handle {
  constructor(private readonly timers: Map<Handle, Timer>) {}

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  hasRef(): boolean {
    return true;
  }

  refresh(): this {
    return this;
  }

  [Symbol.dispose](): void {
    this.timers.delete(this);
  }
}

const isIdle = (): boolean => !process.getActiveResourcesInfo().includes('Immediate');

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * Time of this process that passes only when a test says so, for `setTimeout` and the monotonic clocks, and random numbers that
 * are the same each time. A test under it has the same course on every machine.
 */
export class VirtualTimers implements Disposable {
  static #isInstalled = false;
  #now = 1_000_000;
  #order = 0;
  #isSettling = false;
  readonly #timers = new Map<Handle, Timer>();
  readonly #restore: () => void;

  constructor() {
    if (VirtualTimers.#isInstalled) throw new Error('the time is virtual already: one node at a time');
    VirtualTimers.#isInstalled = true;
    const { setTimeout, clearTimeout } = globalThis;
    const { random } = Math;
    const performanceNow = performance.now.bind(performance);
    const bigint = process.hrtime.bigint.bind(process.hrtime);
    this.#restore = () => {
      VirtualTimers.#isInstalled = false;
      Object.assign(globalThis, { setTimeout, clearTimeout });
      performance.now = performanceNow;
      process.hrtime.bigint = bigint;
      Math.random = random;
    };
    const seeded = new Random(1);
    Math.random = () => seeded.next();
    Object.assign(globalThis, {
      setTimeout: (work: () => void, milliseconds = 0) => this.#set(work, milliseconds),
      clearTimeout: (handle: unknown) =>
        handle instanceof Handle ? this.#timers.delete(handle) : clearTimeout(handle as undefined),
    });
    performance.now = () => this.#now;
    process.hrtime.bigint = () => BigInt(Math.round(this.#now * 1_000)) * 1_000n;
  }

  /** Milliseconds. */
  get now(): number {
    return this.#now;
  }

  /** Lets everything happen that needs no time. */
  async settle(): Promise<void> {
    // Two would keep each other waiting.
    if (this.#isSettling) throw new Error('a step of the test is not awaited');
    this.#isSettling = true;
    do await turn();
    while (!isIdle() || this.#runDue(this.#now));
    this.#isSettling = false;
  }

  /** Lets the time pass, and everything happen that falls into it, each at its moment. */
  async advance(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds;
    await this.settle();
    for (let next = this.#next(); next !== undefined && next.at <= end; next = this.#next()) {
      this.#now = Math.max(this.#now, next.at);
      await this.settle();
    }
    this.#now = end;
  }

  [Symbol.dispose](): void {
    this.#restore();
  }

  #set(work: () => void, milliseconds: number): Handle {
    const handle = new Handle(this.#timers);
    this.#order += 1;
    this.#timers.set(handle, { at: this.#now + Math.max(1, milliseconds), order: this.#order, work });
    return handle;
  }

  #next(): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers.values())
      if (first === undefined || timer.at < first.at || (timer.at === first.at && timer.order < first.order))
        first = timer;
    return first;
  }

  /** Runs the first timer that is due; whether there was one. */
  #runDue(now: number): boolean {
    const next = this.#next();
    if (next === undefined || next.at > now) return false;
    for (const [handle, timer] of this.#timers) if (timer === next) this.#timers.delete(handle);
    next.work();
    return true;
  }
}
