import { addLoads, type Load, type VirtualServerLoad } from './rates.js';

/** What the rows are grouped by. */
export const groupings = ['service', 'virtual', 'real'] as const;
export type Grouping = (typeof groupings)[number];

/** The names from the daemon; undefined without a daemon. */
export interface NameLookup {
  /** `namespace/name` of the Service that has the virtual server. */
  serviceOf(virtualServer: string): string | undefined;
  /** `ClusterIP`, `NodePort` and so on, with the name of the port. */
  frontendOf(virtualServer: string): string | undefined;
  /** `namespace/name` of the pod behind a real server. */
  podOf(virtualServer: string, realServer: string): string | undefined;
  /** Whether the real server is that of a used endpoint, so that a weight of 0 is its own. */
  isUsed?(virtualServer: string, realServer: string): boolean;
  /** Why the real server does not have its full weight: `climbing 40%`, `quarantined`. */
  paceOf(virtualServer: string, realServer: string): string | undefined;
}

export interface Row {
  /** Unique among the rows of a view. */
  readonly key: string;
  readonly name: string;
  /** What it contains, or what it is. */
  readonly note: string;
  /** It gets no new connections. */
  readonly isDraining: boolean;
  readonly load: Load;
}

/** The rows to show: all, or those inside the opened rows. */
export interface View {
  readonly grouping: Grouping;
  /** The opened Service. */
  readonly service?: string | undefined;
  /** The opened virtual server. */
  readonly virtual?: string | undefined;
  /** The opened real server: the rows are its virtual servers. */
  readonly real?: string | undefined;
}

/** Adds up rows with the same key, in the order of their first row; the first note that is not empty counts. */
const merge = (rows: Iterable<Row>, noteOf: (merged: number, last: Row) => string): readonly Row[] => {
  const merged = new Map<string, { row: Row; parts: number }>();
  for (const row of rows) {
    const before = merged.get(row.key);
    merged.set(
      row.key,
      before === undefined
        ? { row, parts: 1 }
        : {
            row: {
              ...before.row,
              note: before.row.note === '' ? row.note : before.row.note,
              isDraining: before.row.isDraining && row.isDraining,
              load: addLoads(before.row.load, row.load),
            },
            parts: before.parts + 1,
          },
    );
  }
  return [...merged.values()].map(({ row, parts }) => ({ ...row, note: noteOf(parts, row) }));
};

/** A virtual server without a known Service has its own row. */
const serviceRow = (loads: VirtualServerLoad, names: NameLookup): Row => {
  const service = names.serviceOf(loads.key);
  return {
    key: service ?? loads.key,
    name: service ?? loads.key,
    note: '',
    isDraining: false,
    load: loads.load,
  };
};

const drains = (
  virtualServer: VirtualServerLoad,
  { key, weight }: VirtualServerLoad['realServers'][number],
  names: NameLookup,
): boolean =>
  weight === 0 &&
  names.isUsed?.(virtualServer.key, key) !== true &&
  names.paceOf(virtualServer.key, key) === undefined;

/** Inside a Service, the note does not repeat its name. */
const virtualRow = (loads: VirtualServerLoad, names: NameLookup, isInsideService = false): Row => {
  const service = isInsideService ? undefined : names.serviceOf(loads.key);
  const frontend = names.frontendOf(loads.key);
  const servers = `${loads.realServers.length} real`;
  return {
    key: loads.key,
    name: loads.key,
    note: [service, frontend, loads.scheduler, servers].filter((part) => part !== undefined).join(' '),
    isDraining: loads.realServers.length > 0 && loads.realServers.every((real) => drains(loads, real, names)),
    load: loads.load,
  };
};

function* realRows(tables: readonly VirtualServerLoad[], names: NameLookup): Iterable<Row> {
  for (const virtualServer of tables)
    for (const real of virtualServer.realServers)
      yield {
        key: real.key,
        name: real.key,
        note: names.podOf(virtualServer.key, real.key) ?? '',
        isDraining: drains(virtualServer, real, names),
        load: real.load,
      };
}

const realRowsOf = (virtualServer: VirtualServerLoad, names: NameLookup): readonly Row[] =>
  virtualServer.realServers.map((real) => ({
    key: real.key,
    name: real.key,
    note: [
      `weight ${real.weight}`,
      names.paceOf(virtualServer.key, real.key),
      names.podOf(virtualServer.key, real.key),
    ]
      .filter((part) => part !== undefined)
      .join(' '),
    isDraining: drains(virtualServer, real, names),
    load: real.load,
  }));

/** The load of one real server in each of its virtual servers. */
const virtualServerRowsOf = (
  real: string,
  tables: readonly VirtualServerLoad[],
  names: NameLookup,
): readonly Row[] =>
  tables.flatMap((virtualServer) =>
    virtualServer.realServers
      .filter(({ key }) => key === real)
      .map((server) => ({
        ...virtualRow(virtualServer, names),
        isDraining: drains(virtualServer, server, names),
        load: server.load,
      })),
  );

/** The rows of a view, in the order of the kernel's table. */
export const rowsIn = (view: View, all: readonly VirtualServerLoad[], names: NameLookup): readonly Row[] => {
  const { grouping, service, virtual, real } = view;
  const members = all.filter(
    (virtualServer) =>
      (service === undefined || serviceRow(virtualServer, names).key === service) &&
      (virtual === undefined || virtualServer.key === virtual),
  );
  if (virtual !== undefined) return members.flatMap((virtualServer) => realRowsOf(virtualServer, names));
  if (real !== undefined) return virtualServerRowsOf(real, members, names);
  if (service !== undefined || grouping === 'virtual')
    return members.map((virtualServer) => virtualRow(virtualServer, names, service !== undefined));
  if (grouping === 'service')
    return merge(
      members.map((virtualServer) => serviceRow(virtualServer, names)),
      (parts) => `${parts} virtual`,
    );
  return merge(realRows(members, names), (parts, row) =>
    [row.note, `in ${parts} virtual`].filter((part) => part !== '').join(' '),
  );
};

export const sortFields = [
  'connections',
  'active',
  'inactive',
  'in-bytes',
  'out-bytes',
  'in-packets',
  'out-packets',
  'name',
] as const;
export type SortField = (typeof sortFields)[number];

const amountOf: Readonly<Record<Exclude<SortField, 'name'>, (load: Load) => number>> = {
  connections: (load) => load.connectionsPerSecond,
  active: (load) => load.activeConnections,
  inactive: (load) => load.inactiveConnections,
  'in-bytes': (load) => load.inBytesPerSecond,
  'out-bytes': (load) => load.outBytesPerSecond,
  'in-packets': (load) => load.inPacketsPerSecond,
  'out-packets': (load) => load.outPacketsPerSecond,
};

const byName = (a: Row, b: Row): number => a.name.localeCompare(b.name, 'en', { numeric: true });

/** Numbers descending, names ascending; `reversed`: the other way round. Equal rows are sorted by name and do not jump. */
export const sortRows = (rows: readonly Row[], field: SortField, reversed: boolean): readonly Row[] => {
  const sign = reversed ? -1 : 1;
  if (field === 'name') return rows.toSorted((a, b) => sign * byName(a, b));
  const amount = amountOf[field];
  return rows.toSorted((a, b) => sign * (amount(b.load) - amount(a.load)) || byName(a, b));
};

/** The rows with the text in their name or note, ignoring case. */
export const filterRows = (rows: readonly Row[], text: string): readonly Row[] => {
  const searched = text.toLowerCase();
  return searched === ''
    ? rows
    : rows.filter(({ name, note }) => `${name} ${note}`.toLowerCase().includes(searched));
};
