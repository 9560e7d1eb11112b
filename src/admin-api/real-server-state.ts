import type { UnusedReason } from '../plan/endpoints/endpoint-selection.js';

// Part of docs/admin-api.md, as responses.ts.

/** The draining of a real server: it gets no new connections. */
export interface DrainResponse {
  /** Seconds since it began. */
  readonly seconds: number;
  /** Seconds until its connections are cut, unless it is idle before. */
  readonly secondsLeft: number;
  /** Why it is no longer used: it is not an endpoint any more (`gone`), or the reason in `endpoints` of its Service. */
  readonly reason: UnusedReason | 'gone';
}

/** Why a real server does not have its full weight. */
export interface PaceResponse {
  /** `climbing`: it is new, and its weight climbs to the full one; `quarantined`: it did not answer, and it gets no new connections. */
  readonly kind: 'climbing' | 'quarantined';
  /** Its weight as a share of the full one; 0 with `quarantined`. */
  readonly percent: number;
  /** Seconds since it began. */
  readonly seconds: number;
  /** Seconds until it has its full weight, or is tried again. */
  readonly secondsLeft: number;
}
