import type { Server } from 'node:http';
import { once } from 'node:events';
import { BaseError, codeOf } from '../../base/errors.js';
import { parseIp, type IpAddress } from '../../base/ip.js';

/** An address to listen at. */
export interface ListenAddress {
  readonly host: IpAddress;
  readonly port: number;
  /** For `::`: do not listen on IPv4. */
  readonly ipv6Only: boolean;
}

const remedies: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is in use by another program (ss -lntp shows which)',
  EADDRNOTAVAIL: 'this machine does not have the address',
  EACCES: 'it may not: ports below 1024 need the capability NET_BIND_SERVICE',
  EAFNOSUPPORT: 'this machine does not have the address family',
};

const addressText = ({ host, port }: Pick<ListenAddress, 'host' | 'port'>): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;

/** Listening at an address failed; the message says why. */
export class ListenError extends BaseError {
  constructor(
    address: Pick<ListenAddress, 'host' | 'port'>,
    /** As `EADDRINUSE`. */
    readonly code: string,
  ) {
    super(`cannot listen at ${addressText(address)}: ${remedies[code] ?? 'the kernel refuses it'} (${code})`);
  }
}

/** Resolves when the server accepts connections; rejects with a ListenError. */
export const listen = async (server: Server, { host, port, ipv6Only }: ListenAddress): Promise<void> => {
  try {
    const listening = once(server, 'listening');
    server.listen({ host, port, ipv6Only });
    await listening;
  } catch (error) {
    throw new ListenError({ host, port }, codeOf(error) ?? String(error));
  }
};

/** Parses `0.0.0.0:10256` or `[::]:10256`, which the configuration has validated. */
export const parseBindAddress = (text: string): Pick<ListenAddress, 'host' | 'port'> => {
  const at = text.lastIndexOf(':');
  const host = parseIp(text.slice(0, at).replace(/^\[|\]$/g, ''));
  if (host === undefined) throw new BaseError(`${text} is no IP:port`);
  return { host, port: Number(text.slice(at + 1)) };
};

/** The errors of `::` on a machine without IPv6. */
const ipv6Unavailable: readonly string[] = ['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EINVAL'];

const unspecifiedAddresses = { IPv4: '0.0.0.0' as IpAddress, IPv6: '::' as IpAddress };

/** Listens as Go does: an unspecified address means both families, or IPv4 on a machine without IPv6. */
export const listenAtBindAddress = async (
  server: Server,
  { host, port }: Pick<ListenAddress, 'host' | 'port'>,
): Promise<void> => {
  if (host !== unspecifiedAddresses.IPv4 && host !== unspecifiedAddresses.IPv6)
    return listen(server, { host, port, ipv6Only: false });
  try {
    await listen(server, { host: unspecifiedAddresses.IPv6, port, ipv6Only: false });
  } catch (error) {
    if (!(error instanceof ListenError)) throw error;
    if (!ipv6Unavailable.includes(error.code)) throw new ListenError({ host, port }, error.code);
    await listen(server, { host: unspecifiedAddresses.IPv4, port, ipv6Only: false });
  }
};

/** How long closing waits for the requests in progress. */
const closeTimeoutMilliseconds = 500;

/** Stops accepting connections; resolves when the last one is closed. */
export const closeServer = async (server: Server): Promise<void> => {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  const timer = setTimeout(() => server.closeAllConnections(), closeTimeoutMilliseconds);
  await closed;
  clearTimeout(timer);
};
