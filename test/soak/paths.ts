import type { Position } from '../support/cluster-network.js';

/** A way to a Service that requests take all the time. */
export interface Path {
  readonly name: string;
  readonly url: string;
  /** Whether requests share a connection, or each has its own. */
  readonly kept: boolean;
  /** Requests under way at a time. */
  readonly lanes: number;
  /** Between a request's end and the next one. */
  readonly pauseMilliseconds: number;
  /** The client's ports, which no other path of the same position has. */
  readonly firstPort: number;
  readonly ports: number;
}

/** What became of a path's requests. */
export interface PathReport {
  readonly name: string;
  readonly requests: number;
  readonly connections: number;
  /** The longest that one request took, in milliseconds. */
  readonly slowest: number;
  /** The longest between the ends of two requests that succeeded, in milliseconds; pauses count. */
  readonly longestGap: number;
  readonly failures: readonly string[];
}

const lowestPort = 11_000;

/** Gives each path of a position ports of its own, between those of the daemon and the node ports. */
export const withPorts = (
  paths: readonly Omit<Path, 'firstPort' | 'ports'>[],
  portsEach: number,
): readonly Path[] =>
  paths.map((path, index) => ({ ...path, firstPort: lowestPort + index * portsEach, ports: portsEach }));

/** New connections alone, and more of them: what a pod resets that ends is not the proxy's doing. */
export const newPathsFrom = (position: Position, urls: Readonly<Record<string, string>>): readonly Path[] =>
  pathsFrom(position, urls)
    .filter(({ kept }) => !kept)
    .map((path) => ({ ...path, lanes: 2 }));

/** New and kept connections to each URL. */
export const pathsFrom = (position: Position, urls: Readonly<Record<string, string>>): readonly Path[] =>
  withPorts(
    Object.entries(urls).flatMap(([name, url]) => [
      { name: `${position} → ${name}, new`, url, kept: false, lanes: 1, pauseMilliseconds: 80 },
      { name: `${position} → ${name}, kept`, url, kept: true, lanes: 2, pauseMilliseconds: 80 },
    ]),
    4_700,
  );
