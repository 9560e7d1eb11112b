import { aligned, median } from './report.js';
import type { TrafficKind } from './traffic-report.js';

export const firstNodePort = 30_000;

/** What the kernel of a node has, and what it cost. Addresses: those of the node, without the one that was added later. */
export interface NodePortFill {
  readonly virtualServers: number;
  readonly realServers: number;
  /** Of the packet rules. */
  readonly elements: number;
  readonly fullSyncSeconds: number;
  readonly kernelMegabytes: number;
  /** Of the process that holds the Services. */
  readonly residentMegabytes: number;
  /** Until every node port is served on one more address, and the messages that it took. */
  readonly addressSeconds: number;
  readonly addressMessages: number;
}

/** One run of scripts/benchmark/traffic.c to a node port. */
export interface NodePortRun {
  readonly sharing: boolean;
  readonly kind: TrafficKind;
  readonly microseconds: number;
}

export interface NodePortMeasurements {
  readonly kernel: string;
  readonly ports: number;
  readonly addresses: number;
  readonly rounds: number;
  /** Without sharing, then with it. */
  readonly fills: readonly [NodePortFill, NodePortFill];
  readonly runs: readonly NodePortRun[];
}

const trafficTitles: Readonly<Record<TrafficKind, string>> = {
  flow: 'first packet of a UDP flow',
  connection: 'TCP connection',
  packet: 'established UDP packet',
};

const fillRows: readonly (readonly [keyof NodePortFill, string, number])[] = [
  ['virtualServers', 'virtual servers', 0],
  ['realServers', 'real servers', 0],
  ['elements', 'elements of packet rules', 0],
  ['kernelMegabytes', 'memory of the kernel, MB', 1],
  ['residentMegabytes', 'RSS of the daemon, MB', 1],
  ['fullSyncSeconds', 'full sync, s', 2],
  ['addressSeconds', 'one more address, s', 2],
  ['addressMessages', 'one more address, messages', 0],
];

const ratio = (without: number, shared: number): string => (shared / without).toFixed(2);

/** The result as a table that lines up, with a newline at the end. */
export const nodePortText = (measurements: NodePortMeasurements): string => {
  const { kernel, ports, addresses, rounds, runs } = measurements;
  const [without, shared] = measurements.fills;
  const medianOf = (sharing: boolean, kind: TrafficKind): number =>
    median(runs.filter((run) => run.sharing === sharing && run.kind === kind).map((run) => run.microseconds));
  const kinds = (['flow', 'connection', 'packet'] as const).filter((kind) =>
    runs.some((run) => run.kind === kind),
  );
  return [
    `${ports} node ports, ${addresses} addresses; kernel ${kernel}; packets: median of ${rounds}`,
    '',
    ...aligned([
      ['', 'sharing: false', 'sharing: true', 'ratio'],
      ...fillRows.map(([key, title, digits]) => [
        title,
        without[key].toFixed(digits),
        shared[key].toFixed(digits),
        ratio(without[key], shared[key]),
      ]),
      ...kinds.map((kind) => {
        const [before, after] = [medianOf(false, kind), medianOf(true, kind)];
        return [`${trafficTitles[kind]}, µs`, before.toFixed(2), after.toFixed(2), ratio(before, after)];
      }),
    ]),
    '',
  ].join('\n');
};
