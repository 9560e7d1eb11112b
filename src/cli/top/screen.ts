import { printable } from '../../base/text.js';
import { cutToWidth, displayWidth } from '../output/display-width.js';
import { addLoads, noLoad, type Load, type VirtualServerLoad } from './rates.js';
import {
  filterRows,
  rowsIn,
  sortRows,
  type NameLookup,
  type View,
  type Row,
  type SortField,
} from './rows.js';
import type { TopState } from './state.js';

export interface ScreenSize {
  readonly columns: number;
  readonly rows: number;
}

/** A line of the screen, at most as wide as the screen. */
export interface ScreenLine {
  readonly text: string;
  readonly style: 'plain' | 'strong' | 'faint' | 'title' | 'marked' | 'draining';
}

/** Other texts on the screen. */
export interface ScreenFacts {
  readonly node: string;
  /** `10:15:03` */
  readonly time: string;
  /** `2s` */
  readonly interval: string;
  /** A message, for example why there are no names. */
  readonly note: string | undefined;
}

interface Column {
  readonly title: string;
  readonly field: SortField;
  readonly width: number;
  readonly show: (load: Load) => string;
}

/** `0`, `0.5`, `12`, `9.9k`, `120M`: at most five characters. */
export const shortNumber = (amount: number): string => {
  const units = ['', 'k', 'M', 'G', 'T', 'P'];
  let value = amount;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1_000;
    unit += 1;
  }
  // Whole numbers, and numbers too large for a fraction.
  const exact = value >= 99.95 || (unit === 0 && Number.isInteger(value));
  return `${exact ? Math.round(value) : value.toFixed(1)}${units[unit]}`;
};

const column = (title: string, field: SortField, width: number, of: (load: Load) => number): Column => ({
  title,
  field,
  width,
  show: (load) => shortNumber(of(load)),
});

const connections = column('CONN/S', 'connections', 7, (load) => load.connectionsPerSecond);
const active = column('ACTIVE', 'active', 7, (load) => load.activeConnections);
const inactive = column('INACTIVE', 'inactive', 9, (load) => load.inactiveConnections);
const inBytes = column('IN B/S', 'in-bytes', 7, (load) => load.inBytesPerSecond);
const outBytes = column('OUT B/S', 'out-bytes', 8, (load) => load.outBytesPerSecond);
const inPackets = column('IN P/S', 'in-packets', 7, (load) => load.inPacketsPerSecond);
const outPackets = column('OUT P/S', 'out-packets', 8, (load) => load.outPacketsPerSecond);

/** Screens of this width also show packets. */
const wideColumns = 110;

const columnsFor = (columns: number): readonly Column[] =>
  columns >= wideColumns
    ? [connections, active, inactive, inPackets, outPackets, inBytes, outBytes]
    : [connections, active, inactive, inBytes, outBytes];

/** Pads or cuts the text to this width; a cut text ends with an ellipsis. */
export const fitWidth = (whole: string, width: number): string => {
  if (width <= 0) return '';
  const text = printable(whole);
  const shown = displayWidth(text) <= width ? text : `${cutToWidth(text, width - 1)}…`;
  return shown + ' '.repeat(Math.max(0, width - displayWidth(shown)));
};

const titleOf: Readonly<Record<View['grouping'], string>> = {
  service: 'SERVICE',
  virtual: 'VIRTUAL SERVER',
  real: 'REAL SERVER',
};

const nameTitle = ({ grouping, service, virtual, real }: View): string => {
  if (virtual !== undefined) return titleOf.real;
  return service !== undefined || real !== undefined ? titleOf.virtual : titleOf[grouping];
};

const sortMark = (title: string, isSorted: boolean, reversed: boolean): string =>
  isSorted ? `${reversed ? '▲' : '▼'}${title}` : title;

const titleLine = (state: TopState, columns: readonly Column[], nameWidth: number): string =>
  [
    ` ${fitWidth(sortMark(nameTitle(state.view), state.sort === 'name', !state.reversed), nameWidth)}`,
    ...columns.map(({ title, field, width }) =>
      sortMark(title, state.sort === field, state.reversed).padStart(width),
    ),
  ].join(' ');

const rowLine = (row: Row, isMarked: boolean, columns: readonly Column[], nameWidth: number): string => {
  const drains = row.isDraining ? ' (draining)' : '';
  const note = row.note === '' ? '' : `  ${row.note}`;
  return [
    `${isMarked ? '>' : ' '}${fitWidth(`${row.name}${drains}${note}`, nameWidth)}`,
    ...columns.map(({ width, show }) => show(row.load).padStart(width)),
  ].join(' ');
};

const viewPath = ({ grouping, service, virtual, real }: View): string =>
  [
    { service: 'Services', virtual: 'virtual servers', real: 'real servers' }[grouping],
    service,
    virtual,
    real,
  ]
    .filter((part) => part !== undefined)
    .join(' › ');

const keysLine = 'q quit  ↑↓ move  ⏎ open  ← back  tab view  s sort  r reverse  / filter  ? help';

const help: readonly string[] = [
  '↑ ↓ k j          move; PgUp PgDn Home End as well',
  '⏎ →              open: a Service, then its virtual servers, then their real servers',
  '← Esc Backspace  back',
  'Tab              Services, virtual servers, real servers',
  's                sort by the next column; r reverses the order',
  '/                filter by text; Esc clears the filter',
  'p Space          pause',
  'q Ctrl-C         quit',
  '',
  "CONN/S, B/S and P/S are rates between the last two samples of the kernel's",
  'counters. ACTIVE connections are established, INACTIVE ones are closing or',
  'UDP. A draining real server gets no new connections.',
];

/** The rows on the screen, the marked one included. */
const visibleRows = (rows: readonly Row[], marked: number, room: number): readonly Row[] => {
  const first = Math.max(0, Math.min(marked - Math.floor(room / 2), rows.length - room));
  return rows.slice(first, first + room);
};

/** The rows that the state selects, in its order. */
export const shownRows = (
  state: TopState,
  loads: readonly VirtualServerLoad[],
  names: NameLookup,
): readonly Row[] =>
  sortRows(filterRows(rowsIn(state.view, loads, names), state.filter), state.sort, state.reversed);

const summary = (loads: readonly VirtualServerLoad[]): string => {
  const total = loads.reduce((sum, { load }) => addLoads(sum, load), noLoad);
  const realServers = loads.reduce((sum, virtualServer) => sum + virtualServer.realServers.length, 0);
  return [
    `${loads.length} virtual, ${realServers} real`,
    `${shortNumber(total.connectionsPerSecond)} conn/s`,
    `${shortNumber(total.activeConnections)} active`,
    `${shortNumber(total.inactiveConnections)} inactive`,
    `in ${shortNumber(total.inBytesPerSecond)} B/s`,
    `out ${shortNumber(total.outBytesPerSecond)} B/s`,
  ].join('  ');
};

/** Lines above and below the rows. */
const frameLines = 5;

/** How many rows fit. */
export const visibleRowCount = (size: ScreenSize): number => Math.max(1, size.rows - frameLines);

const viewLine = ({ view, filter, isTyping }: TopState, note: string | undefined): string => {
  const filtered = isTyping ? `  / ${filter}_` : `  / ${filter}`;
  const noteText = note === undefined ? '' : `  (${note})`;
  return `${viewPath(view)}${isTyping || filter !== '' ? filtered : ''}${noteText}`;
};

const bodyLines = (state: TopState, rows: readonly Row[], size: ScreenSize): readonly ScreenLine[] => {
  if (state.showsHelp) return help.map((text) => ({ text, style: 'plain' }));
  if (rows.length === 0)
    return [{ text: state.filter === '' ? ' no rows' : ' no matching rows', style: 'faint' }];
  const columns = columnsFor(size.columns);
  const nameWidth = size.columns - 1 - columns.reduce((sum, { width }) => sum + width + 1, 0);
  const marked = Math.max(
    0,
    rows.findIndex(({ key }) => key === state.selected),
  );
  const style = (row: Row): ScreenLine['style'] => {
    if (row === rows[marked]) return 'marked';
    return row.isDraining ? 'draining' : 'plain';
  };
  return [
    { text: titleLine(state, columns, nameWidth), style: 'title' },
    ...visibleRows(rows, marked, visibleRowCount(size)).map((row) => ({
      text: rowLine(row, row === rows[marked], columns, nameWidth),
      style: style(row),
    })),
  ];
};

/** The whole screen: exactly `size.rows` lines, none wider than `size.columns`. */
export const drawScreen = (
  state: TopState,
  loads: readonly VirtualServerLoad[],
  rows: readonly Row[],
  facts: ScreenFacts,
  size: ScreenSize,
): readonly ScreenLine[] => {
  const paused = state.isPaused ? '  PAUSED' : `  every ${facts.interval}`;
  const head: readonly ScreenLine[] = [
    { text: `kube-ipvs top  ${facts.node}  ${facts.time}${paused}`, style: 'strong' },
    { text: summary(loads), style: 'plain' },
    { text: viewLine(state, facts.note), style: 'faint' },
  ];
  const body = bodyLines(state, rows, size);
  const room = Math.max(0, size.rows - head.length - 1);
  const filled: readonly ScreenLine[] = [
    ...body.slice(0, room),
    ...Array.from(
      { length: Math.max(0, room - body.length) },
      (): ScreenLine => ({ text: '', style: 'plain' }),
    ),
  ];
  return [...head, ...filled, { text: keysLine, style: 'faint' } as const]
    .slice(0, size.rows)
    .map(({ text, style }) => ({ text: fitWidth(text, size.columns).trimEnd(), style }));
};
