import type { Family } from '../../base/ip.js';

interface Trigger {
  readonly family: Family;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** The limit while every sync fails; the newest are dropped. */
const maximumTriggers = 10_000;

/**
 * Measures the time from the change of a pod until it is programmed: a trigger belongs to the sync that begins after it,
 * and is measured when that sync, or a later one, succeeds.
 */
export class ProgrammingLatency {
  #waiting: Trigger[] = [];
  #inSync: Trigger[] = [];

  /** Ignores triggers before `since` (milliseconds since 1970): they would measure the start of the daemon. */
  constructor(
    private readonly since: number,
    private readonly observe: (family: Family, seconds: number) => void,
  ) {}

  changed(family: Family, triggeredAt: number | undefined): void {
    if (triggeredAt === undefined || triggeredAt <= this.since) return;
    if (this.#waiting.length + this.#inSync.length < maximumTriggers)
      this.#waiting.push({ family, at: triggeredAt });
  }

  syncBegan(): void {
    this.#inSync = [...this.#inSync, ...this.#waiting];
    this.#waiting = [];
  }

  syncEnded(succeeded: boolean, now: number): void {
    if (!succeeded) return;
    for (const { family, at } of this.#inSync) this.observe(family, Math.max(0, now - at) / 1_000);
    this.#inSync = [];
  }
}
