import { formatColumns } from '../../src/cli/output/columns.js';
import type { LoopDelay } from './loop-delay.js';
import { median } from './report.js';

/** What happened in one sync period. */
export interface IdlePeriod {
  readonly processorMilliseconds: number;
  /** Messages to the kernel. */
  readonly messages: number;
}

/** What one run of idle-period.ts prints. */
export interface IdleRun {
  /** How the resync read the kernel. */
  readonly mode: 'file' | 'netlink';
  readonly periods: readonly IdlePeriod[];
  /** Processor time of reading /proc/net/ip_vs without looking at it: the kernel's own work. */
  readonly fileMilliseconds: readonly number[];
  /** Of the event loop, in as many further periods. */
  readonly delay: LoopDelay;
  /** While metrics with the series of every Service were read as often. */
  readonly scrapes: LoopDelay;
  readonly residentMegabytes: number;
}

export interface IdleRuns {
  readonly kernel: string;
  readonly node: string;
  readonly services: number;
  readonly endpoints: number;
  readonly runs: readonly IdleRun[];
}

const milliseconds = (values: readonly number[]): string => `${median(values).toFixed(0)} ms`;

const row = ({ mode, periods, fileMilliseconds, delay, residentMegabytes }: IdleRun): readonly string[] => [
  mode === 'file' ? '/proc/net/ip_vs' : 'netlink',
  milliseconds(periods.map((period) => period.processorMilliseconds)),
  milliseconds(fileMilliseconds),
  median(periods.map(({ messages }) => messages)).toLocaleString('en'),
  `${delay.p99.toFixed(0)} ms`,
  `${delay.longest.toFixed(0)} ms`,
  `${delay.longestCollection.toFixed(0)} ms`,
  `${residentMegabytes.toFixed(0)} MB`,
];

const delayText = ({ p99, longest, longestCollection }: LoopDelay): string =>
  `p99 ${p99.toFixed(0)} ms, longest stop ${longest.toFixed(0)} ms (longest collection ${longestCollection.toFixed(0)} ms)`;

const titles = [
  'RESYNC READS',
  'PROCESSOR',
  'FILE ALONE',
  'MESSAGES',
  'DELAY P99',
  'LONGEST STOP',
  'OF IT COLLECTING',
  'RSS',
];

/** The runs as a table; medians of the periods. */
export const idleText = ({ kernel, node, services, endpoints, runs }: IdleRuns): string =>
  [
    `One sync period without a change: ${services.toLocaleString('en')} Services of ${endpoints} endpoints; kernel ${kernel}, node ${node}; median of ${runs[0]?.periods.length ?? 0}`,
    '',
    formatColumns(
      titles.map((title, index) => ({ title, align: index === 0 ? 'left' : 'right' })),
      runs.map(row),
      { titles: true },
    ),
    `While metrics of all Services are read: ${runs.map(({ scrapes }) => delayText(scrapes)).join('; ')}`,
    '',
    'processor     of the daemon in the whole period; file alone: of reading /proc/net/ip_vs without looking at it',
    'messages      to the kernel over netlink',
    'delay         of timers, by the clock; collecting: the longest stop in which V8 collected garbage',
    '',
  ].join('\n');
