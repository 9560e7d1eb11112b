import { readClocks, type Instant } from '../../base/instant.js';
import type { Family } from '../../base/ip.js';
import type { SyncObserver } from '../sync/sync-observer.js';

export interface FamilyHealth {
  /** Milliseconds since 1970. */
  readonly lastUpdated: number;
  readonly healthy: boolean;
}

/** How the syncs of this proxy are doing. */
export interface HealthState {
  /** Whether every family is healthy. */
  readonly healthy: boolean;
  /** Families whose syncs have not begun are absent. */
  readonly families: Readonly<Partial<Record<Family, FamilyHealth>>>;
}

export interface SyncHealthOptions {
  /** Those that are served. */
  readonly families: readonly Family[];
  /** Whether a family is not served as it should be, though its sync came to its end. */
  readonly hasFailed: (family: Family) => boolean;
  /** Milliseconds that a sync may be outstanding, as of now: twice ipvs.syncPeriod. */
  readonly timeout: () => number;
  readonly clocks?: () => Instant;
}

interface FamilyState {
  lastUpdated: number;
  /** Since when a sync has been outstanding, on the clock that nobody sets. */
  pendingSince: number | undefined;
  /** The same of what was asked for after the sync under way had begun, which it may not contain. */
  requestedSince: number | undefined;
}

/**
 * Knows whether the kernel is kept up with the cluster (kube-proxy-ipvs §7.1): a family is healthy while no sync of it has been
 * outstanding for too long. Unlike in kube-proxy, a periodic sync counts like any other: one that hangs or keeps failing is
 * seen, though nobody asked for it.
 */
export class SyncHealth implements SyncObserver {
  readonly #states = new Map<Family, FamilyState>();
  readonly #clocks: () => Instant;

  constructor(private readonly options: SyncHealthOptions) {
    this.#clocks = options.clocks ?? readClocks;
  }

  started(): void {
    const { date } = this.#clocks();
    for (const family of this.options.families)
      this.#states.set(family, { lastUpdated: date, pendingSince: undefined, requestedSince: undefined });
  }

  queued(): void {
    this.#markPending();
    const { monotonic } = this.#clocks();
    for (const state of this.#states.values()) state.requestedSince ??= monotonic;
  }

  due(): void {
    this.#markPending();
  }

  began(): void {
    for (const state of this.#states.values()) state.requestedSince = undefined;
  }

  ended({ succeeded }: { readonly succeeded: boolean }): void {
    const { date } = this.#clocks();
    for (const [family, state] of this.#states) {
      if (!succeeded || this.options.hasFailed(family)) continue;
      state.lastUpdated = date;
      state.pendingSince = state.requestedSince;
    }
  }

  #markPending(): void {
    const { monotonic } = this.#clocks();
    for (const state of this.#states.values()) state.pendingSince ??= monotonic;
  }

  health(): HealthState {
    const { monotonic } = this.#clocks();
    const timeout = this.options.timeout();
    const families: Partial<Record<Family, FamilyHealth>> = {};
    for (const [family, { lastUpdated, pendingSince }] of this.#states) {
      const healthy = pendingSince === undefined || monotonic - pendingSince < timeout;
      families[family] = { lastUpdated, healthy };
    }
    return { healthy: Object.values(families).every(({ healthy }) => healthy), families };
  }
}
