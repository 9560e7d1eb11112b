import { maxTimerDelayMilliseconds } from '../../base/async.js';

/** What the sync loop does at a due time. */
export type LoopWakeup =
  | 'sync-retry'
  | 'retry'
  | 'drain'
  | 'pace'
  | 'slice'
  | 'address-read'
  | 'connection-sync';

/** Due times by name, and one timer, which is set for the earliest of them. */
export class Wakeups<Name extends string = string> {
  readonly #dueTimes = new Map<Name, number>();
  #timer: NodeJS.Timeout | undefined;
  #timerAt: number | undefined;
  #stopped = false;

  /** Calls `wake` once for each name that is due; by then the name is no longer scheduled. `now` is a monotonic clock. */
  constructor(
    private readonly wake: (name: Name) => void,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** The earliest due time. */
  get nextWakeup(): number | undefined {
    let next: number | undefined;
    for (const at of this.#dueTimes.values()) next = Math.min(next ?? at, at);
    return next;
  }

  isScheduled(name: Name): boolean {
    return this.#dueTimes.has(name);
  }

  /** Replaces the due time that the name had. */
  schedule(name: Name, milliseconds: number): void {
    if (this.#stopped) return;
    this.#dueTimes.set(name, this.now() + milliseconds);
    this.#setTimer();
  }

  cancel(name: Name): void {
    if (this.#dueTimes.delete(name)) this.#setTimer();
  }

  /** Nothing is due any more, and nothing can be scheduled. */
  stop(): void {
    this.#stopped = true;
    this.#dueTimes.clear();
    this.#setTimer();
  }

  #setTimer(): void {
    const next = this.nextWakeup;
    if (next === this.#timerAt) return;
    clearTimeout(this.#timer);
    this.#timerAt = next;
    if (next === undefined) return;
    const now = this.now();
    const at = Math.min(next, now + maxTimerDelayMilliseconds);
    this.#timer = setTimeout(() => this.#wakeUp(at), Math.max(0, at - now));
  }

  /** Timers run up to a millisecond early: the time that the timer was set for counts as reached. */
  #wakeUp(at: number): void {
    this.#timerAt = undefined;
    const now = Math.max(at, this.now());
    const names = [...this.#dueTimes].filter(([, due]) => due <= now).map(([name]) => name);
    for (const name of names) this.#dueTimes.delete(name);
    this.#setTimer();
    for (const name of names) this.wake(name);
  }
}
