import { hostname } from 'node:os';
import { sleep } from '../../base/async.js';
import { InputError, messageOf } from '../../base/errors.js';
import { formatDuration } from '../../base/duration.js';
import { readKernel } from '../read-kernel.js';
import { batchText } from './batch.js';
import { loadsBetween, type Sample, type VirtualServerLoad } from './rates.js';
import type { Grouping, Names, Row, SortField } from './rows.js';
import { drawScreen, roomFor, shownRows, type ScreenFacts } from './screen.js';
import { afterKey, startState, type Key, type TopState } from './state.js';
import { Terminal } from './terminal.js';

export interface TopOptions {
  readonly intervalMilliseconds: number;
  readonly grouping: Grouping;
  readonly sort: SortField;
  readonly filter: string;
  /** Print the rows instead of filling the screen. */
  readonly batch: boolean;
  /** Looks until it ends by itself; undefined: never. */
  readonly iterations: number | undefined;
  readonly output: 'table' | 'json';
  readonly colours: boolean;
}

/** Names as they are now, with what is to be told where there are none. */
export interface NamesNow {
  readonly names: Names;
  readonly note: string | undefined;
}

/** Looking takes no more than one part in so many of the time, however large the table is. */
const lookShare = 4;

const takeSample = async (): Promise<Sample> => {
  const { tables } = await readKernel(() => true);
  return { at: performance.now(), tables };
};

/** What flowed between two looks, the next look an interval after the one before, or later where looking takes long. The first one has no rates. */
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
    await sleep(Math.max(intervalMilliseconds - took, took * lookShare), signal);
  }
}

/** The screen of a terminal: what flows, what the user does, and what both look like. */
class TopScreen implements Disposable {
  readonly #terminal: Terminal;
  #state: TopState;
  #loads: readonly VirtualServerLoad[] = [];
  #latest: readonly VirtualServerLoad[] = [];
  #now: NamesNow;
  #trouble: string | undefined;

  constructor(
    private readonly options: TopOptions,
    first: NamesNow,
    private readonly end: () => void,
  ) {
    this.#state = startState(options);
    this.#now = first;
    this.#terminal = new Terminal({
      input: process.stdin,
      output: process.stdout,
      colours: options.colours,
      onKey: (key) => this.#key(key),
      onResize: () => this.#draw(),
    });
  }

  show(loaded: readonly VirtualServerLoad[], now: NamesNow): void {
    this.#trouble = undefined;
    this.#now = now;
    this.#latest = loaded;
    if (!this.#state.isPaused) this.#loads = loaded;
    this.#draw();
  }

  /** What is on the screen stays there, and says why it does not change. */
  tell(trouble: string): void {
    this.#trouble = trouble;
    this.#draw();
  }

  get #rows(): readonly Row[] {
    return shownRows(this.#state, this.#loads, this.#now.names);
  }

  #key(key: Key): void {
    const after = afterKey(this.#state, key, this.#rows, roomFor(this.#terminal.size));
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
      note: this.#trouble ?? this.#now.note,
    };
    this.#terminal.draw(drawScreen(this.#state, this.#loads, this.#rows, facts, this.#terminal.size));
  }

  [Symbol.dispose](): void {
    this.#terminal[Symbol.dispose]();
  }
}

const untilEnded = (): AbortController => {
  const controller = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const)
    process.once(name, () => controller.abort(name));
  return controller;
};

const fillScreen = async (options: TopOptions, namesNow: () => Promise<NamesNow>): Promise<void> => {
  if (!process.stdin.isTTY || !process.stdout.isTTY)
    throw new InputError(
      'top needs a terminal for its screen; `kube-ipvs top --batch` prints the same rows to a file or pipe',
    );
  const ended = untilEnded();
  using screen = new TopScreen(options, await namesNow(), () => ended.abort());
  while (!ended.signal.aborted) {
    try {
      for await (const loaded of loads(options.intervalMilliseconds, ended.signal))
        screen.show(loaded, await namesNow());
      return;
    } catch (error) {
      screen.tell(messageOf(error));
      await sleep(options.intervalMilliseconds, ended.signal);
    }
  }
};

const printRows = async (options: TopOptions, namesNow: () => Promise<NamesNow>): Promise<void> => {
  const ended = untilEnded();
  const state = startState(options);
  let looks = 0;
  for await (const loaded of loads(options.intervalMilliseconds, ended.signal)) {
    // The first look is what the second one is compared with.
    if (looks > 0) {
      const { names } = await namesNow();
      process.stdout.write(batchText(shownRows(state, loaded, names), options));
    }
    if (looks === options.iterations) return;
    looks += 1;
  }
};

/** Shows what flows until the user or a signal ends it. Rejects where the kernel can't be read at the start, and without a terminal. */
export const top = async (options: TopOptions, namesNow: () => Promise<NamesNow>): Promise<number> => {
  if (options.batch) await printRows(options, namesNow);
  else {
    // Before the screen is taken: what is missing is to be seen when it has been given back.
    await readKernel(() => false);
    await fillScreen(options, namesNow);
  }
  return 0;
};
