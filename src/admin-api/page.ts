import type { StatusResponse } from './responses.js';

// What the daemon sends to the page in docs/page.md. It is no contract: both come from the same release.

/** A virtual server on the page. */
export interface PageServer {
  /** Stands for its key in later messages of the same stream. */
  readonly id: number;
  /** `TCP 10.96.0.1:443` */
  readonly key: string;
  /** `namespace/name`; absent if the virtual server belongs to no known Service. */
  readonly service?: string | undefined;
  /** The name or number of the Service's port. */
  readonly port?: string | undefined;
  /** `ClusterIP`, `NodePort` and so on. */
  readonly frontend?: string | undefined;
  readonly scheduler?: string | undefined;
  /** `orphaned`: no Service requests it any more. `contested`: another program created it. */
  readonly state?: 'orphaned' | 'contested' | undefined;
  readonly realServers: number;
  readonly draining: number;
}

/** The traffic of a virtual server, in the order of `loadFields`; -1: unknown. */
export type PageLoad = readonly number[];

/** Connections now; connections, bytes and packets per second, as the kernel estimates them. */
export const loadFields = [
  'active',
  'inactive',
  'connectionsPerSecond',
  'inBytesPerSecond',
  'outBytesPerSecond',
  'inPacketsPerSecond',
  'outPacketsPerSecond',
] as const;

/** Changes since the last chunk of the stream: the event `chunk`. */
export interface PageChunk {
  readonly servers: readonly PageServer[];
  /** The id of a virtual server and its load. */
  readonly loads: readonly (readonly [id: number, load: PageLoad])[];
  readonly removed: readonly number[];
}

export interface PageProblem {
  /** `namespace/name` */
  readonly service: string;
  readonly reason: string;
  readonly message: string;
}

/** A draining real server. */
export interface PageDrain {
  readonly virtualServer: string;
  readonly realServer: string;
  readonly service?: string | undefined;
  readonly pod?: string | undefined;
  readonly seconds: number;
  readonly secondsLeft: number;
  readonly reason: string;
}

/** One look at the node: the event `sample`, after the chunks that belong to it. */
export interface PageSample {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly intervalSeconds: number;
  readonly status: StatusResponse;
  /** The first 100. */
  readonly problems: readonly PageProblem[];
  /** The first 100. */
  readonly drains: readonly PageDrain[];
  /** Why the kernel's counters could not be read. */
  readonly error?: string | undefined;
}

/** A real server of the kernel, read just now. */
export interface PageRealServer {
  readonly key: string;
  readonly weight: number;
  readonly inactive: number;
  readonly active: number;
  readonly connectionsPerSecond: number;
  readonly inBytesPerSecond: number;
  readonly outBytesPerSecond: number;
}

/** `GET /web/real-servers?service=NAMESPACE/NAME`, by the key of the virtual server. */
export interface PageRealServersResponse {
  readonly version: 1;
  readonly virtualServers: Readonly<Record<string, readonly PageRealServer[]>>;
}
