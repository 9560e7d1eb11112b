import type { Logger } from '../../base/log.js';

/** One change of our tables causes many events. */
const firstDelayMilliseconds = 50;
/** How many repairs may be made at once; each second permits one more. */
const freeRepairs = 10;
const firstBackoffMilliseconds = 1_000;
const maximumMilliseconds = 60_000;
/** After this time without a repair, beyond the last delay, the delays start again. */
const quietMilliseconds = 10_000;

/**
 * The delay before our packet rules are repaired: short after occasional changes, and growing against a program that
 * changes them all the time.
 */
export class RepairBackoff {
  /** Repairs beyond one a second. */
  #recentRepairs = 0;
  #lastAt = -Infinity;
  /** Excessive repairs without a quiet time. */
  #excessiveRepairs = 0;
  #quietAt = -Infinity;

  constructor(
    private readonly log: Logger,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** The delay before the next repair, in milliseconds. */
  next(): number {
    const now = this.now();
    if (now >= this.#quietAt) this.#excessiveRepairs = 0;
    this.#recentRepairs = Math.max(0, this.#recentRepairs - (now - this.#lastAt) / 1_000) + 1;
    this.#lastAt = now;
    if (this.#excessiveRepairs === 0 && this.#recentRepairs <= freeRepairs) return firstDelayMilliseconds;
    this.#excessiveRepairs += 1;
    const delay = Math.min(firstBackoffMilliseconds * 2 ** (this.#excessiveRepairs - 1), maximumMilliseconds);
    this.#quietAt = now + delay * 2 + quietMilliseconds;
    if (this.#excessiveRepairs === 1)
      this.log.warn(
        {
          event: 'packet-rules-contended',
          remedy: 'Check whether a second kube-ipvs with another configuration runs on this node.',
        },
        'Packet rules repeatedly changed by another program; repairing less often, at least once a minute',
      );
    return delay;
  }
}
