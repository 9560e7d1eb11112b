import { formatColumns } from '../../src/cli/output/columns.js';
import type { BindingRun } from './binding-report.js';
import type { DumpTime } from './dump-report.js';
import type { IdleRun } from './idle-report.js';
import { median, type FloorRun, type SyncRun } from './report.js';
import type { StartRun } from './start-report.js';

/** One cluster, and the runs at its size with VIPs as addresses. */
export interface ScaleSize {
  readonly services: number;
  readonly endpoints: number;
  readonly floor: readonly FloorRun[];
  readonly sync: readonly SyncRun[];
}

/** What scale.ts measures in the lab. */
export interface LabScale {
  readonly kernel: string;
  readonly node: string;
  readonly sizes: readonly ScaleSize[];
  readonly routes: {
    readonly services: number;
    readonly endpoints: number;
    readonly floor: readonly FloorRun[];
    readonly sync: readonly BindingRun[];
  };
  readonly idle: IdleRun;
  readonly start: StartRun;
  readonly dump: readonly DumpTime[];
}

/** What scripts/benchmark/watch-memory.mjs prints; times in milliseconds of processor time. */
export interface ListedObjects {
  readonly cpuMilliseconds: number;
  readonly rssMegabytes: number;
}

/** What draining.ts prints. */
export interface DrainingChange {
  readonly draining: number;
  readonly ratio: number;
}

export interface Scale {
  readonly lab: LabScale;
  readonly list: ListedObjects;
  readonly draining: DrainingChange;
}

/** One goal; `limit` has the unit of `measured`. */
export interface Goal {
  readonly what: string;
  readonly measured: number;
  readonly limit: number;
  readonly unit: 's' | 'ms' | 'MB' | '';
  readonly met: boolean;
}

type Unchecked = Omit<Goal, 'met'>;

const inUnit =
  (unit: Goal['unit']) =>
  (what: string, measured: number, limit: number): Unchecked => ({ what, measured, limit, unit });
const seconds = inUnit('s');
const milliseconds = inUnit('ms');
const megabytes = inUnit('MB');
const ratio = inUnit('');

const floorSeconds = (runs: readonly FloorRun[]): number =>
  median(runs.map((run) => run.virtualServers + run.addresses));

const fullSyncSeconds = (runs: readonly BindingRun[]): number =>
  median(runs.map((run) => run.fullSyncSeconds));

const clusterText = ({ services, endpoints }: { services: number; endpoints: number }): string =>
  `${services.toLocaleString('en')} × ${endpoints}`;

/** Seconds that a full sync may take, by Services and floor. */
const fullSyncLimit = (services: number, floor: number): number => {
  if (services <= 1_000) return 0.25;
  return services <= 10_000 ? 1.3 * floor + 0.5 : 1.5 * floor + 2;
};

const fullSyncGoal = (size: ScaleSize): Unchecked => {
  const floor = floorSeconds(size.floor);
  const what = `full sync, ${clusterText(size)} (floor ${floor.toFixed(2)} s)`;
  return seconds(what, fullSyncSeconds(size.sync), fullSyncLimit(size.services, floor));
};

const changeMilliseconds = ({ sync }: ScaleSize): number =>
  Math.max(
    median(sync.map(({ added }) => added.milliseconds)),
    median(sync.map(({ removed }) => removed.milliseconds)),
  );

/** The slower of an endpoint that comes and one that leaves. */
const changeGoals = (sizes: readonly ScaleSize[]): readonly Unchecked[] => {
  const measured = sizes.map(changeMilliseconds);
  return [
    ...sizes.map((size, index) =>
      milliseconds(`one change, ${clusterText(size)}`, measured[index] ?? Number.NaN, 1),
    ),
    ratio('one change, the slowest size to the smallest', Math.max(...measured) / (measured[0] ?? 1), 1.2),
  ];
};

const residentGoals = (sizes: readonly ScaleSize[]): readonly Unchecked[] =>
  sizes
    .filter(({ services }) => services >= 10_000)
    .map((size) =>
      megabytes(
        `RSS after the full sync, ${clusterText(size)}`,
        median(size.sync.map((run) => run.residentMegabytes)),
        size.services > 10_000 ? 300 : 120,
      ),
    );

const idleGoals = ({ periods, delay }: IdleRun): readonly Unchecked[] => [
  seconds(
    'idle sync period, processor time',
    median(periods.map(({ processorMilliseconds }) => processorMilliseconds)) / 1e3,
    0.15,
  ),
  milliseconds('idle sync period, longest stop', delay.longest, 10),
  milliseconds('idle sync period, p99 of the delay', delay.p99, 20),
];

/** `kube-ipvs dump` without the start of Node.js, to ipvsadm. */
const dumpGoal = (times: readonly DumpTime[]): Unchecked => {
  const of = (name: string): number => times.find((time) => time.name === name)?.milliseconds ?? Number.NaN;
  return ratio(
    'dump of 10,000 Services, to ipvsadm',
    (of('dump -o ipvsadm') - of('kube-ipvs version')) / of('ipvsadm -Sn'),
    1.5,
  );
};

/** The goals of docs/benchmarks.md for large clusters, in its order. */
export const scaleGoals = ({ lab, list, draining }: Scale): readonly Goal[] => {
  const { sizes, routes } = lab;
  const routesWhat = `full sync, ${clusterText(routes)}, VIPs as routes (floor ${floorSeconds(routes.floor).toFixed(2)} s)`;
  const unchecked: readonly Unchecked[] = [
    ...sizes.slice(1).map(fullSyncGoal),
    seconds(routesWhat, fullSyncSeconds(routes.sync), 10),
    seconds('from exec to the complete table, 10,000 × 10', lab.start.seconds, 5),
    seconds('list and decode, 10,000 × 10, processor time', list.cpuMilliseconds / 1e3, 0.6),
    megabytes('list and decode, 10,000 × 10, RSS', list.rssMegabytes, 100),
    ...idleGoals(lab.idle),
    ...changeGoals(sizes.filter(({ services }) => services !== 1_000)),
    ratio(
      `one change while ${draining.draining.toLocaleString('en')} real servers drain`,
      draining.ratio,
      1.2,
    ),
    ...residentGoals(sizes),
    dumpGoal(lab.dump),
  ];
  return unchecked.map((goal) => ({ ...goal, met: goal.measured <= goal.limit }));
};

const valueText = (value: number, unit: Goal['unit']): string => {
  const number = value.toFixed(unit === 'MB' ? 0 : 2);
  return unit === '' ? number : `${number} ${unit}`;
};

/** The goals as a table. */
export const scaleText = (scale: Scale): string =>
  [
    `Kernel ${scale.lab.kernel}, node ${scale.lab.node}; median of ${scale.lab.sizes[0]?.sync.length ?? 0}`,
    '',
    formatColumns(
      [
        { title: 'SERVICES × ENDPOINTS', align: 'left' },
        { title: 'MEASURED', align: 'right' },
        { title: 'AT MOST', align: 'right' },
        { title: 'GOAL', align: 'left' },
      ],
      scaleGoals(scale).map(({ what, measured, limit, unit, met }) => [
        what,
        valueText(measured, unit),
        valueText(limit, unit),
        met ? 'met' : 'missed',
      ]),
      { titles: true },
    ),
  ].join('\n');
