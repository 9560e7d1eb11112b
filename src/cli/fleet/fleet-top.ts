import { setMaxListeners } from 'node:events';
import { formatCount } from '../../base/text.js';
import { loadFields, sumTraffic, type TrafficGrouping, type TrafficTotal } from '../../fleet/traffic.js';
import { formatColumns, type Column } from '../output/columns.js';
import { writeText } from '../output/standard-output.js';
import { Terminal } from '../top/terminal.js';
import { Fleet, printUnanswered, printWithoutPod } from './fleet.js';
import { fleetStatusOf, type FleetOptions } from './fleet-options.js';
import { TrafficStreams } from './traffic-streams.js';

export interface FleetTopOptions extends FleetOptions {
  readonly grouping: TrafficGrouping;
  readonly intervalMilliseconds: number;
  /** Print samples instead of running full-screen. */
  readonly batch: boolean;
  /** Samples; undefined: until the user ends it. */
  readonly iterations: number | undefined;
  readonly output: 'table' | 'json';
}

const titles: Readonly<Record<(typeof loadFields)[number], string>> = {
  connectionsPerSecond: 'CONN/S',
  activeConnections: 'ACTIVE',
  inactiveConnections: 'INACTIVE',
  inPacketsPerSecond: 'IN P/S',
  outPacketsPerSecond: 'OUT P/S',
  inBytesPerSecond: 'IN B/S',
  outBytesPerSecond: 'OUT B/S',
};

const exact = (amount: number): number => Math.round(amount * 10) / 10;

const tableLines = (totals: readonly TrafficTotal[], grouping: TrafficGrouping): readonly string[] => {
  const columns: readonly Column[] = [
    { title: grouping === 'backend' ? 'REAL SERVER' : grouping.toUpperCase(), align: 'left' },
    ...loadFields.map((field): Column => ({ title: titles[field], align: 'right' })),
    { title: 'NODES', align: 'right' },
    { title: 'NOTE', align: 'left' },
  ];
  const rows = totals.map((total) => [
    total.name,
    ...loadFields.map((field) => String(exact(total[field]))),
    String(total.nodes),
    total.note,
  ]);
  return formatColumns(columns, rows, { titles: true }).trimEnd().split('\n');
};

const headline = (streams: TrafficStreams): string => {
  const silent = streams.unanswered.length;
  const time = new Date().toTimeString().slice(0, 8);
  return `${time}  ${formatCount(streams.latest.size, 'node')}${silent === 0 ? '' : `, ${silent} without an answer`}`;
};

const batchText = (streams: TrafficStreams, { grouping, output }: FleetTopOptions): string => {
  const totals = sumTraffic(streams.latest, grouping);
  if (output === 'table') return `${headline(streams)}\n${tableLines(totals, grouping).join('\n')}\n\n`;
  const rows = totals.map((total) => ({
    ...total,
    ...Object.fromEntries(loadFields.map((field) => [field, exact(total[field])])),
  }));
  return `${JSON.stringify({ by: grouping, nodes: streams.latest.size, unanswered: streams.unanswered, rows })}\n`;
};

const printSamples = async (streams: TrafficStreams, options: FleetTopOptions, signal: AbortSignal) => {
  for (let sample = 0; sample !== options.iterations && !signal.aborted; sample += 1) {
    await streams.nextSample(signal);
    if (!signal.aborted) await writeText(batchText(streams, options));
  }
};

const quits = ['q', 'escape', 'c'];

const fillScreen = async (streams: TrafficStreams, { grouping }: FleetTopOptions, ended: AbortController) => {
  const draw = (): void => {
    const { rows, columns } = terminal.size;
    const lines = [
      `${headline(streams)}  (q quits)`,
      '',
      ...tableLines(sumTraffic(streams.latest, grouping), grouping),
    ];
    const shown = Array.from({ length: rows }, (_, index) => (lines[index] ?? '').slice(0, columns));
    terminal.draw(shown.map((text, index) => ({ text, style: index === 2 ? 'title' : 'plain' })));
  };
  using terminal = new Terminal({
    input: process.stdin,
    output: process.stdout,
    colours: false,
    onKey: ({ name = '', control }) => {
      if (quits.includes(name) && (name !== 'c' || control)) ended.abort();
    },
    onResize: () => draw(),
  });
  while (!ended.signal.aborted) {
    draw();
    await streams.nextSample(ended.signal);
  }
};

/** Shows the traffic of all nodes together until the user ends it. */
export const fleetTop = async (options: FleetTopOptions): Promise<number> => {
  using fleet = await Fleet.find(options);
  const ended = new AbortController();
  // Each node listens to it.
  setMaxListeners(0, ended.signal);
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(name, () => ended.abort());
  const streams = new TrafficStreams(fleet, options, ended.signal);
  const isFullScreen = !options.batch && process.stdin.isTTY && process.stdout.isTTY;
  if (isFullScreen) await fillScreen(streams, options, ended);
  else await printSamples(streams, options, ended.signal);
  ended.abort();
  await streams.closed();
  printUnanswered(streams.unanswered, streams.latest.size + streams.unanswered.length);
  printWithoutPod(fleet);
  return fleetStatusOf(false, streams.unanswered.length > 0);
};
