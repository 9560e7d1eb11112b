import type { Family } from '../../base/ip.js';

interface Trigger {
  readonly family: Family;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** While every sync breaks, no more than these are kept: the newest tell the least. */
const maximumTriggers = 10_000;

/**
 * From the change of a pod to its being programmed: triggers are taken in as changes come, taken along by the sync that begins
 * after them, and measured when one such sync succeeds.
 */
export class ProgrammingLatency {
  #waiting: Trigger[] = [];
  #inSync: Trigger[] = [];

  /** What was triggered before `since`, milliseconds since 1970, says when we were started and no more. */
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
