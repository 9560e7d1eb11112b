import { open } from 'node:fs/promises';
import { BaseError, codeOf, InputError } from '../../base/errors.js';
import {
  cidrContains,
  formatSocketAddress,
  ipFromBytes,
  parseCidr,
  parseIp,
  type Cidr,
  type IpAddress,
} from '../../base/ip.js';
import { inSocketOrder } from '../../plan/output/sort-order.js';

/** A line of the kernel's table of IPVS connections. */
export interface Connection {
  /** As the kernel writes it: `TCP`, `UDP`, `SCTP`; `IP` for a persistence template of a fwmark. */
  readonly protocol: string;
  /** Client, virtual server and real server: `10.0.0.1:80`, `[fd00::1]:80`. */
  readonly client: string;
  readonly virtual: string;
  readonly real: string;
  /** For example `ESTABLISHED`; `NONE` for a persistence template. */
  readonly state: string;
  /** Seconds until it expires without further packets. */
  readonly expiresSeconds: number;
}

const addressOf = (text: string): IpAddress | undefined =>
  text.includes(':')
    ? parseIp(text)
    : /^[\dA-F]{8}$/.test(text)
      ? ipFromBytes(Buffer.from(text, 'hex'))
      : undefined;

const socketOf = (address = '', port = ''): string | undefined => {
  const parsed = addressOf(address);
  return parsed === undefined || !/^[\dA-F]{4}$/.test(port)
    ? undefined
    : formatSocketAddress(parsed, Number.parseInt(port, 16));
};

/** Reads a line of /proc/net/ip_vs_conn (ip_vs_conn_seq_show); undefined for titles and other lines. */
export const parseConnection = (line: string): Connection | undefined => {
  const [protocol = '', from, fromPort, to, toPort, destination, port, state = '', expires = ''] = line
    .trim()
    .split(/\s+/);
  const client = socketOf(from, fromPort);
  const virtual = socketOf(to, toPort);
  const real = socketOf(destination, port);
  if (client === undefined || virtual === undefined || real === undefined) return undefined;
  return { protocol, client, virtual, real, state, expiresSeconds: Number(expires) };
};

const file = '/proc/net/ip_vs_conn';

const withRemedy = (error: unknown): unknown => {
  const code = codeOf(error);
  if (code === 'ENOENT')
    return new BaseError(`${file}: no such file. IPVS is not loaded, or the kernel has no CONFIG_PROC_FS.`, {
      cause: error,
    });
  if (code === 'EACCES' || code === 'EPERM')
    return new BaseError(`${file}: permission denied. Run as root: sudo kube-ipvs dump --connections`);
  return error;
};

const addressIn = (socket: string): IpAddress =>
  socket.slice(0, socket.lastIndexOf(':')).replace(/^\[|\]$/g, '') as IpAddress;

const socketIn = (socket: string): readonly [IpAddress, number] => [
  addressIn(socket),
  Number(socket.slice(socket.lastIndexOf(':') + 1)),
];

/** Yields connections one at a time: there may be a million. */
export async function* readConnections(path = file): AsyncIterable<Connection> {
  const table = await open(path).catch((error: unknown) => {
    throw withRemedy(error);
  });
  try {
    for await (const line of table.readLines()) {
      const connection = parseConnection(line);
      if (connection !== undefined) yield connection;
    }
  } finally {
    await table.close();
  }
}

/** More connections than this are not sorted, which saves memory. */
const maximumSorted = 50_000;

const inOrder = (connections: readonly Connection[]): readonly Connection[] =>
  inSocketOrder(
    connections.toSorted((a, b) => Number(a.protocol > b.protocol) - Number(a.protocol < b.protocol)),
    ({ virtual, client, real }) => [virtual, client, real].map(socketIn),
  );

/** Sorts by virtual server, then client. Above the limit it calls `onLimitExceeded` and yields all in the kernel's order, by hash. */
export async function* sortedConnections(
  connections: AsyncIterable<Connection>,
  onLimitExceeded: (most: number) => void,
  most = maximumSorted,
): AsyncIterable<Connection> {
  let buffered: Connection[] | undefined = [];
  for await (const connection of connections) {
    if (buffered === undefined) {
      yield connection;
      continue;
    }
    buffered.push(connection);
    if (buffered.length <= most) continue;
    onLimitExceeded(most);
    yield* buffered;
    buffered = undefined;
  }
  if (buffered !== undefined) yield* inOrder(buffered);
}

export interface ConnectionFilter {
  readonly client: string | undefined;
  readonly real: string | undefined;
  readonly states: readonly string[];
  /** Matches keys such as `TCP 10.96.0.1:443`. */
  readonly matchesVirtualServer: (virtualServer: string) => boolean;
}

type Matcher = (socket: string) => boolean;

const within =
  (cidr: Cidr): Matcher =>
  (socket) =>
    cidrContains(cidr, addressIn(socket));

/** `10.0.0.1`, `10.0.0.0/8`, `10.0.0.1:80`. */
const socketMatcher = (option: string, text: string | undefined): Matcher => {
  if (text === undefined) return () => true;
  const address = parseIp(text.replace(/^\[(.*)\]$/, '$1'));
  if (address !== undefined) return (socket) => addressIn(socket) === address;
  const cidr = parseCidr(text);
  if (cidr !== undefined) return within(cidr);
  const [, host = '', port = ''] = /^(.*):(\d+)$/.exec(text) ?? [];
  const withPort = parseIp(host.replace(/^\[(.*)\]$/, '$1'));
  if (withPort === undefined)
    throw new InputError(
      `--${option}: ${JSON.stringify(text)} is not a valid address, network or address:port`,
    );
  return (socket) => socket === formatSocketAddress(withPort, Number(port));
};

/** Makes the filter. InputError for a filter that is not valid. */
export const connectionMatcher = ({
  client,
  real,
  states,
  matchesVirtualServer,
}: ConnectionFilter): ((connection: Connection) => boolean) => {
  const fromClient = socketMatcher('client', client);
  const toReal = socketMatcher('real', real);
  const selectedStates = new Set(states.map((state) => state.toUpperCase()));
  return (connection) =>
    (selectedStates.size === 0 || selectedStates.has(connection.state)) &&
    fromClient(connection.client) &&
    toReal(connection.real) &&
    matchesVirtualServer(`${connection.protocol} ${connection.virtual}`);
};
