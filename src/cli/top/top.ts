import { hostname } from 'node:os';
import { sleep } from '../../base/async.js';
import { InputError, messageOf } from '../../base/errors.js';
import { formatDuration } from '../../base/duration.js';
import { readMatchingVirtualServers } from '../kernel/read-kernel.js';
import { batchText } from './batch.js';
import { loadsBetween, type Sample, type VirtualServerLoad } from './rates.js';
import type { Grouping, NameLookup, Row, SortField } from './rows.js';
import { drawScreen, visibleRowCount, shownRows, type ScreenFacts } from './screen.js';
import { afterKey, initialState, type Key, type TopState } from './state.js';
import { Terminal } from './terminal.js';

export interface TopOptions {
  readonly intervalMilliseconds: number;
  readonly grouping: Grouping;
  readonly sort: SortField;
  readonly filter: string;
  /** Print the rows instead of running full-screen. */
  readonly batch: boolean;
  /** Samples until it exits; undefined: no limit. */
  readonly iterations: number | undefined;
  readonly output: 'table' | 'json';
  readonly colours: boolean;
}

/** The current names, or a note why there are none. */
export interface CurrentNames {
  readonly names: NameLookup;
  readonly note: string | undefined;
}

/** Sampling takes at most a fifth of the time, however large the table is. */
const pauseFactor = 4;

const takeSample = async (): Promise<Sample> => ({
  tables: await readMatchingVirtualServers(() => true),
  at: performance.now(),
});

/** The load between two samples, taken an interval apart, or later if sampling takes long. The first one has no rates. */
async function* loads(
  intervalMilliseconds: number,
  signal: AbortSignal,
): AsyncIterable<readonly VirtualServerLoad[]> {
  let before: Sample | undefined;
  while (!signal.aborted) {
    const started = performance.now();
    const now = await takeSample();
    yield loadsBetween(before, now);
    before = now;
    const took = performance.now() - started;
    await sleep(Math.max(intervalMilliseconds - took, took * pauseFactor), signal);
  }
}

/** Connects the load, the keys of the user and the terminal. */
class TopScreen implements Disposable {
  readonly #terminal: Terminal;
  #state: TopState;
  #loads: readonly VirtualServerLoad[] = [];
  #latest: readonly VirtualServerLoad[] = [];
  #currentNames: CurrentNames;
  #lastError: string | undefined;

  constructor(
    private readonly options: TopOptions,
    first: CurrentNames,
    private readonly end: () => void,
  ) {
    this.#state = initialState(options);
    this.#currentNames = first;
    this.#terminal = new Terminal({
      input: process.stdin,
      output: process.stdout,
      colours: options.colours,
      onKey: (key) => this.#key(key),
      onResize: () => this.#draw(),
    });
  }

  show(loaded: readonly VirtualServerLoad[], now: CurrentNames): void {
    this.#lastError = undefined;
    this.#currentNames = now;
    this.#latest = loaded;
    if (!this.#state.isPaused) this.#loads = loaded;
    this.#draw();
  }

  /** Keeps the rows on the screen and shows the error. */
  showError(message: string): void {
    this.#lastError = message;
    this.#draw();
  }

  get #rows(): readonly Row[] {
    return shownRows(this.#state, this.#loads, this.#currentNames.names);
  }

  #key(key: Key): void {
    const after = afterKey(this.#state, key, this.#rows, visibleRowCount(this.#terminal.size));
    if (after === undefined) return this.end();
    if (this.#state.isPaused && !after.isPaused) this.#loads = this.#latest;
    this.#state = after;
    this.#draw();
  }

  #draw(): void {
    const facts: ScreenFacts = {
      node: hostname(),
      time: new Date().toTimeString().slice(0, 8),
      interval: formatDuration(this.options.intervalMilliseconds),
      note: this.#lastError ?? this.#currentNames.note,
    };
    this.#terminal.draw(drawScreen(this.#state, this.#loads, this.#rows, facts, this.#terminal.size));
  }

  [Symbol.dispose](): void {
    this.#terminal[Symbol.dispose]();
  }
}

const abortOnSignal = (): AbortController => {
  const controller = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const)
    process.once(name, () => controller.abort(name));
  return controller;
};

const fillScreen = async (options: TopOptions, namesNow: () => Promise<CurrentNames>): Promise<void> => {
  if (!process.stdin.isTTY || !process.stdout.isTTY)
    throw new InputError(
      'top needs a terminal. Run `kube-ipvs top --batch` to print the rows to a file or pipe.',
    );
  const ended = abortOnSignal();
  using screen = new TopScreen(options, await namesNow(), () => ended.abort());
  while (!ended.signal.aborted) {
    try {
      for await (const loaded of loads(options.intervalMilliseconds, ended.signal))
        screen.show(loaded, await namesNow());
      return;
    } catch (error) {
      screen.showError(messageOf(error));
      await sleep(options.intervalMilliseconds, ended.signal);
    }
  }
};

const printRows = async (options: TopOptions, namesNow: () => Promise<CurrentNames>): Promise<void> => {
  const ended = abortOnSignal();
  const state = initialState(options);
  let samples = 0;
  for await (const loaded of loads(options.intervalMilliseconds, ended.signal)) {
    // Rates need two samples.
    if (samples > 0) {
      const { names } = await namesNow();
      process.stdout.write(batchText(shownRows(state, loaded, names), options));
    }
    if (samples === options.iterations) return;
    samples += 1;
  }
};

/** Shows the load until the user or a signal ends it. Rejects where the kernel cannot be read at the start, and without a terminal. */
export const top = async (options: TopOptions, namesNow: () => Promise<CurrentNames>): Promise<number> => {
  if (options.batch) await printRows(options, namesNow);
  else {
    // Reports a missing capability before the terminal switches to full-screen.
    await readMatchingVirtualServers(() => false);
    await fillScreen(options, namesNow);
  }
  return 0;
};
