import { Backoff } from '../base/async.js';
import { messageOf } from '../base/errors.js';
import type { Logger } from '../base/log.js';

export interface TroubleDelays {
  readonly firstMilliseconds: number;
  readonly maximumMilliseconds: number;
}

export const defaultTroubleDelays: TroubleDelays = { firstMilliseconds: 1_000, maximumMilliseconds: 60_000 };

/** Work that breaks again and again: when it is tried next, and one line for each change of what is wrong. */
export class Trouble {
  readonly #backoff: Backoff;
  #problem: string | undefined;

  /** `broken` and `mended` are what the log says. */
  constructor(
    private readonly words: { readonly broken: string; readonly mended: string },
    delays: TroubleDelays,
    private readonly log: Logger,
  ) {
    this.#backoff = new Backoff(delays);
  }

  /** The work broke; in how many milliseconds it is to be tried again. */
  broke(error: unknown): number {
    const problem = messageOf(error);
    if (problem !== this.#problem) this.log.error({ error: problem }, this.words.broken);
    this.#problem = problem;
    return this.#backoff.next();
  }

  /** The work came to its end. */
  succeeded(): void {
    if (this.#problem === undefined) return;
    this.#problem = undefined;
    this.#backoff.reset();
    this.log.info({}, this.words.mended);
  }
}
