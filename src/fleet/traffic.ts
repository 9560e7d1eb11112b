import { compareNames } from './node-groups.js';

/** Rates per second, and open connections: the numbers of a row of `top --batch -o json`. */
export const loadFields = [
  'connectionsPerSecond',
  'activeConnections',
  'inactiveConnections',
  'inPacketsPerSecond',
  'outPacketsPerSecond',
  'inBytesPerSecond',
  'outBytesPerSecond',
] as const;

export type Load = Readonly<Record<(typeof loadFields)[number], number>>;

export interface TrafficRow extends Load {
  readonly name: string;
  readonly note: string;
}

/** What the rows of all nodes are added up by. */
export const trafficGroupings = ['service', 'backend', 'node'] as const;
export type TrafficGrouping = (typeof trafficGroupings)[number];

export interface TrafficTotal extends TrafficRow {
  /** How many nodes have such a row. */
  readonly nodes: number;
}

const noLoad = Object.fromEntries(loadFields.map((field) => [field, 0])) as Load;

const addLoad = (a: Load, b: Load): Load =>
  Object.fromEntries(loadFields.map((field) => [field, a[field] + (b[field] ?? 0)])) as Load;

const nodeTotal = (node: string, rows: readonly TrafficRow[]): TrafficTotal => ({
  ...rows.reduce(addLoad, noLoad),
  name: node,
  note: `${rows.length} Services`,
  nodes: 1,
});

/** The last rows of each node, added up; the busiest first. */
export const sumTraffic = (
  latest: ReadonlyMap<string, readonly TrafficRow[]>,
  grouping: TrafficGrouping,
): readonly TrafficTotal[] => {
  const totals = new Map<string, TrafficTotal>();
  for (const [node, rows] of latest) {
    if (grouping === 'node') totals.set(node, nodeTotal(node, rows));
    else
      for (const { name, note, ...load } of rows) {
        const before = totals.get(name);
        totals.set(name, {
          ...addLoad(before ?? noLoad, load),
          name,
          note: before?.note || note,
          nodes: (before?.nodes ?? 0) + 1,
        });
      }
  }
  return [...totals.values()].toSorted(
    (a, b) =>
      b.connectionsPerSecond - a.connectionsPerSecond ||
      b.activeConnections - a.activeConnections ||
      compareNames(a.name, b.name),
  );
};
