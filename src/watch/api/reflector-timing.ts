import type { RetryTiming } from './retry-delay.js';
import type { IdleTiming } from './watch-liveness.js';

/** How long a reflector waits for what; milliseconds where nothing else is said. */
export interface ReflectorTiming extends RetryTiming, IdleTiming {
  /** How long the server shall keep a watch, seconds: between these, at random, so that nodes do not come back together. */
  readonly watchSeconds: readonly [from: number, to: number];
  /** How much later than that a watch counts as dead. */
  readonly slack: number;
  /** For an answer to begin, and for each further piece of a list. */
  readonly response: number;
  /** For a watch to begin: a server answers it at once, or after the time for which it queues requests. */
  readonly watchResponse: number;
  /** For each further piece of a streaming list before its end mark. */
  readonly initialIdle: number;
  /**
   * After a stream was followed for so long the next failure is a first one. Not less than the longest pause: so a server that
   * loses us again and again is not asked more often than if it never took us.
   */
  readonly healthy: number;
  /** A stream that ended within this time counts as a failure. */
  readonly early: number;
}

export const defaultTiming: ReflectorTiming = {
  watchSeconds: [300, 600],
  slack: 15_000,
  response: 60_000,
  watchResponse: 20_000,
  initialIdle: 30_000,
  bookmark: 150_000,
  backoff: { first: 800, maximum: 30_000 },
  probe: 1_400,
  denied: 300_000,
  relistSpread: { perObject: 0.4, maximum: 1_200 },
  healthy: 30_000,
  early: 1_000,
};
