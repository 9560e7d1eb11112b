import { UsageError } from '../config/flags.js';
import { nearest } from '../config/nearest.js';
import type { RealServerObservation, Statistics } from '../model/virtual-server.js';
import { columnLines } from './columns.js';
import type { ObservedTable } from './kernel-table.js';
import type { Reading } from './read-kernel.js';
import { servicePortText, stateText, type NamesBook } from './names-book.js';

type Value = string | number | undefined;

/** A fact of a virtual server, of a real server, or of both. What is not known is undefined. */
interface DumpField {
  readonly virtual?: (table: ObservedTable, names: NamesBook) => Value;
  readonly real?: (server: RealServerObservation, table: ObservedTable, names: NamesBook) => Value;
  /** Whether it comes from the counters. */
  readonly counts?: true;
  /** Whether it needs the real servers where it is told of a virtual server. */
  readonly sums?: true;
}

const ofBoth = (sum: (server: RealServerObservation) => number): DumpField => ({
  sums: true,
  virtual: ({ realServers }) => {
    let total = 0;
    for (const server of realServers.values()) total += sum(server);
    return total;
  },
  real: (server) => sum(server),
});

const counter = (name: keyof Statistics): DumpField => {
  const value = ({ statistics }: { readonly statistics: Statistics | undefined }): Value =>
    statistics === undefined ? undefined : Number(statistics[name]);
  return { counts: true, virtual: ({ server }) => value(server), real: (server) => value(server) };
};

const realNames = (server: RealServerObservation, table: ObservedTable, names: NamesBook) =>
  names.of(table.server.key)?.realServers[server.key];

/** What `-o custom-columns` may show and `--sort-by` may sort by. */
export const dumpFields = {
  server: { virtual: ({ server }) => server.key },
  service: { virtual: ({ server }, names) => names.of(server.key)?.service },
  servicePort: {
    virtual: ({ server }, names) => {
      const known = names.of(server.key);
      return known && servicePortText(known);
    },
  },
  frontend: { virtual: ({ server }, names) => names.of(server.key)?.frontend },
  lingeringSeconds: { virtual: ({ server }, names) => names.of(server.key)?.lingering?.seconds },
  scheduler: { virtual: ({ server }) => server.scheduler },
  flags: { virtual: ({ server }) => server.flags.join(',') || undefined },
  persistent: { virtual: ({ server }) => server.persistence?.seconds },
  realServer: { real: ({ key }) => key },
  pod: { real: (...of) => realNames(...of)?.pod },
  node: { real: (...of) => realNames(...of)?.node },
  zone: { real: (...of) => realNames(...of)?.zone },
  state: { real: (...of) => realNames(...of)?.state },
  stateText: {
    real: (...of) => {
      const known = realNames(...of);
      return known && stateText(known);
    },
  },
  drainSeconds: { real: (...of) => realNames(...of)?.drain?.seconds },
  forwarding: { real: ({ forwarding }) => forwarding },
  weight: { real: ({ weight }) => weight },
  realServers: { sums: true, virtual: ({ realServers }) => realServers.size },
  active: ofBoth(({ activeConnections }) => activeConnections),
  inactive: ofBoth(({ inactiveConnections }) => inactiveConnections),
  persistentConnections: ofBoth((server) => server.persistentConnections),
  connections: counter('connections'),
  inPackets: counter('inPackets'),
  outPackets: counter('outPackets'),
  inBytes: counter('inBytes'),
  outBytes: counter('outBytes'),
  connectionsPerSecond: counter('connectionsPerSecond'),
  inPacketsPerSecond: counter('inPacketsPerSecond'),
  outPacketsPerSecond: counter('outPacketsPerSecond'),
  inBytesPerSecond: counter('inBytesPerSecond'),
  outBytesPerSecond: counter('outBytesPerSecond'),
} as const satisfies Readonly<Record<string, DumpField>>;

export type FieldName = keyof typeof dumpFields;

const names: readonly string[] = Object.keys(dumpFields);

/** The field of that name, in whatever case; as in kubectl it may have a dot before it. */
export const fieldName = (text: string): FieldName => {
  const plain = text.replace(/^\{?\.?/, '').replace(/\}$/, '');
  const found = names.find((name) => name.toLowerCase() === plain.toLowerCase());
  if (found !== undefined) return found as FieldName;
  const near = nearest(plain, names);
  throw new UsageError(
    `there is no field ${JSON.stringify(text)}${near === undefined ? '' : `; is ${near} meant`}? There are ${names.join(', ')}`,
  );
};

export interface CustomColumn {
  readonly title: string;
  readonly field: FieldName;
}

const prefix = 'custom-columns=';

/** The columns of `custom-columns=TITLE:FIELD,…`; undefined where the format is another. */
export const customColumns = (output: string): readonly CustomColumn[] | undefined => {
  if (!output.startsWith(prefix)) return undefined;
  return output
    .slice(prefix.length)
    .split(',')
    .map((column) => {
      const at = column.indexOf(':');
      if (at < 1)
        throw new UsageError(
          `-o custom-columns takes TITLE:FIELD,TITLE:FIELD; ${JSON.stringify(column)} is none. There are the fields ${names.join(', ')}`,
        );
      return { title: column.slice(0, at), field: fieldName(column.slice(at + 1)) };
    });
};

const fieldOf = (name: FieldName): DumpField => dumpFields[name];

/** What must be read of the kernel to show some fields, a line a real server where one is of these alone. */
export const readingFor = (fields: readonly FieldName[]): Reading => {
  const known = fields.map(fieldOf);
  return {
    realServers: known.some(({ virtual, sums }) => virtual === undefined || sums === true),
    statistics: known.some(({ counts }) => counts === true),
  };
};

/** Texts from A on, numbers from the largest on; what is not known last. */
const compare = (a: Value, b: Value): number => {
  if (a === b) return 0;
  if (a === undefined || b === undefined) return a === undefined ? 1 : -1;
  if (typeof a === 'number' && typeof b === 'number') return b - a;
  return String(a) < String(b) ? -1 : 1;
};

const sortedReal = (table: ObservedTable, name: FieldName, book: NamesBook): ObservedTable => {
  const { real } = fieldOf(name);
  if (real === undefined) return table;
  const servers = [...table.realServers.values()].map((server) => ({
    server,
    value: real(server, table, book),
  }));
  servers.sort((a, b) => compare(a.value, b.value));
  return { ...table, realServers: new Map(servers.map(({ server }) => [server.key, server])) };
};

/** Sorted by a field; what is alike stays in order. A virtual server stands where its first real server does where it has no value itself. */
export const sortTables = (
  tables: readonly ObservedTable[],
  name: FieldName,
  book: NamesBook,
): readonly ObservedTable[] => {
  const { virtual, real } = fieldOf(name);
  const valueOf = (table: ObservedTable): Value => {
    if (virtual !== undefined) return virtual(table, book);
    const [first] = table.realServers.values();
    return first && real?.(first, table, book);
  };
  return tables
    .map((table) => sortedReal(table, name, book))
    .map((table) => ({ table, value: valueOf(table) }))
    .toSorted((a, b) => compare(a.value, b.value))
    .map(({ table }) => table);
};

const cell = (value: Value): string => (value === undefined || value === '' ? '<none>' : String(value));

/** A row for each real server, or where no column is of them for each virtual server. */
export const customColumnsLines = (
  tables: readonly ObservedTable[],
  book: NamesBook,
  columns: readonly CustomColumn[],
  titles: boolean,
): Iterable<string> => {
  const fields = columns.map(({ field }) => fieldOf(field));
  const perReal = fields.some(({ virtual }) => virtual === undefined);
  const virtualRow = (table: ObservedTable): readonly string[] =>
    fields.map(({ virtual }) => cell(virtual?.(table, book)));
  const realRow = (table: ObservedTable, server: RealServerObservation): readonly string[] =>
    fields.map(({ virtual, real }) =>
      cell(real === undefined ? virtual?.(table, book) : real(server, table, book)),
    );
  const rows = tables.flatMap((table) =>
    perReal && table.realServers.size > 0
      ? [...table.realServers.values()].map((server) => realRow(table, server))
      : [virtualRow(table)],
  );
  return columnLines(
    columns.map(({ title }) => ({ title, align: 'left' })),
    rows,
    { titles },
  );
};
