import type { LoopDelay } from './loop-delay.js';

/** What one run of scripts/benchmark/floor.c prints: seconds. */
export interface FloorRun {
  readonly virtualServers: number;
  readonly addresses: number;
}

/** What one change takes. */
export interface Cost {
  readonly milliseconds: number;
  readonly messages: number;
}

/** What a resync of an unchanged world takes: time of the event loop in all, and its delay. */
export interface ResyncCost extends Cost {
  readonly delay: LoopDelay;
}

/** What one run of test/benchmark/sync.ts prints; `added` and `removed` are an endpoint that comes and one that leaves. */
export interface SyncRun {
  readonly fullSyncSeconds: number;
  readonly fullSyncDelay: LoopDelay;
  readonly added: Cost;
  readonly removed: Cost;
  readonly resync: ResyncCost;
  readonly residentMegabytes: number;
}

/** All runs at one size. */
export interface SizeRuns {
  readonly services: number;
  readonly floor: readonly FloorRun[];
  readonly sync: readonly SyncRun[];
}

export interface Measurements {
  readonly kernel: string;
  readonly node: string;
  readonly endpoints: number;
  readonly sizes: readonly SizeRuns[];
}

/** Medians of a size's runs, and what follows from them. */
export interface SizeResult {
  readonly services: number;
  readonly runs: number;
  readonly floorSeconds: number;
  readonly fullSyncSeconds: number;
  /** fullSyncSeconds / floorSeconds. */
  readonly fullSyncRatio: number;
  /** 2 × floorSeconds + 1. */
  readonly fullSyncLimitSeconds: number;
  readonly fullSyncMet: boolean;
  readonly fullSyncDelay: LoopDelay;
  readonly added: Cost;
  readonly removed: Cost;
  /** The greater of the two, each against the same at the smallest size. */
  readonly changeRatio: number;
  readonly changeMet: boolean;
  readonly resync: ResyncCost;
  readonly residentMegabytes: number;
}

export interface Result {
  readonly kernel: string;
  readonly node: string;
  readonly endpoints: number;
  readonly sizes: readonly SizeResult[];
}

/** A change counts as independent of size up to this ratio: more Services are more cache misses, and no more work. */
const highestChangeRatio = 2;

export const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

const rounded = (value: number): number => Math.round(value * 1e4) / 1e4;

const medianCost = (costs: readonly Cost[]): Cost => ({
  milliseconds: rounded(median(costs.map((cost) => cost.milliseconds))),
  messages: rounded(median(costs.map((cost) => cost.messages))),
});

const medianDelay = (delays: readonly LoopDelay[]): LoopDelay => ({
  p99: rounded(median(delays.map(({ p99 }) => p99))),
  longest: rounded(median(delays.map(({ longest }) => longest))),
  longestCollection: rounded(median(delays.map(({ longestCollection }) => longestCollection))),
});

const changesOf = ({ sync }: SizeRuns): { readonly added: Cost; readonly removed: Cost } => ({
  added: medianCost(sync.map((run) => run.added)),
  removed: medianCost(sync.map((run) => run.removed)),
});

const sizeResult = (runs: SizeRuns, smallest: SizeRuns): SizeResult => {
  const floorSeconds = median(runs.floor.map((run) => run.virtualServers + run.addresses));
  const fullSyncSeconds = median(runs.sync.map((run) => run.fullSyncSeconds));
  const fullSyncLimitSeconds = 2 * floorSeconds + 1;
  const changes = changesOf(runs);
  const base = changesOf(smallest);
  const changeRatio = Math.max(
    changes.added.milliseconds / base.added.milliseconds,
    changes.removed.milliseconds / base.removed.milliseconds,
  );
  return {
    services: runs.services,
    runs: runs.sync.length,
    floorSeconds: rounded(floorSeconds),
    fullSyncSeconds: rounded(fullSyncSeconds),
    fullSyncRatio: rounded(fullSyncSeconds / floorSeconds),
    fullSyncLimitSeconds: rounded(fullSyncLimitSeconds),
    fullSyncMet: fullSyncSeconds <= fullSyncLimitSeconds,
    fullSyncDelay: medianDelay(runs.sync.map((run) => run.fullSyncDelay)),
    ...changes,
    changeRatio: rounded(changeRatio),
    changeMet: changeRatio <= highestChangeRatio,
    resync: {
      ...medianCost(runs.sync.map((run) => run.resync)),
      delay: medianDelay(runs.sync.map((run) => run.resync.delay)),
    },
    residentMegabytes: rounded(median(runs.sync.map((run) => run.residentMegabytes))),
  };
};

/** The medians and ratios of measurements that were made in one run, the smallest size first. */
export const resultOf = ({ kernel, node, endpoints, sizes }: Measurements): Result => {
  const [smallest] = sizes;
  return {
    kernel,
    node,
    endpoints,
    sizes: smallest === undefined ? [] : sizes.map((runs) => sizeResult(runs, smallest)),
  };
};

/** Columns as wide as their widest cell, numbers to the right; the first row is the heading. */
export const aligned = (rows: readonly (readonly string[])[]): readonly string[] => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => row.map((cell, column) => cell.padStart(widths[column] ?? 0)).join('  '));
};

const costText = ({ milliseconds, messages }: Cost): string => `${milliseconds.toFixed(2)} ms, ${messages}`;

const delayText = ({ p99, longest }: LoopDelay): string => `${p99.toFixed(0)}, ${longest.toFixed(0)} ms`;

const resyncText = ({ milliseconds, messages }: ResyncCost): string =>
  `${milliseconds.toFixed(0)} ms, ${messages}`;

const met = (is: boolean): string => (is ? 'met' : 'NOT MET');

/** The result as a table that lines up, with a newline at the end. */
export const resultText = (result: Result): string => {
  const { sizes } = result;
  const rows = sizes.map((size) => [
    size.services.toLocaleString('en'),
    `${size.fullSyncSeconds.toFixed(3)} s`,
    `${size.floorSeconds.toFixed(3)} s`,
    size.fullSyncRatio.toFixed(1),
    `${size.fullSyncLimitSeconds.toFixed(3)} s`,
    met(size.fullSyncMet),
    delayText(size.fullSyncDelay),
    costText(size.added),
    costText(size.removed),
    size.changeRatio.toFixed(1),
    met(size.changeMet),
    resyncText(size.resync),
    delayText(size.resync.delay),
    `${size.residentMegabytes.toFixed(0)} MB`,
  ]);
  const heading =
    'Services,full sync,floor,ratio,limit,aim,delay,one added,one removed,ratio,aim,resync,delay,RSS'.split(
      ',',
    );
  return [
    `Services of ${result.endpoints} endpoints; kernel ${result.kernel}, node ${result.node}; median of ${sizes[0]?.runs ?? 0}`,
    '',
    ...aligned([heading, ...rows]),
    '',
    'full sync   from the complete lists in the store to the complete kernel table; aim: at most 2 × floor + 1 s',
    'floor       the same messages sent by a C program in batches of 64 KiB',
    `one …       endpoint: from the store to the kernel, and the messages to it; aim: at most ${highestChangeRatio} × that of the smallest size`,
    'resync      of an unchanged world: time of the event loop in all, and messages',
    'delay       of the event loop by the clock: 99th percentile, and the longest',
    '',
  ].join('\n');
};
