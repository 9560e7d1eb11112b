import type { Logger } from '../base/log.js';

/** What somebody does to our tables comes as many events. */
const shortMilliseconds = 50;
/** So many repairs may be made at once, and one more for each second that passes. */
const free = 10;
const firstLongMilliseconds = 1_000;
const longestMilliseconds = 60_000;
/** After so long without a repair, beyond the last pause, everything is forgotten. */
const quietMilliseconds = 10_000;

/**
 * How long to wait before our packet rules are put right: next to nothing for somebody who changes them now and then, ever longer
 * against somebody who does so again and again, as another daemon of another configuration would.
 */
export class RepairPause {
  /** Repairs that no second has paid for. */
  #owed = 0;
  #lastAt = -Infinity;
  /** How often it was too often, without a quiet time. */
  #excess = 0;
  #quietAt = -Infinity;

  constructor(
    private readonly log: Logger,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** The pause before the next repair, in milliseconds. */
  next(): number {
    const now = this.now();
    if (now >= this.#quietAt) this.#excess = 0;
    this.#owed = Math.max(0, this.#owed - (now - this.#lastAt) / 1_000) + 1;
    this.#lastAt = now;
    if (this.#excess === 0 && this.#owed <= free) return shortMilliseconds;
    this.#excess += 1;
    const pause = Math.min(firstLongMilliseconds * 2 ** (this.#excess - 1), longestMilliseconds);
    this.#quietAt = now + pause * 2 + quietMilliseconds;
    if (this.#excess === 1)
      this.log.warn(
        {},
        'somebody changes the packet rules again and again: does another kube-ipvs run here, with another configuration? ' +
          'They are put right ever less often, at least once a minute',
      );
    return pause;
  }
}
