import { familyOf, hostPrefixLength } from '../base/ip.js';
import type {
  RealServerObservation,
  Statistics,
  VirtualServer,
  VirtualServerObservation,
} from '../model/virtual-server.js';
import type { VirtualServerNames } from '../plan/admin-answers.js';
import { formatColumns, type Cell, type Column } from './columns.js';
import type { ObservedTable } from './kernel-table.js';
import { noNames, servicePortText, stateText, type NamesBook } from './names-book.js';
import type { Palette } from './paint.js';

export interface TableTextOptions {
  /** Forwarding, persistent connections and thresholds too; bytes exact. */
  readonly wide: boolean;
  /** Totals since the server was added. */
  readonly statistics: boolean;
  /** What the kernel's estimator says a second holds now. */
  readonly rates: boolean;
  readonly titles: boolean;
  /** Nothing where no daemon tells any. */
  readonly names?: NamesBook;
  readonly palette: Palette;
}

/** A column with what it shows of a virtual server (its whole table) and of a real server. */
interface Field extends Column {
  virtual(table: ObservedTable): Cell;
  real(server: RealServerObservation, palette: Palette, table: ObservedTable): Cell;
}

const field = (
  title: string,
  align: Column['align'],
  virtual: Field['virtual'],
  real: Field['real'],
): Field => ({ title, align, virtual, real });

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];

/** `0 B`, `1.5 KiB`, `12 MiB`: three digits at most where there is a unit. */
export const formatBytes = (bytes: bigint): string => {
  let amount = Number(bytes);
  let unit = 0;
  while (amount >= 1024 && unit < units.length - 1) {
    amount /= 1024;
    unit += 1;
  }
  return `${unit === 0 || amount >= 100 ? Math.floor(amount) : amount.toFixed(1)} ${units[unit]}`;
};

const schedulerWords = ({ scheduler, flags, persistence, identity }: VirtualServer): string => {
  const family = identity.by === 'address' ? familyOf(identity.address) : identity.family;
  const alone = persistence?.prefixLength === hostPrefixLength(family);
  return [
    scheduler,
    ...flags,
    ...(persistence === undefined ? [] : [`persistent ${persistence.seconds}s`]),
    ...(persistence === undefined || alone ? [] : [`by /${persistence.prefixLength}`]),
  ].join(' ');
};

const total = (table: ObservedTable, of: (server: RealServerObservation) => number): string =>
  String([...table.realServers.values()].reduce((sum, server) => sum + of(server), 0));

const counted = (title: string, of: (server: RealServerObservation) => number): Field =>
  field(
    title,
    'right',
    (table) => total(table, of),
    (server) => String(of(server)),
  );

const limits = ({ upperThreshold, lowerThreshold }: RealServerObservation): string =>
  upperThreshold === 0 && lowerThreshold === 0 ? '' : `${lowerThreshold}-${upperThreshold || 'none'}`;

const serverField = field(
  'SERVER',
  'left',
  ({ server }) => server.key,
  ({ key }) => `  → ${key}`,
);
const schedulerField = field(
  'SCHEDULER',
  'left',
  ({ server }) => schedulerWords(server),
  () => '',
);
const forwardingField = field(
  'FORWARDING',
  'left',
  () => '',
  ({ forwarding, tunnel }) => (tunnel === undefined ? forwarding : `${forwarding} ${tunnel.type}`),
);
const weightField = field(
  'WEIGHT',
  'right',
  () => '',
  ({ weight }, palette) => (weight === 0 ? { text: '0', paint: palette.warning } : String(weight)),
);
const limitsField = field('LIMITS', 'right', () => '', limits);

type Counter = keyof Statistics;

const statisticsField = (title: string, counter: Counter, format: (value: bigint) => string): Field => {
  const show = ({ statistics }: VirtualServerObservation | RealServerObservation): string =>
    statistics === undefined ? '-' : format(statistics[counter]);
  return field(title, 'right', ({ server }) => show(server), show);
};

const plainNumber = (value: bigint): string => String(value);

const statisticsFields = (bytes: (value: bigint) => string): readonly Field[] => [
  statisticsField('CONNECTIONS', 'connections', plainNumber),
  statisticsField('PACKETS IN', 'inPackets', plainNumber),
  statisticsField('PACKETS OUT', 'outPackets', plainNumber),
  statisticsField('BYTES IN', 'inBytes', bytes),
  statisticsField('BYTES OUT', 'outBytes', bytes),
];

const rateFields = (bytes: (value: bigint) => string): readonly Field[] => [
  statisticsField('CONNECTIONS/S', 'connectionsPerSecond', plainNumber),
  statisticsField('PACKETS/S IN', 'inPacketsPerSecond', plainNumber),
  statisticsField('PACKETS/S OUT', 'outPacketsPerSecond', plainNumber),
  statisticsField('BYTES/S IN', 'inBytesPerSecond', bytes),
  statisticsField('BYTES/S OUT', 'outBytesPerSecond', bytes),
];

const realNames = (names: NamesBook, table: ObservedTable, { key }: RealServerObservation) =>
  names.of(table.server.key)?.realServers[key];

const nameField = (names: NamesBook): Field =>
  field(
    'SERVICE, POD',
    'left',
    ({ server }) => {
      const known = names.of(server.key);
      return known === undefined ? '' : servicePortText(known);
    },
    (server, _, table) => {
      const pod = realNames(names, table, server)?.pod;
      return pod === undefined ? '' : `  ${pod}`;
    },
  );

const placeField = (names: NamesBook): Field =>
  field(
    'FRONTEND, NODE',
    'left',
    ({ server }) => names.of(server.key)?.frontend ?? '',
    (server, _, table) => {
      const node = realNames(names, table, server)?.node;
      return node === undefined ? '' : `  ${node}`;
    },
  );

const stateField = (names: NamesBook): Field =>
  field(
    'STATE',
    'left',
    ({ server }) => (names.of(server.key)?.contested === true ? 'made by somebody else, left alone' : ''),
    (server, { warning }, table) => {
      const known = realNames(names, table, server);
      const text = known === undefined ? '' : stateText(known);
      return text === '' ? '' : { text, paint: warning };
    },
  );

/** Whether every one is simply in use. */
const isPlain = ({ contested, realServers }: VirtualServerNames): boolean =>
  contested === undefined && Object.values(realServers).every(({ state }) => state === 'ready');

const fieldsFor = (
  tables: readonly ObservedTable[],
  { wide, statistics, rates, names = noNames }: TableTextOptions,
): readonly Field[] => {
  const bytes = wide ? plainNumber : formatBytes;
  const known = tables.flatMap(({ server }) => names.of(server.key) ?? []);
  return [
    serverField,
    ...(known.length === 0 ? [] : [nameField(names), placeField(names)]),
    schedulerField,
    ...(wide ? [forwardingField] : []),
    weightField,
    counted('ACTIVE', (server) => server.activeConnections),
    counted('INACTIVE', (server) => server.inactiveConnections),
    ...(wide ? [counted('PERSISTENT', (server) => server.persistentConnections), limitsField] : []),
    ...(statistics ? statisticsFields(bytes) : []),
    ...(rates ? rateFields(bytes) : []),
    ...(known.every(isPlain) ? [] : [stateField(names)]),
  ];
};

const strong = (cell: Cell, palette: Palette): Cell =>
  typeof cell === 'string' ? { text: cell, paint: palette.strong } : cell;

const rowsOf = (
  table: ObservedTable,
  fields: readonly Field[],
  palette: Palette,
): readonly (readonly Cell[])[] => {
  const virtual = fields.map((each, index) =>
    index === 0 ? strong(each.virtual(table), palette) : each.virtual(table),
  );
  const real = [...table.realServers.values()].map((server) =>
    fields.map((each) => each.real(server, palette, table)),
  );
  return real.length === 0
    ? [virtual, [{ text: '  no real server: refuses connections', paint: palette.danger }]]
    : [virtual, ...real];
};

/** The table for people, in the order given: a line a virtual server with the sums of its real servers, which follow with a line each. */
export const tableText = (tables: readonly ObservedTable[], options: TableTextOptions): string => {
  const fields = fieldsFor(tables, options);
  return formatColumns(
    fields,
    tables.flatMap((table) => rowsOf(table, fields, options.palette)),
    { titles: options.titles, paintTitle: options.palette.faint },
  );
};
