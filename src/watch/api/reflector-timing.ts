import type { RetryTiming } from './retry-delay.js';
import type { IdleTiming } from './watch-liveness.js';

/** Time limits of a reflector, in milliseconds unless stated otherwise. */
export interface ReflectorTiming extends RetryTiming, IdleTiming {
  /** Requested duration of a watch, seconds: random between these, so that nodes do not reconnect together. */
  readonly watchSeconds: readonly [from: number, to: number];
  /** How long after that a watch counts as dead. */
  readonly slack: number;
  /** Until a response begins, and for each further chunk of a list. */
  readonly response: number;
  /** Until a watch begins: a server answers at once, or after the time for which it queues requests. */
  readonly watchResponse: number;
  /** For each further chunk of a streaming list before its end. */
  readonly initialIdle: number;
  /**
   * After a stream of this duration the delays start from the beginning. Not shorter than the longest delay, so that a server that
   * drops connections repeatedly gets no more requests than one that refuses them.
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
