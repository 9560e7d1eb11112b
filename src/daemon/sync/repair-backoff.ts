import type { Logger } from '../../base/log.js';

/** What somebody does to our tables comes as many events. */
const firstDelayMilliseconds = 50;
/** So many repairs may be made at once, and one more for each second that passes. */
const freeRepairs = 10;
const firstBackoffMilliseconds = 1_000;
const maximumMilliseconds = 60_000;
/** After so long without a repair, beyond the last pause, everything is forgotten. */
const quietMilliseconds = 10_000;

/**
 * How long to wait before our packet rules are put right: next to nothing for somebody who changes them now and then, ever longer
 * against somebody who does so again and again, as another daemon of another configuration would.
 */
export class RepairBackoff {
  /** Repairs that no second has paid for. */
  #recentRepairs = 0;
  #lastAt = -Infinity;
  /** How often it was too often, without a quiet time. */
  #excessiveRepairs = 0;
  #quietAt = -Infinity;

  constructor(
    private readonly log: Logger,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** The pause before the next repair, in milliseconds. */
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
