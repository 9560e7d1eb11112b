import { readClocks, type Instant } from '../../base/instant.js';
import { Listeners } from './listeners.js';

/** What the sync loop reports. The methods are cheap and never throw. */
export interface SyncObserver {
  /** The loop starts. */
  started(): void;
  /** A sync was requested. */
  queued(): void;
  /** A sync is to run now, requested or periodic; other work on the kernel may delay it. */
  due(): void;
  /** The sync programs everything that changed until now; later changes are for the next one. */
  began(): void;
  /** A sync finished or failed. After a failure the next sync does all of its work. */
  ended(sync: SyncResult): void;
}

export interface SyncResult {
  /** When it ended. */
  readonly at: Instant;
  readonly seconds: number;
  /** An operation that the kernel refuses does not fail the sync: it is retried separately. */
  readonly succeeded: boolean;
}

/** Reports how long a sync took, and whether it failed. `sync` gets the time of its start, by the clock of `performance.now`. */
export const observeSync = async (
  observer: SyncObserver,
  sync: (started: number) => Promise<void>,
): Promise<void> => {
  const started = performance.now();
  let succeeded = false;
  try {
    await sync(started);
    succeeded = true;
  } finally {
    const at = readClocks();
    observer.ended({ at, seconds: (at.monotonic - started) / 1_000, succeeded });
  }
};

/** Passes every report on to each observer, in the order in which they were added. */
export class SyncObservers implements SyncObserver {
  readonly #observers: SyncObserver[] = [];

  add(...observers: readonly SyncObserver[]): void {
    this.#observers.push(...observers);
  }

  started(): void {
    for (const observer of this.#observers) observer.started();
  }

  queued(): void {
    for (const observer of this.#observers) observer.queued();
  }

  due(): void {
    for (const observer of this.#observers) observer.due();
  }

  began(): void {
    for (const observer of this.#observers) observer.began();
  }

  ended(result: SyncResult): void {
    for (const observer of this.#observers) observer.ended(result);
  }
}

/** Calls listeners after each sync that succeeded. */
export class SyncListeners implements SyncObserver {
  readonly #listeners = new Listeners();

  add(listener: () => void): void {
    this.#listeners.add(listener);
  }

  started(): void {}
  queued(): void {}
  due(): void {}
  began(): void {}

  ended({ succeeded }: SyncResult): void {
    if (succeeded) this.#listeners.notify();
  }
}
