import type { Instant } from '../../base/instant.js';
import type { Family } from '../../base/ip.js';
import type { SyncObserver } from '../sync/sync-observer.js';

export interface FamilyHealth {
  /** Milliseconds since 1970. */
  readonly lastUpdated: number;
  readonly healthy: boolean;
}

/** The health of the syncs. */
export interface HealthState {
  /** Whether every family is healthy. */
  readonly healthy: boolean;
  /** Without the families whose syncs have not begun. */
  readonly families: Readonly<Partial<Record<Family, FamilyHealth>>>;
}

export interface SyncHealthOptions {
  /** The families that this node serves. */
  readonly families: readonly Family[];
  /** Whether a family is not fully served although its sync succeeded. */
  readonly hasFailed: (family: Family) => boolean;
  /** How long a sync may be pending, milliseconds: twice ipvs.syncPeriod. */
  readonly timeout: () => number;
  readonly clocks?: () => Instant;
}

interface FamilyState {
  lastUpdated: number;
  /** Since when a sync is pending, on the monotonic clock. */
  pendingSince: number | undefined;
  /** The same for changes after the current sync began: that sync may not contain them. */
  requestedSince: number | undefined;
}

/**
 * Whether the kernel follows the cluster (kube-proxy-ipvs §7.1): a family is healthy while none of its syncs is pending for
 * too long. Unlike in kube-proxy, a periodic sync counts too: one that hangs or keeps failing is noticed.
 */
export class SyncHealth implements SyncObserver {
  readonly #states = new Map<Family, FamilyState>();

  constructor(private readonly options: SyncHealthOptions) {}

  get #date(): number {
    return this.options.clocks?.().date ?? Date.now();
  }

  get #monotonic(): number {
    return this.options.clocks?.().monotonic ?? performance.now();
  }

  started(): void {
    const date = this.#date;
    for (const family of this.options.families)
      this.#states.set(family, { lastUpdated: date, pendingSince: undefined, requestedSince: undefined });
  }

  queued(): void {
    const monotonic = this.#monotonic;
    for (const state of this.#states.values()) {
      state.pendingSince ??= monotonic;
      state.requestedSince ??= monotonic;
    }
  }

  due(): void {
    // After a request every family waits already; to read the clock is a system call on some machines.
    const states = [...this.#states.values()].filter((state) => state.pendingSince === undefined);
    if (states.length === 0) return;
    const monotonic = this.#monotonic;
    for (const state of states) state.pendingSince = monotonic;
  }

  began(): void {
    for (const state of this.#states.values()) state.requestedSince = undefined;
  }

  ended({ succeeded }: { readonly succeeded: boolean }): void {
    const date = this.#date;
    for (const [family, state] of this.#states) {
      if (!succeeded || this.options.hasFailed(family)) continue;
      state.lastUpdated = date;
      state.pendingSince = state.requestedSince;
    }
  }

  health(): HealthState {
    const monotonic = this.#monotonic;
    const timeout = this.options.timeout();
    const families: Partial<Record<Family, FamilyHealth>> = {};
    for (const [family, { lastUpdated, pendingSince }] of this.#states) {
      const healthy = pendingSince === undefined || monotonic - pendingSince < timeout;
      families[family] = { lastUpdated, healthy };
    }
    return { healthy: Object.values(families).every(({ healthy }) => healthy), families };
  }
}
