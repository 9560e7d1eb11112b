import type { SampleTable } from './registry.js';

/** How long a result is reused: several scrapers cost the kernel no more than one. */
const cacheMilliseconds = 1_000;

/** Reads the kernel for a table of samples, unless the last one is recent. */
export class CachedTable {
  #last: { readonly at: number; readonly table: Promise<SampleTable> } | undefined;

  /** `now`: a monotonic clock in milliseconds. */
  constructor(private readonly now: () => number = () => performance.now()) {}

  get(collect: () => Promise<SampleTable>): Promise<SampleTable> {
    if (this.#last === undefined || this.now() - this.#last.at >= cacheMilliseconds) {
      this.#last = { at: this.now(), table: collect() };
      // A failure is not reused.
      this.#last.table.catch(() => (this.#last = undefined));
    }
    return this.#last.table;
  }
}

export const emptyTable: SampleTable = { metrics: [], samplesOf: () => [] };
