/** A moment on two clocks: one that people read and anybody may set, and one that nobody sets, for how long things take. Milliseconds. */
export interface Instant {
  /** Since 1970. */
  readonly date: number;
  readonly monotonic: number;
}

export const readClocks = (): Instant => ({ date: Date.now(), monotonic: performance.now() });
