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
import { writeText } from '../output/standard-output.js';

export interface ConnectionOptions extends DumpOptions {
  readonly client: string | undefined;
  readonly real: string | undefined;
  readonly states: readonly string[];
}

/** Lines that are held back to find out how wide columns must be; what is wider later on is not cut. */
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

const row = (connection: Connection, asked: DumpQuery, withNames: boolean): readonly string[] => {
  const { known, real } = namesOf(connection, asked);
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

const jsonLine = (connection: Connection, asked: DumpQuery): string => {
  const { known, real } = namesOf(connection, asked);
  return JSON.stringify({
    ...connection,
    ...(known?.service === undefined ? {} : { service: known.service }),
    ...(known?.port === undefined ? {} : { port: known.port.name || known.port.port }),
    ...(real?.pod === undefined ? {} : { pod: real.pod }),
    ...(real?.node === undefined ? {} : { node: real.node }),
  });
};

/** Writes them as they come; gives how many there were. */
const writeJson = async (connections: AsyncIterable<Connection>, asked: DumpQuery): Promise<number> => {
  let count = 0;
  for await (const connection of connections) {
    await writeText(`${count === 0 ? '{"connections": [\n' : ',\n'}${jsonLine(connection, asked)}`);
    count += 1;
  }
  await writeText(count === 0 ? '{"connections": []}\n' : '\n]}\n');
  return count;
};

const writeTable = async (
  connections: AsyncIterable<Connection>,
  asked: DumpQuery,
  titles: boolean,
): Promise<number> => {
  const withNames = [...asked.names.keys()].length > 0;
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
    rows.push(row(connection, asked, withNames));
    count += 1;
    if (rows.length === rowsPerFlush) await flush();
  }
  if (rows.length > 0) await flush();
  return count;
};

async function* matching(asked: DumpQuery, options: ConnectionOptions): AsyncIterable<Connection> {
  const isTarget = targetMatcher(asked.target, asked.names);
  const matches = connectionMatcher({
    ...options,
    matchesVirtualServer: (key) => {
      if (asked.target?.by !== 'address') return isTarget(undefined, key);
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

/** Prints the connections that the kernel knows, or those that are asked for; 1 where there is none of those. */
export const dumpConnections = async (options: ConnectionOptions): Promise<number> => {
  if (options.output !== 'table' && options.output !== 'wide' && options.output !== 'json')
    throw new UsageError('--connections goes with -o table or json');
  const asked = await resolveQuery(options);
  const found = sortedConnections(matching(asked, options), (most) =>
    process.stderr.write(
      `There are more than ${most} connections: they come in the order in which the kernel has them.\n`,
    ),
  );
  const count =
    options.output === 'json'
      ? await writeJson(found, asked)
      : await writeTable(found, asked, options.titles);
  if (count > 0) return 0;
  const { target, names } = asked;
  const isNamed = target !== undefined && target.by !== 'address';
  if (isNamed && ![...names.keys()].some((key) => targetMatcher(target, names)(undefined, key)))
    return reportNothingFound(asked, options);
  const { client, real, states } = options;
  const isNarrow =
    asked.target !== undefined || client !== undefined || real !== undefined || states.length > 0;
  process.stderr.write(isNarrow ? 'There is no such connection.\n' : 'There are no connections.\n');
  return target === undefined ? 0 : 1;
};
