import { addLoads, type Load, type VirtualServerLoad } from './rates.js';

/** What a row stands for. */
export const groupings = ['service', 'virtual', 'real'] as const;
export type Grouping = (typeof groupings)[number];

/** What a look at the daemon told; nothing where no daemon answers. */
export interface NameLookup {
  /** `namespace/name` of the Service that has the virtual server. */
  serviceOf(virtualServer: string): string | undefined;
  /** `ClusterIP`, `NodePort` and so on, with the name of the port. */
  frontendOf(virtualServer: string): string | undefined;
  /** `namespace/name` of the pod behind a real server. */
  podOf(virtualServer: string, realServer: string): string | undefined;
}

export interface Row {
  /** Unique on its screen. */
  readonly key: string;
  readonly name: string;
  /** What else is to be known of it: what it contains, or what it is. */
  readonly note: string;
  /** No new connections are given to it. */
  readonly isDraining: boolean;
  readonly load: Load;
}

/** Where one is: everything, or what is inside of the rows that were opened one after the other. */
export interface View {
  readonly grouping: Grouping;
  /** The Service that was opened. */
  readonly service?: string | undefined;
  /** The virtual server that was opened. */
  readonly virtual?: string | undefined;
  /** The real server that was opened where all stood together: its virtual servers. */
  readonly real?: string | undefined;
}

/** Adds up what has the same key, in the order of first sight. */
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
              isDraining: before.row.isDraining && row.isDraining,
              load: addLoads(before.row.load, row.load),
            },
            parts: before.parts + 1,
          },
    );
  }
  return [...merged.values()].map(({ row, parts }) => ({ ...row, note: noteOf(parts, row) }));
};

/** A virtual server of no known Service stands for itself. */
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

/** `inside`: its Service is known by where one is. */
const virtualRow = (loads: VirtualServerLoad, names: NameLookup, isInsideService = false): Row => {
  const service = isInsideService ? undefined : names.serviceOf(loads.key);
  const frontend = names.frontendOf(loads.key);
  const servers = `${loads.realServers.length} real`;
  return {
    key: loads.key,
    name: loads.key,
    note: [service, frontend, loads.scheduler, servers].filter((part) => part !== undefined).join(' '),
    isDraining: loads.realServers.length > 0 && loads.realServers.every(({ weight }) => weight === 0),
    load: loads.load,
  };
};

function* realRows(tables: readonly VirtualServerLoad[], names: NameLookup): Iterable<Row> {
  for (const virtualServer of tables)
    for (const { key, weight, load } of virtualServer.realServers)
      yield {
        key,
        name: key,
        note: names.podOf(virtualServer.key, key) ?? '',
        isDraining: weight === 0,
        load,
      };
}

const realRowsOf = (virtualServer: VirtualServerLoad, names: NameLookup): readonly Row[] =>
  virtualServer.realServers.map(({ key, weight, load }) => ({
    key,
    name: key,
    note: [`weight ${weight}`, names.podOf(virtualServer.key, key)]
      .filter((part) => part !== undefined)
      .join(' '),
    isDraining: weight === 0,
    load,
  }));

/** What one real server does in each of its virtual servers. */
const virtualServerRowsOf = (
  real: string,
  tables: readonly VirtualServerLoad[],
  names: NameLookup,
): readonly Row[] =>
  tables.flatMap((virtualServer) =>
    virtualServer.realServers
      .filter(({ key }) => key === real)
      .map(({ weight, load }) => ({ ...virtualRow(virtualServer, names), isDraining: weight === 0, load })),
  );

/** The rows of a place, in the order of the kernel's table. */
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

/** The largest first, names from A on; `reversed`: the other way round. What is equal goes by name, so that rows stand still. */
export const sortRows = (rows: readonly Row[], field: SortField, reversed: boolean): readonly Row[] => {
  const sign = reversed ? -1 : 1;
  if (field === 'name') return rows.toSorted((a, b) => sign * byName(a, b));
  const amount = amountOf[field];
  return rows.toSorted((a, b) => sign * (amount(b.load) - amount(a.load)) || byName(a, b));
};

/** Those that have the text in their name or note; upper and lower case are the same. */
export const filterRows = (rows: readonly Row[], text: string): readonly Row[] => {
  const wanted = text.toLowerCase();
  return wanted === ''
    ? rows
    : rows.filter(({ name, note }) => `${name} ${note}`.toLowerCase().includes(wanted));
};
