import type { PathReport } from './paths.js';
import type { Sample, Trend } from './samples.js';

/** What became of requests while pods ended as soon as they were told to. */
export interface AbruptRollouts {
  readonly rollouts: number;
  /** New connections that a pod refused which had ended. */
  readonly refused: number;
  /** Requests that a pod had not answered yet when it ended. */
  readonly reset: number;
}

const isRefused = (failure: string): boolean => failure.includes('ECONNREFUSED');
const isReset = (failure: string): boolean => /ECONNRESET|socket hang up/.test(failure);

/** Whether a request failed as it may where a pod ends abruptly. */
export const isOfAbruptEnd = (failure: string): boolean => isRefused(failure) || isReset(failure);

export const abruptOf = (failures: readonly string[], rollouts: number): AbruptRollouts => ({
  rollouts,
  refused: failures.filter(isRefused).length,
  reset: failures.filter(isReset).length,
});

export interface SoakReport {
  readonly seed: number;
  readonly seconds: number;
  readonly services: number;
  /** What was done meanwhile, and how often. */
  readonly done: Readonly<Record<string, number>>;
  readonly paths: readonly PathReport[];
  readonly samples: readonly Sample[];
  readonly trends: readonly Trend[];
  readonly abrupt?: AbruptRollouts;
  /** Failed requests and what else went wrong, a line each. */
  readonly troubles: readonly string[];
}

/** Aligned columns; all but the first are figures. */
export const table = (rows: readonly (readonly string[])[]): readonly string[] => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  '),
  );
};

const figure = (value: number): string => (Number.isInteger(value) ? String(value) : value.toFixed(1));

const pathTable = (paths: readonly PathReport[]): readonly string[] =>
  table([
    ['path', 'requests', 'failures', 'connections', 'slowest', 'longest gap'],
    ...paths.map(({ name, requests, failures, connections, slowest, longestGap }) => [
      name,
      ...[requests, failures.length, connections].map(String),
      `${slowest} ms`,
      `${longestGap} ms`,
    ]),
  ]);

const trendTable = (trends: readonly Trend[]): readonly string[] =>
  table([
    ['median of quarter', '1', '2', '3', '4', 'slope an hour', ''],
    ...trends.map(({ what, quarters, slopePerHour, flat }) => [
      what,
      ...quarters.map(figure),
      slopePerHour.toFixed(1),
      flat ? 'flat' : 'GROWS',
    ]),
  ]);

/** Whether nothing speaks against it. */
export const isSound = ({ troubles, trends }: SoakReport): boolean =>
  troubles.length === 0 && trends.every(({ flat }) => flat);

const abruptText = (abrupt: AbruptRollouts | undefined): readonly string[] => {
  if (abrupt === undefined) return [];
  const { rollouts, refused, reset } = abrupt;
  const each = (count: number): string => (count / Math.max(1, rollouts)).toFixed(2);
  return [
    `${rollouts} abrupt rollouts: ${refused} refused (${each(refused)} each), ${reset} reset (${each(reset)} each)`,
    '',
  ];
};

/** For people. */
export const reportText = (report: SoakReport): string =>
  [
    `${report.services} Services, ${Math.round(report.seconds)} s, seed ${report.seed}`,
    '',
    ...pathTable(report.paths),
    '',
    ...abruptText(report.abrupt),
    ...(report.trends.length === 0 ? [] : [...trendTable(report.trends), '']),
    ...table(Object.entries(report.done).map(([what, count]) => [what, String(count)])),
    '',
    ...report.troubles,
    isSound(report) ? 'sound' : `not sound: ${report.troubles.length} troubles`,
    '',
  ].join('\n');
