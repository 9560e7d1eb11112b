import { UsageError } from '../../config/parse-flags.js';
import { nearest } from '../../config/nearest.js';
import type { RealServerObservation, Statistics } from '../../model/virtual-server.js';
import { columnLines } from '../output/columns.js';
import type { ObservedVirtualServer } from '../kernel/kernel-snapshot.js';
import type { ReadScope } from '../kernel/read-kernel.js';
import { servicePortText, realServerStateText, type ServiceIndex } from '../admin/service-index.js';

type Value = string | number | undefined;

/** A field of virtual servers, of real servers, or of both. An unknown value is undefined. */
interface DumpField {
  readonly virtual?: (entry: ObservedVirtualServer, names: ServiceIndex) => Value;
  readonly real?: (server: RealServerObservation, entry: ObservedVirtualServer, names: ServiceIndex) => Value;
  /** Whether it is computed from the counters. */
  readonly needsStatistics?: true;
  /** Whether the value of a virtual server needs its real servers. */
  readonly needsRealServers?: true;
}

const summedField = (sum: (server: RealServerObservation) => number): DumpField => ({
  needsRealServers: true,
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
  return { needsStatistics: true, virtual: ({ server }) => value(server), real: (server) => value(server) };
};

const realServerNames = (server: RealServerObservation, entry: ObservedVirtualServer, names: ServiceIndex) =>
  names.get(entry.server.key)?.realServers[server.key];

/** The fields of `-o custom-columns` and `--sort-by`. */
export const dumpFields = {
  server: { virtual: ({ server }) => server.key },
  service: { virtual: ({ server }, names) => names.get(server.key)?.service },
  servicePort: {
    virtual: ({ server }, names) => {
      const known = names.get(server.key);
      return known && servicePortText(known);
    },
  },
  frontend: { virtual: ({ server }, names) => names.get(server.key)?.frontend },
  lingeringSeconds: { virtual: ({ server }, names) => names.get(server.key)?.lingering?.seconds },
  scheduler: { virtual: ({ server }) => server.scheduler },
  flags: { virtual: ({ server }) => server.flags.join(',') || undefined },
  persistent: { virtual: ({ server }) => server.persistence?.seconds },
  persistentPrefixLength: { virtual: ({ server }) => server.persistence?.prefixLength },
  realServer: { real: ({ key }) => key },
  pod: { real: (...of) => realServerNames(...of)?.pod },
  node: { real: (...of) => realServerNames(...of)?.node },
  zone: { real: (...of) => realServerNames(...of)?.zone },
  state: { real: (...of) => realServerNames(...of)?.state },
  stateText: {
    real: (...of) => {
      const known = realServerNames(...of);
      return known && realServerStateText(known);
    },
  },
  drainSeconds: { real: (...of) => realServerNames(...of)?.drain?.seconds },
  forwarding: { real: ({ forwarding }) => forwarding },
  weight: { real: ({ weight }) => weight },
  upperThreshold: { real: ({ upperThreshold }) => upperThreshold || undefined },
  lowerThreshold: { real: ({ lowerThreshold }) => lowerThreshold || undefined },
  weightReason: { real: (...of) => realServerNames(...of)?.weightReason },
  realServers: { needsRealServers: true, virtual: ({ realServers }) => realServers.size },
  active: summedField(({ activeConnections }) => activeConnections),
  inactive: summedField(({ inactiveConnections }) => inactiveConnections),
  persistentConnections: summedField((server) => server.persistentConnections),
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

/** Finds a field by name, ignoring case; as in kubectl, a dot may precede it. */
export const fieldName = (text: string): FieldName => {
  const plain = text.replace(/^\{?\.?/, '').replace(/\}$/, '');
  const found = names.find((name) => name.toLowerCase() === plain.toLowerCase());
  if (found !== undefined) return found as FieldName;
  const suggestion = nearest(plain, names);
  throw new UsageError(
    `unknown field ${JSON.stringify(text)}${suggestion === undefined ? '' : `; did you mean ${suggestion}?`} (fields: ${names.join(', ')})`,
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
          `-o custom-columns: ${JSON.stringify(column)} is not a valid column (expected TITLE:FIELD; fields: ${names.join(', ')})`,
        );
      return { title: column.slice(0, at), field: fieldName(column.slice(at + 1)) };
    });
};

const fieldOf = (name: FieldName): DumpField => dumpFields[name];

/** What must be read of the kernel to show these fields. */
export const readScopeFor = (fields: readonly FieldName[]): ReadScope => {
  const known = fields.map(fieldOf);
  return {
    realServers: known.some(
      ({ virtual, needsRealServers }) => virtual === undefined || needsRealServers === true,
    ),
    statistics: known.some(({ needsStatistics }) => needsStatistics === true),
  };
};

/** Texts ascending, numbers descending; unknown values last. */
const compare = (a: Value, b: Value): number => {
  if (a === b) return 0;
  if (a === undefined || b === undefined) return a === undefined ? 1 : -1;
  if (typeof a === 'number' && typeof b === 'number') return b - a;
  return String(a) < String(b) ? -1 : 1;
};

const sortedReal = (
  entry: ObservedVirtualServer,
  name: FieldName,
  index: ServiceIndex,
): ObservedVirtualServer => {
  const { real } = fieldOf(name);
  if (real === undefined) return entry;
  const servers = [...entry.realServers.values()].map((server) => ({
    server,
    value: real(server, entry, index),
  }));
  servers.sort((a, b) => compare(a.value, b.value));
  return { ...entry, realServers: new Map(servers.map(({ server }) => [server.key, server])) };
};

/** Sorts by a field, stably. A virtual server without a value of the field is sorted by its first real server. */
export const sortTables = (
  virtualServers: readonly ObservedVirtualServer[],
  name: FieldName,
  index: ServiceIndex,
): readonly ObservedVirtualServer[] => {
  const { virtual, real } = fieldOf(name);
  const valueOf = (entry: ObservedVirtualServer): Value => {
    if (virtual !== undefined) return virtual(entry, index);
    const [first] = entry.realServers.values();
    return first && real?.(first, entry, index);
  };
  return virtualServers
    .map((entry) => sortedReal(entry, name, index))
    .map((entry) => ({ table: entry, value: valueOf(entry) }))
    .toSorted((a, b) => compare(a.value, b.value))
    .map(({ table: entry }) => entry);
};

const cell = (value: Value): string => (value === undefined || value === '' ? '<none>' : String(value));

/** A row for each real server; if no column needs them, for each virtual server. */
export const customColumnsLines = (
  virtualServers: readonly ObservedVirtualServer[],
  index: ServiceIndex,
  columns: readonly CustomColumn[],
  titles: boolean,
): Iterable<string> => {
  const fields = columns.map(({ field }) => fieldOf(field));
  const perReal = fields.some(({ virtual }) => virtual === undefined);
  const virtualRow = (entry: ObservedVirtualServer): readonly string[] =>
    fields.map(({ virtual }) => cell(virtual?.(entry, index)));
  const realRow = (entry: ObservedVirtualServer, server: RealServerObservation): readonly string[] =>
    fields.map(({ virtual, real }) =>
      cell(real === undefined ? virtual?.(entry, index) : real(server, entry, index)),
    );
  const rows = virtualServers.flatMap((entry) =>
    perReal && entry.realServers.size > 0
      ? [...entry.realServers.values()].map((server) => realRow(entry, server))
      : [virtualRow(entry)],
  );
  return columnLines(
    columns.map(({ title }) => ({ title, align: 'left' })),
    rows,
    { titles },
  );
};
