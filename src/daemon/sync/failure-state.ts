import { Backoff } from '../../base/async.js';
import { messageOf } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';

export interface SyncRetryDelays {
  readonly firstMilliseconds: number;
  readonly maximumMilliseconds: number;
}

export const defaultSyncRetryDelays: SyncRetryDelays = {
  firstMilliseconds: 1_000,
  maximumMilliseconds: 60_000,
};

/** Work that breaks again and again: when it is tried next, and one line for each change of what is wrong. */
export class FailureState {
  readonly #backoff: Backoff;
  #lastError: string | undefined;

  /** `broken` and `mended` are what the log says. */
  constructor(
    private readonly messages: { readonly failed: string; readonly recovered: string },
    delays: SyncRetryDelays,
    private readonly log: Logger,
  ) {
    this.#backoff = new Backoff(delays);
  }

  /** The work broke; in how many milliseconds it is to be tried again. */
  failed(error: unknown): number {
    const message = messageOf(error);
    if (message !== this.#lastError) this.log.error({ error: message }, this.messages.failed);
    this.#lastError = message;
    return this.#backoff.next();
  }

  /** The work came to its end. */
  succeeded(): void {
    if (this.#lastError === undefined) return;
    this.#lastError = undefined;
    this.#backoff.reset();
    this.log.info({}, this.messages.recovered);
  }
}
