import type { Instant } from '../../base/instant.js';
import { TokenBucket } from '../../base/rate-limiter.js';
import type { ServiceKey } from '../../model/service.js';

interface Rate {
  /** Milliseconds for one more record. */
  readonly interval: number;
  readonly burst: number;
}

// An hour brings at most 1,000 + 7,200 operations and 500 + 1,800 other records.
const operationRate: Rate = { interval: 500, burst: 1_000 };
const otherRate: Rate = { interval: 2_000, burst: 500 };
/** Busy Services together have half of the operations: those of other Services are listed all the same. */
const busyRate: Rate = { interval: 1_000, burst: 500 };

/** The operations of one run that are recorded singly: a full sync leaves tokens for what follows. */
const maximumPerRun = 500;

/** A Service with more operations in a minute is busy. */
const maximumPerMinute = 60;
const minute = 60_000;

/** Whether there was a token. */
const take = (bucket: TokenBucket, { interval, burst }: Rate, { monotonic }: Instant): boolean => {
  if (bucket.wait(monotonic) > 0) return false;
  bucket.take(monotonic, interval, burst);
  return true;
};

/** Decides what is recorded singly, so that an hour of records is bounded and no Service uses all of them. */
export class RecordBudget {
  readonly #operations = new TokenBucket();
  readonly #busyOperations = new TokenBucket();
  readonly #others = new TokenBucket();
  #inRun = 0;
  /** The recorded operations of this minute by Service. */
  readonly #inMinute = new Map<ServiceKey | undefined, number>();
  #minuteBegan = -Infinity;

  /** Whether the run has used its share, so that no clock need be read. */
  get isRunOver(): boolean {
    return this.#inRun >= maximumPerRun;
  }

  takeOperation(service: ServiceKey | undefined, now: Instant): boolean {
    if (this.isRunOver) return false;
    if (now.monotonic - this.#minuteBegan >= minute) {
      this.#inMinute.clear();
      this.#minuteBegan = now.monotonic;
    }
    const count = (this.#inMinute.get(service) ?? 0) + 1;
    if (count > maximumPerMinute && !take(this.#busyOperations, busyRate, now)) return false;
    if (!take(this.#operations, operationRate, now)) return false;
    this.#inMinute.set(service, count);
    this.#inRun += 1;
    return true;
  }

  takeOther(now: Instant): boolean {
    return take(this.#others, otherRate, now);
  }

  runEnded(): void {
    this.#inRun = 0;
  }
}
