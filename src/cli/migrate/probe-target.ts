import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { UsageError } from '../../config/parse-flags.js';
import type { Service } from '../../model/service.js';

/** What a probe sends requests to. */
export interface ProbeTarget {
  /** As the operator wrote it: `tcp://10.96.0.1:443` or `http://10.96.0.10/healthz`. */
  readonly url: string;
  /** `tcp`: a connection that opens is an answer; `http`: any response below status 500 is. */
  readonly kind: 'tcp' | 'http';
  /** An address or a name. */
  readonly host: string;
  readonly port: number;
}

const expected = 'expected tcp://HOST:PORT or http://HOST[:PORT]/PATH';

/** Reads the value of --probe. Throws a UsageError for any other text. */
export const parseProbeTarget = (text: string): ProbeTarget => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const kind = url?.protocol === 'tcp:' ? 'tcp' : url?.protocol === 'http:' ? 'http' : undefined;
  if (url === undefined || kind === undefined || url.hostname === '')
    throw new UsageError(`--probe: invalid target "${text}" (${expected})`);
  if (kind === 'tcp' && url.port === '') throw new UsageError(`--probe: ${text} has no port (${expected})`);
  return {
    url: text,
    kind,
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? 80 : Number(url.port),
  };
};

/** Enough to notice a change that breaks Services, and little load. */
const maximumDefaultTargets = 20;

/** A connection to the first TCP port of each Service, on each of its cluster addresses; at most 20, in the order of their names. */
export const defaultProbeTargets = (services: readonly Service[]): readonly ProbeTarget[] =>
  services
    .toSorted((one, other) => (one.key < other.key ? -1 : 1))
    .flatMap(({ clusterIps, ports }) => {
      const port = ports.find(({ protocol }) => protocol === 'TCP')?.port;
      if (port === undefined) return [];
      return Object.values(clusterIps).map(
        (host): ProbeTarget => ({
          url: `tcp://${isIP(host) === 6 ? `[${host}]` : host}:${port}`,
          kind: 'tcp',
          host,
          port,
        }),
      );
    })
    .slice(0, maximumDefaultTargets);

/** Source ports, both included. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** The kernel's range of ephemeral ports (ip_local_port_range). */
export const ephemeralPorts = (): PortRange => {
  const [first = 32_768, last = 60_999] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8')
    .trim()
    .split(/\s+/)
    .map(Number);
  return { first, last };
};

/**
 * The part of the range that only one target uses. IPVS remembers a connection by the client's address and port and the real server:
 * a second connection from the same port to another virtual server with the same real server would get the replies of the first.
 */
export const portsOf = ({ first, last }: PortRange, index: number, count: number): PortRange => {
  const size = Math.max(1, Math.floor((last - first + 1) / count));
  return { first: first + index * size, last: first + (index + 1) * size - 1 };
};
