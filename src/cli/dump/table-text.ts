import { hostPrefixLength } from '../../base/ip.js';
import type {
  RealServerObservation,
  Statistics,
  VirtualServer,
  VirtualServerObservation,
} from '../../model/virtual-server.js';
import { familyOfServer } from '../../model/virtual-server.js';
import type { VirtualServerDescription } from '../../admin-api/responses.js';
import { columnLines, type Cell, type Column } from '../output/columns.js';
import type { ObservedVirtualServer } from '../kernel/kernel-snapshot.js';
import {
  emptyServiceIndex,
  servicePortText,
  realServerStateText,
  weightReasonText,
  virtualServerStateText,
  type ServiceIndex,
} from '../admin/service-index.js';
import type { Palette } from '../output/palette.js';

export interface TableTextOptions {
  /** With forwarding, persistent connections and thresholds; exact bytes. */
  readonly wide: boolean;
  /** Totals since the server was added. */
  readonly statistics: boolean;
  /** Rates of the kernel's estimator. */
  readonly rates: boolean;
  readonly titles: boolean;
  /** Absent without a daemon. */
  readonly names?: ServiceIndex;
  readonly palette: Palette;
}

/** A virtual server with its real servers and names. */
interface DisplayedServer extends ObservedVirtualServer {
  readonly known: VirtualServerDescription | undefined;
}

/** A column with its cells for a virtual server and for a real server. */
interface TableField extends Column {
  virtual(shown: DisplayedServer): Cell;
  real(server: RealServerObservation, palette: Palette, shown: DisplayedServer): Cell;
}

const field = (
  title: string,
  align: Column['align'],
  virtual: TableField['virtual'],
  real: TableField['real'],
): TableField => ({ title, align, virtual, real });

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];

/** `0 B`, `1.5 KiB`, `12.0 MiB`, `123 MiB`. */
export const formatBytes = (bytes: bigint): string => {
  let amount = Number(bytes);
  let unit = 0;
  while (amount >= 1024 && unit < units.length - 1) {
    amount /= 1024;
    unit += 1;
  }
  return `${unit === 0 || amount >= 100 ? Math.floor(amount) : amount.toFixed(1)} ${units[unit]}`;
};

/** `rr`, `mh mh-port persistent 10800s by /24`. */
export const schedulerWords = ({ scheduler, flags, persistence, identity }: VirtualServer): string => {
  const alone = persistence?.prefixLength === hostPrefixLength(familyOfServer(identity));
  return [
    scheduler,
    ...flags,
    ...(persistence === undefined ? [] : [`persistent ${persistence.seconds}s`]),
    ...(persistence === undefined || alone ? [] : [`by /${persistence.prefixLength}`]),
  ].join(' ');
};

const total = (
  { realServers }: ObservedVirtualServer,
  of: (server: RealServerObservation) => number,
): string => {
  let sum = 0;
  for (const server of realServers.values()) sum += of(server);
  return String(sum);
};

const counted = (title: string, of: (server: RealServerObservation) => number): TableField =>
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
const weightReasonField = field(
  'WEIGHT FROM',
  'left',
  () => '',
  ({ key }, _, { known }) => weightReasonText(known?.realServers[key] ?? {}),
);
const limitsField = field('LIMITS', 'right', () => '', limits);

type Counter = keyof Statistics;

const statisticsField = (title: string, counter: Counter, format: (value: bigint) => string): TableField => {
  const show = ({ statistics }: VirtualServerObservation | RealServerObservation): string =>
    statistics === undefined ? '-' : format(statistics[counter]);
  return field(title, 'right', ({ server }) => show(server), show);
};

const plainNumber = (value: bigint): string => String(value);

const statisticsFields = (bytes: (value: bigint) => string): readonly TableField[] => [
  statisticsField('CONNECTIONS', 'connections', plainNumber),
  statisticsField('PACKETS IN', 'inPackets', plainNumber),
  statisticsField('PACKETS OUT', 'outPackets', plainNumber),
  statisticsField('BYTES IN', 'inBytes', bytes),
  statisticsField('BYTES OUT', 'outBytes', bytes),
];

const rateFields = (bytes: (value: bigint) => string): readonly TableField[] => [
  statisticsField('CONNECTIONS/S', 'connectionsPerSecond', plainNumber),
  statisticsField('PACKETS/S IN', 'inPacketsPerSecond', plainNumber),
  statisticsField('PACKETS/S OUT', 'outPacketsPerSecond', plainNumber),
  statisticsField('BYTES/S IN', 'inBytesPerSecond', bytes),
  statisticsField('BYTES/S OUT', 'outBytesPerSecond', bytes),
];

const nameField = field(
  'SERVICE, POD',
  'left',
  ({ known }) => (known === undefined ? '' : servicePortText(known)),
  ({ key }, _, { known }) => {
    const pod = known?.realServers[key]?.pod;
    return pod === undefined ? '' : `  ${pod}`;
  },
);

const locationField = field(
  'FRONTEND, NODE',
  'left',
  ({ known }) => known?.frontend ?? '',
  ({ key }, _, { known }) => {
    const node = known?.realServers[key]?.node;
    return node === undefined ? '' : `  ${node}`;
  },
);

const stateField = field(
  'STATE',
  'left',
  ({ known }) => (known === undefined ? '' : virtualServerStateText(known)),
  ({ key }, { warning }, { known }) => {
    const names = known?.realServers[key];
    const text = names === undefined ? '' : realServerStateText(names);
    return text === '' ? '' : { text, paint: warning };
  },
);

/** Whether all are in normal use. */
const hasNoState = (names: VirtualServerDescription): boolean =>
  virtualServerStateText(names) === '' &&
  Object.values(names.realServers).every((server) => realServerStateText(server) === '');

const hasWeights = ({ realServers }: VirtualServerDescription): boolean =>
  Object.values(realServers).some((names) => weightReasonText(names) !== '');

const fieldsFor = (
  shown: readonly DisplayedServer[],
  { wide, statistics, rates }: TableTextOptions,
): readonly TableField[] => {
  const bytes = wide ? plainNumber : formatBytes;
  const known = shown.flatMap((each) => each.known ?? []);
  return [
    serverField,
    ...(known.length === 0 ? [] : [nameField, locationField]),
    schedulerField,
    ...(wide ? [forwardingField] : []),
    weightField,
    ...(wide && known.some(hasWeights) ? [weightReasonField] : []),
    counted('ACTIVE', (server) => server.activeConnections),
    counted('INACTIVE', (server) => server.inactiveConnections),
    ...(wide ? [counted('PERSISTENT', (server) => server.persistentConnections), limitsField] : []),
    ...(statistics ? statisticsFields(bytes) : []),
    ...(rates ? rateFields(bytes) : []),
    ...(known.every(hasNoState) ? [] : [stateField]),
  ];
};

const strong = (cell: Cell, palette: Palette): Cell =>
  typeof cell === 'string' ? { text: cell, paint: palette.strong } : cell;

function* rowsOf(
  shown: DisplayedServer,
  fields: readonly TableField[],
  palette: Palette,
): Iterable<readonly Cell[]> {
  yield fields.map((each, index) =>
    index === 0 ? strong(each.virtual(shown), palette) : each.virtual(shown),
  );
  for (const server of shown.realServers.values())
    yield fields.map((each) => each.real(server, palette, shown));
  if (shown.realServers.size === 0)
    yield [{ text: '  no real servers: connections are refused', paint: palette.danger }];
}

/** The table as text, in the given order: a line for each virtual server with the sums of its real servers, then a line for each of these. */
export const tableLines = (
  virtualServers: readonly ObservedVirtualServer[],
  options: TableTextOptions,
): Iterable<string> => {
  const { names = emptyServiceIndex, palette, titles } = options;
  const shown = virtualServers.map(
    (entry): DisplayedServer => ({ ...entry, known: names.get(entry.server.key) }),
  );
  const fields = fieldsFor(shown, options);
  const rows = shown.flatMap((each) => [...rowsOf(each, fields, palette)]);
  return columnLines(fields, rows, { titles, paintTitle: palette.faint });
};
