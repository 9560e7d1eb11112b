/** A moment on two clocks, in milliseconds: the wall clock, which can be set, and a monotonic one, for durations. */
export interface Instant {
  /** Since 1970. */
  readonly date: number;
  readonly monotonic: number;
}

export const readClocks = (): Instant => ({ date: Date.now(), monotonic: performance.now() });
