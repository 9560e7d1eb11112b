import type { StatusResponse } from '../../admin-api/responses.js';
import { formatCount } from '../../base/text.js';
import { byTrouble, nodeStatus, statusWithoutAnswer, type NodeStatus } from '../../fleet/node-status.js';
import { durationText } from '../admin/service-index.js';
import { formatColumns, type Cell, type Column } from '../output/columns.js';
import { paletteFor, type ColorMode, type Palette } from '../output/palette.js';
import { writeText } from '../output/standard-output.js';
import { healthProblems } from '../status/status-text.js';
import { Fleet, jsonAnswer, printWithoutPod } from './fleet.js';
import { fleetStatusOf, type FleetOptions } from './fleet-options.js';
import { printNodeStories } from './node-story.js';

export interface FleetStatusOptions extends FleetOptions {
  readonly output: 'table' | 'wide' | 'json';
  /** Only nodes that need attention. */
  readonly quiet: boolean;
  readonly color: ColorMode;
}

const stateWords: Readonly<Record<NodeStatus['state'], string>> = {
  'no-answer': 'no answer',
  'not-healthy': 'NOT healthy',
  problems: 'problems',
  healthy: 'healthy',
};

type StatusColumn = readonly [title: string, align: Column['align'], of: (row: NodeStatus) => string];

const countText = (count: number | undefined): string => (count === undefined ? '-' : String(count));

const columns: readonly StatusColumn[] = [
  ['VERSION', 'left', ({ version = '-' }) => version],
  ['IN SYNC', 'left', ({ inSync }) => (inSync === undefined ? '-' : inSync ? 'yes' : 'NO')],
  ['VIRTUAL SERVERS', 'right', ({ virtualServers }) => countText(virtualServers)],
  ['DRAINING', 'right', ({ draining }) => countText(draining)],
  ['DRIFT', 'right', ({ drift }) => countText(drift)],
];

const wideColumns: readonly StatusColumn[] = [
  ['REAL SERVERS', 'right', ({ realServers }) => countText(realServers)],
  ['CONFIG', 'left', ({ configDigest = '-' }) => configDigest],
  ['KERNEL', 'left', ({ kernelRelease = '-' }) => kernelRelease],
  ['UP', 'right', ({ uptimeSeconds }) => (uptimeSeconds === undefined ? '-' : durationText(uptimeSeconds))],
];

const tableText = (rows: readonly NodeStatus[], isWide: boolean, palette: Palette): string => {
  const shown = isWide ? [...columns, ...wideColumns] : columns;
  const paints = { 'no-answer': palette.danger, 'not-healthy': palette.danger, problems: palette.warning };
  const lines = rows.map((row): readonly Cell[] => [
    row.node,
    row.state === 'healthy' ? stateWords.healthy : { text: stateWords[row.state], paint: paints[row.state] },
    ...shown.map(([, , of]) => of(row)),
    row.lastError,
  ]);
  const left = (title: string): Column => ({ title, align: 'left' });
  const head = [
    left('NODE'),
    left('STATE'),
    ...shown.map(([title, align]): Column => ({ title, align })),
    left('LAST ERROR'),
  ];
  return formatColumns(head, lines, { titles: true });
};

/** `0.1.0 on 398 nodes, 0.2.0 on 2`, if there are several. */
const spreadText = (what: string, values: readonly (string | undefined)[]): readonly string[] => {
  const counts = new Map<string, number>();
  for (const value of values) if (value !== undefined) counts.set(value, (counts.get(value) ?? 0) + 1);
  if (counts.size < 2) return [];
  const list = [...counts].toSorted(([, a], [, b]) => b - a).map(([value, count]) => `${value} on ${count}`);
  return [`${what}: ${list.slice(0, 5).join(', ')}`];
};

const summaryText = (rows: readonly NodeStatus[]): string => {
  const count = (state: NodeStatus['state']): number => rows.filter((row) => row.state === state).length;
  const states = (['no-answer', 'not-healthy', 'problems', 'healthy'] as const)
    .filter((state) => count(state) > 0)
    .map((state) => `${count(state)} ${stateWords[state]}`);
  const lines = [
    `${formatCount(rows.length, 'node')}: ${states.join(', ')}`,
    ...spreadText(
      'versions',
      rows.map(({ version }) => version),
    ),
    ...spreadText(
      'configurations',
      rows.map(({ configDigest }) => configDigest),
    ),
  ];
  return `${lines.join('\n')}\n`;
};

const print = async (
  rows: readonly NodeStatus[],
  { members }: Fleet,
  { output, quiet, color }: FleetStatusOptions,
): Promise<void> => {
  const shown = quiet ? rows.filter(({ state }) => state !== 'healthy') : rows;
  if (output === 'json')
    return writeText(
      `${JSON.stringify({ version: 1, nodes: shown, withoutPod: members.withoutPod }, undefined, 2)}\n`,
    );
  const palette = paletteFor(process.stdout, process.env, color);
  const table = shown.length === 0 ? '' : `${tableText(shown, output === 'wide', palette)}\n`;
  await writeText(table + summaryText(rows));
};

/** Prints a line for each node, the worst first. */
export const fleetStatusCommand = async (options: FleetStatusOptions): Promise<number> => {
  using fleet = await Fleet.find(options);
  if (options.node.length > 0 && options.output === 'table') return printNodeStories(fleet, ['status']);
  const rows: NodeStatus[] = [];
  const question = { command: ['status', '-o', 'json'], parse: jsonAnswer<StatusResponse>('counts') };
  await fleet.ask(question, (one) => {
    rows.push(
      one.answer === undefined
        ? statusWithoutAnswer(one)
        : nodeStatus(one.node, one.answer, healthProblems(one.answer)),
    );
  });
  await print(rows.toSorted(byTrouble), fleet, options);
  printWithoutPod(fleet);
  return fleetStatusOf(
    rows.some(({ state }) => state === 'not-healthy' || state === 'problems'),
    rows.some(({ state }) => state === 'no-answer'),
  );
};
