import { formatColumns, type Column } from '../output/columns.js';
import type { Load } from './rates.js';
import type { Grouping, Row } from './rows.js';

export interface BatchOptions {
  readonly output: 'table' | 'json';
  readonly grouping: Grouping;
}

const columns: readonly (readonly [title: string, of: (load: Load) => number])[] = [
  ['CONN/S', (load) => load.connectionsPerSecond],
  ['ACTIVE', (load) => load.activeConnections],
  ['INACTIVE', (load) => load.inactiveConnections],
  ['IN P/S', (load) => load.inPacketsPerSecond],
  ['OUT P/S', (load) => load.outPacketsPerSecond],
  ['IN B/S', (load) => load.inBytesPerSecond],
  ['OUT B/S', (load) => load.outBytesPerSecond],
];

const titles: Readonly<Record<Grouping, string>> = {
  service: 'SERVICE',
  virtual: 'VIRTUAL SERVER',
  real: 'REAL SERVER',
};

/** Rates are rounded to one decimal place. */
const exact = (amount: number): number => Math.round(amount * 10) / 10;

const asTable = (rows: readonly Row[], grouping: Grouping): string => {
  const head: readonly Column[] = [
    { title: titles[grouping], align: 'left' },
    ...columns.map(([title]): Column => ({ title, align: 'right' })),
    { title: 'NOTE', align: 'left' },
  ];
  const lines = rows.map(({ name, note, load, isDraining }) => [
    name,
    ...columns.map(([, of]) => String(exact(of(load)))),
    [isDraining ? 'draining' : '', note].filter((part) => part !== '').join(' '),
  ]);
  return `${formatColumns(head, lines, { titles: true })}\n`;
};

const roundedLoad = (load: Load): Load => {
  const entries = Object.entries(load).map(([key, amount]) => [key, exact(amount as number)] as const);
  return { ...load, ...Object.fromEntries(entries) };
};

/** One sample: a table and an empty line, or one JSON object on a line. */
export const batchText = (rows: readonly Row[], { output, grouping }: BatchOptions): string =>
  output === 'table'
    ? asTable(rows, grouping)
    : `${JSON.stringify({
        by: grouping,
        rows: rows.map(({ name, note, isDraining, load }) => ({
          name,
          note,
          isDraining,
          ...roundedLoad(load),
        })),
      })}\n`;
