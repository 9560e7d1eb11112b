/** Limits for the silence of a watch, in milliseconds. */
export interface IdleTiming {
  /** A server that sends bookmarks must send something within this time, or within 2.5 times the longest interval between two bookmarks. */
  readonly bookmark: number;
}

/**
 * Learns from a server's bookmarks how long its watches are silent at most, to detect a connection that a proxy keeps open although
 * the server has stopped. Servers without regular bookmarks have no limit.
 */
export class WatchLiveness {
  #longestPause: number | undefined;
  #lastBookmark: number | undefined;

  constructor(private readonly timing: IdleTiming) {}

  /** A new stream begins. */
  begin(): void {
    this.#lastBookmark = undefined;
  }

  bookmark(now: number): void {
    if (this.#lastBookmark !== undefined)
      this.#longestPause = Math.max(this.#longestPause ?? 0, now - this.#lastBookmark);
    this.#lastBookmark = now;
  }

  /** The stream was silent for too long. The next server may not send bookmarks. */
  idleTimedOut(): void {
    this.#longestPause = undefined;
  }

  /** Milliseconds; Infinity where unknown. */
  get idleLimit(): number {
    if (this.#longestPause === undefined) return Infinity;
    return Math.max(this.timing.bookmark, 2.5 * this.#longestPause);
  }
}
