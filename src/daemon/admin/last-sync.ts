import type { OperationCounters } from '../../apply/counters/operation-counters.js';
import { readClocks, type Instant } from '../../base/instant.js';
import type { SyncResponse } from '../../admin-api/responses.js';
import type { SyncObserver, SyncResult } from '../sync/sync-observer.js';

/** Remembers the last sync, and the operations since the sync before it. */
export class LastSync implements SyncObserver {
  #before = { applied: 0, failed: 0 };
  #last: { readonly at: Instant; readonly sync: Omit<SyncResponse, 'at' | 'secondsAgo'> } | undefined;
  #synced = false;

  constructor(private readonly counters: Pick<OperationCounters, 'totals'>) {}

  started(): void {}
  queued(): void {}
  due(): void {}
  began(): void {}

  ended({ at, seconds, succeeded }: SyncResult): void {
    const now = this.counters.totals();
    const { applied, failed } = this.#before;
    this.#before = now;
    this.#synced ||= succeeded;
    this.#last = {
      at,
      sync: {
        tookSeconds: seconds,
        succeeded,
        applied: now.applied - applied,
        failed: now.failed - failed,
      },
    };
  }

  /** Whether a sync has succeeded. */
  get synced(): boolean {
    return this.#synced;
  }

  toResponse(): SyncResponse | undefined {
    if (this.#last === undefined) return undefined;
    const { at, sync } = this.#last;
    return {
      at: new Date(at.date).toISOString(),
      secondsAgo: (readClocks().monotonic - at.monotonic) / 1_000,
      ...sync,
    };
  }
}
