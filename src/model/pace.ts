import type { RealServerKey } from './virtual-server.js';

/** How the weights of a Service's real servers change over time. 0: they do not. */
export interface PaceSettings {
  /** How long the weight of a new real server climbs to its full value. */
  readonly slowStartMilliseconds: number;
  /** How long a real server that does not answer gets no new connections. */
  readonly quarantineMilliseconds: number;
}

/**
 * Why a real server does not have its full weight. Times are milliseconds of a monotonic clock.
 * - `climbing`: it is new, and its weight is `tenths` (1 to 9) tenths of the full one
 * - `quarantined`: it did not answer, and its weight is 0
 */
export type Pace =
  | {
      readonly kind: 'climbing';
      readonly since: number;
      readonly until: number;
      readonly tenths: number;
    }
  | { readonly kind: 'quarantined'; readonly since: number; readonly until: number };

/** The real servers of a virtual server that do not have their full weight. */
export type Paces = ReadonlyMap<RealServerKey, Pace>;
