/** By address of a virtual server, the sorted addresses of its real servers that get new connections. */
export type Table = Readonly<Record<string, readonly string[]>>;

export interface Memory {
  readonly heapBytes: number;
  readonly residentBytes: number;
}

/** What a flood of changes cost. */
export interface Measured {
  readonly seconds: number;
  /** Of the daemon's process. */
  readonly processorSeconds: number;
  /** Watch events that it took. */
  readonly events: number;
  readonly syncs: number;
  /** Asked of the kernel in memory; 0 with the real one. */
  readonly operations: number;
  /** Milliseconds of processor time from one turn of the event loop's timers to the next. */
  readonly turn: { readonly p99: number; readonly longest: number };
  /** Milliseconds by the clock: others on the machine count. */
  readonly eventLoopDelay: { readonly median: number; readonly p99: number; readonly longest: number };
}
