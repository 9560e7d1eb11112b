import { Backoff } from '../../base/async.js';
import { messageOf } from '../../base/errors.js';
import { StateLog } from '../../base/state-log.js';

export interface SyncRetryDelays {
  readonly firstMilliseconds: number;
  readonly maximumMilliseconds: number;
}

export const defaultSyncRetryDelays: SyncRetryDelays = {
  firstMilliseconds: 1_000,
  maximumMilliseconds: 60_000,
};

/** How work that may fail is logged. */
export interface FailureLog {
  readonly failed: (error: string) => void;
  readonly recovered: () => void;
}

/** Work that fails repeatedly: the delay before the next try, and one log line for each reason. */
export class FailureState {
  readonly #backoff: Backoff;
  readonly #failure = new StateLog();

  constructor(
    private readonly log: FailureLog,
    delays: SyncRetryDelays,
  ) {
    this.#backoff = new Backoff(delays);
  }

  /** The work failed. Returns the milliseconds to wait before the next try. */
  failed(error: unknown): number {
    const message = messageOf(error);
    this.#failure.begin('', message, () => this.log.failed(message));
    return this.#backoff.next();
  }

  succeeded(): void {
    this.#failure.end('', () => {
      this.#backoff.reset();
      this.log.recovered();
    });
  }
}
