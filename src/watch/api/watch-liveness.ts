/** How long a watch may be silent; milliseconds. */
export interface IdleTiming {
  /** A server that sends bookmarks has to send something within this time, or within 2.5 times the longest pause between two of them. */
  readonly bookmark: number;
}

/**
 * Learns from the bookmarks of a server how long a watch of it is silent at most. A connection whose server is gone (a
 * proxy in between keeps it open) is noticed by this. Servers without regular bookmarks are not judged.
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

  /** The stream was silent for too long: the next server may not send bookmarks. */
  idleTimedOut(): void {
    this.#longestPause = undefined;
  }

  /** Milliseconds; Infinity where nothing is known. */
  get idleLimit(): number {
    if (this.#longestPause === undefined) return Infinity;
    return Math.max(this.timing.bookmark, 2.5 * this.#longestPause);
  }
}
