/** What the sync loop tells those who watch it. Their methods cost next to nothing and never throw. */
export interface SyncObserver {
  /** The loop begins. */
  started(): void;
  /** Something asked for a sync. */
  queued(): void;
  /** A sync is to run now, asked for or not; work on the kernel that is under way may hold it up. */
  due(): void;
  /** Everything that changed until now is being programmed; what changes later is for the next sync. */
  began(): void;
  /** A sync came to its end, or broke: then the next one does everything that this one was to do. */
  ended(sync: SyncResult): void;
}

export interface SyncResult {
  readonly seconds: number;
  /** Refusals of single operations do not count: they are tried again by themselves. */
  readonly succeeded: boolean;
}

/** Tells those who watch how long a sync took, and whether it broke. */
export const observeSync = async (
  observers: readonly SyncObserver[],
  sync: () => Promise<void>,
): Promise<void> => {
  const started = performance.now();
  let succeeded = false;
  try {
    await sync();
    succeeded = true;
  } finally {
    const seconds = (performance.now() - started) / 1_000;
    for (const observer of observers) observer.ended({ seconds, succeeded });
  }
};

/** Calls listeners after each complete sync. */
export class SyncListeners implements SyncObserver {
  readonly #listeners: (() => void)[] = [];

  add(listener: () => void): void {
    this.#listeners.push(listener);
  }

  started(): void {}
  queued(): void {}
  due(): void {}
  began(): void {}

  ended({ succeeded }: SyncResult): void {
    if (succeeded) for (const listener of this.#listeners) listener();
  }
}
