import { loadValue, type ServerRow } from './page-state.js';

/** A row of the table: a Service with all its virtual servers, or one virtual server. */
export interface TableRow {
  /** Unique: `namespace/name`, or the key of a virtual server. */
  readonly key: string;
  /** The Service that `explain` is asked for. */
  readonly service: string | undefined;
  readonly note: string;
  /** The ids of its virtual servers. */
  readonly ids: readonly number[];
  readonly realServers: number;
  readonly draining: number;
  readonly state: 'orphaned' | 'contested' | undefined;
  readonly active: number;
  readonly connectionsPerSecond: number;
  readonly inBytesPerSecond: number;
  readonly outBytesPerSecond: number;
}

export type Grouping = 'services' | 'servers';

export const sortFields = [
  'name',
  'connectionsPerSecond',
  'active',
  'inBytesPerSecond',
  'outBytesPerSecond',
  'realServers',
] as const;
export type SortField = (typeof sortFields)[number];

const noteOf = ({ server: { frontend, port, scheduler, state } }: ServerRow): string =>
  [state === 'orphaned' ? 'orphaned' : frontend, port, scheduler].filter(Boolean).join(' · ');

const serverRow = (row: ServerRow): TableRow => ({
  key: row.server.key,
  service: row.server.service,
  note: [row.server.service, noteOf(row)].filter(Boolean).join(' · '),
  ids: [row.server.id],
  realServers: row.server.realServers,
  draining: row.server.draining,
  state: row.server.state,
  active: loadValue(row.load, 'active'),
  connectionsPerSecond: loadValue(row.load, 'connectionsPerSecond'),
  inBytesPerSecond: loadValue(row.load, 'inBytesPerSecond'),
  outBytesPerSecond: loadValue(row.load, 'outBytesPerSecond'),
});

const addRow = (a: TableRow, b: TableRow): TableRow => ({
  ...a,
  ids: [...a.ids, ...b.ids],
  realServers: Math.max(a.realServers, b.realServers),
  draining: a.draining + b.draining,
  state: a.state ?? b.state,
  active: a.active < 0 ? b.active : a.active + Math.max(0, b.active),
  connectionsPerSecond: a.connectionsPerSecond + b.connectionsPerSecond,
  inBytesPerSecond: a.inBytesPerSecond + b.inBytesPerSecond,
  outBytesPerSecond: a.outBytesPerSecond + b.outBytesPerSecond,
});

/** The rows, one for each Service or virtual server. A virtual server without a Service has its own row. */
export const groupRows = (servers: Iterable<ServerRow>, grouping: Grouping): readonly TableRow[] => {
  const rows = new Map<string, TableRow>();
  for (const server of servers) {
    const row = serverRow(server);
    const key = grouping === 'services' ? (row.service ?? row.key) : row.key;
    const known = rows.get(key);
    const first = grouping === 'services' ? { ...row, key, note: server.server.key } : row;
    rows.set(key, known === undefined ? first : addRow(known, row));
  }
  return [...rows.values()];
};

const collator = new Intl.Collator('en', { numeric: true });

/** Numbers in descending order, names in ascending order; `reversed`: the other way round. */
export const sortRows = (
  rows: readonly TableRow[],
  field: SortField,
  reversed: boolean,
): readonly TableRow[] => {
  const sign = reversed ? -1 : 1;
  const byName = (a: TableRow, b: TableRow): number => collator.compare(a.key, b.key);
  return field === 'name'
    ? rows.toSorted((a, b) => sign * byName(a, b))
    : rows.toSorted((a, b) => sign * (b[field] - a[field]) || byName(a, b));
};

/** The rows with every word of the text in their key, note or state, ignoring case. */
export const filterRows = (rows: readonly TableRow[], text: string): readonly TableRow[] => {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return words.length === 0
    ? rows
    : rows.filter(({ key, note, state, draining }) => {
        const searched = `${key} ${note} ${state ?? ''} ${draining > 0 ? 'draining' : ''}`.toLowerCase();
        return words.every((word) => searched.includes(word));
      });
};
