import { resolveQuery, reportNothingFound, type DumpQuery, type DumpOptions } from './dump.js';
import { formatColumns, type Column } from '../output/columns.js';
import {
  connectionMatcher,
  readConnections,
  sortedConnections,
  type Connection,
} from './connection-table.js';
import { servicePortText } from '../admin/service-index.js';
import { targetMatcher, parseAddressTarget } from '../target/target.js';
import { UsageError } from '../../config/parse-flags.js';
import { printDiagnostic, writeText } from '../output/standard-output.js';

export interface ConnectionOptions extends DumpOptions {
  readonly client: string | undefined;
  readonly real: string | undefined;
  readonly states: readonly string[];
}

/** Rows are collected before printing to find the widths of columns; later rows may be wider. */
const rowsPerFlush = 1_000;

const columns: readonly Column[] = [
  { title: 'PROTOCOL', align: 'left' },
  { title: 'CLIENT', align: 'left' },
  { title: 'VIRTUAL SERVER', align: 'left' },
  { title: 'REAL SERVER', align: 'left' },
  { title: 'STATE', align: 'left' },
  { title: 'EXPIRES', align: 'right' },
];
const nameColumns: readonly Column[] = [
  { title: 'SERVICE', align: 'left' },
  { title: 'POD', align: 'left' },
];

const namesOf = (connection: Connection, { names }: DumpQuery) => {
  const known = names.get(`${connection.protocol} ${connection.virtual}`);
  return { known, real: known?.realServers[connection.real] };
};

const row = (connection: Connection, query: DumpQuery, withNames: boolean): readonly string[] => {
  const { known, real } = namesOf(connection, query);
  const { protocol, client, virtual, real: to, state, expiresSeconds } = connection;
  return [
    protocol,
    client,
    virtual,
    to,
    state,
    `${expiresSeconds}s`,
    ...(withNames ? [known === undefined ? '' : servicePortText(known), real?.pod ?? ''] : []),
  ];
};

const jsonLine = (connection: Connection, query: DumpQuery): string => {
  const { known, real } = namesOf(connection, query);
  return JSON.stringify({
    ...connection,
    ...(known?.service === undefined ? {} : { service: known.service }),
    ...(known?.port === undefined ? {} : { port: known.port.name || known.port.port }),
    ...(real?.pod === undefined ? {} : { pod: real.pod }),
    ...(real?.node === undefined ? {} : { node: real.node }),
  });
};

/** Writes connections as they arrive; resolves to their number. */
const writeJson = async (connections: AsyncIterable<Connection>, query: DumpQuery): Promise<number> => {
  let count = 0;
  for await (const connection of connections) {
    await writeText(`${count === 0 ? '{"connections": [\n' : ',\n'}${jsonLine(connection, query)}`);
    count += 1;
  }
  await writeText(count === 0 ? '{"connections": []}\n' : '\n]}\n');
  return count;
};

const writeTable = async (
  connections: AsyncIterable<Connection>,
  query: DumpQuery,
  titles: boolean,
): Promise<number> => {
  const withNames = [...query.names.keys()].length > 0;
  const shown = withNames ? [...columns, ...nameColumns] : columns;
  let widths: readonly number[] = shown.map(({ title }) => (titles ? title.length : 0));
  let rows: (readonly string[])[] = [];
  let count = 0;
  const flush = async (): Promise<void> => {
    widths = widths.map((width, index) =>
      rows.reduce((widest, cells) => Math.max(widest, cells[index]?.length ?? 0), width),
    );
    const wide = shown.map((column, index) => ({ ...column, minimumWidth: widths[index] ?? 0 }));
    await writeText(formatColumns(wide, rows, { titles: titles && count === rows.length }));
    rows = [];
  };
  for await (const connection of connections) {
    rows.push(row(connection, query, withNames));
    count += 1;
    if (rows.length === rowsPerFlush) await flush();
  }
  if (rows.length > 0) await flush();
  return count;
};

async function* matching(query: DumpQuery, options: ConnectionOptions): AsyncIterable<Connection> {
  const isTarget = targetMatcher(query.target, query.names);
  const matches = connectionMatcher({
    ...options,
    matchesVirtualServer: (key) => {
      if (query.target?.by !== 'address') return isTarget(undefined, key);
      const [protocol = '', socket = ''] = key.split(' ');
      const at = parseAddressTarget(socket);
      return (
        at?.port !== undefined &&
        isTarget({ by: 'address', protocol: protocol as 'TCP', address: at.address, port: at.port }, key)
      );
    },
  });
  for await (const connection of readConnections()) if (matches(connection)) yield connection;
}

/** Prints the connections of the kernel that match; 1 where none matches the target. */
export const dumpConnections = async (options: ConnectionOptions): Promise<number> => {
  if (options.output !== 'table' && options.output !== 'wide' && options.output !== 'json')
    throw new UsageError('--connections supports only -o table and -o json');
  const query = await resolveQuery(options);
  const found = sortedConnections(matching(query, options), (most) =>
    printDiagnostic(`more than ${most} connections: printed in the order of the kernel, not sorted`),
  );
  const count =
    options.output === 'json'
      ? await writeJson(found, query)
      : await writeTable(found, query, options.titles);
  if (count > 0) return 0;
  const { target, names } = query;
  const isNamed = target !== undefined && target.by !== 'address';
  if (isNamed && ![...names.keys()].some((key) => targetMatcher(target, names)(undefined, key)))
    return reportNothingFound(query, options);
  const { client, real, states } = options;
  const isNarrow =
    query.target !== undefined || client !== undefined || real !== undefined || states.length > 0;
  printDiagnostic(isNarrow ? 'no matching connections' : 'no connections');
  return target === undefined ? 0 : 1;
};
