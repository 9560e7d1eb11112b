import { sleep } from '../../base/async.js';
import type { PageSample } from '../../admin-api/page.js';
import { PageRows } from './page-rows.js';
import { PageStream, type SampleState } from './page-stream.js';

/** Looks at the node, again and again, until it is disposed. */
export interface NodeSampler extends Disposable {
  /** Brings the rows up to date. Rejects only because of a programming error. */
  sample(rows: PageRows): Promise<PageSample>;
}

/** How many pages are served at a time. */
export const maximumStreams = 16;

/** The kernel updates its rates every two seconds. */
export const intervalMilliseconds = 2_000;

/** Sampling takes at most a fifth of the time. */
const workShare = 5;

/** One period with open pages. */
interface Run {
  readonly controller: AbortController;
  readonly rows: PageRows;
  last: SampleState | undefined;
}

/** Samples while a page is open: the first page starts it, the last one ends it, and all share its samples. */
export class PageSampler {
  readonly #streams = new Set<PageStream>();
  #run: Run | undefined;

  constructor(
    private readonly open: () => NodeSampler,
    private readonly wait: typeof sleep = sleep,
  ) {}

  /** Whether a page is open. */
  get isSampling(): boolean {
    return this.#run !== undefined;
  }

  /** The stream of one more page; undefined if there are too many. */
  stream(): PageStream | undefined {
    if (this.#streams.size >= maximumStreams) return undefined;
    const stream = new PageStream((ended) => this.#remove(ended));
    this.#streams.add(stream);
    if (this.#run === undefined) {
      this.#run = { controller: new AbortController(), rows: new PageRows(), last: undefined };
      void this.#sampleUntilAborted(this.#run);
    }
    if (this.#run.last !== undefined) stream.notify(this.#run.last);
    return stream;
  }

  #remove(stream: PageStream): void {
    this.#streams.delete(stream);
    if (this.#streams.size > 0) return;
    this.#run?.controller.abort();
    this.#run = undefined;
  }

  async #sampleUntilAborted(run: Run): Promise<void> {
    const { signal } = run.controller;
    using sampler = this.open();
    while (!signal.aborted) {
      const started = performance.now();
      const number = run.rows.begin();
      const sample = await sampler.sample(run.rows);
      if (signal.aborted) return;
      run.last = { number, sample, rows: run.rows };
      for (const stream of this.#streams) stream.notify(run.last);
      const took = performance.now() - started;
      await this.wait(Math.max(intervalMilliseconds - took, took * (workShare - 1)), signal);
    }
  }
}
