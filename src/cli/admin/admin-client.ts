import { request, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { BaseError, codeOf, messageOf } from '../../base/errors.js';
import { adminSocketPath, adminSocketVariable } from '../../config/environment.js';
import {
  adminVersion,
  type LookupResponse,
  type PlanResponse,
  type ResyncResponse,
  type ServiceReportResponse,
  type StatusResponse,
  type TargetsResponse,
  type VirtualServersResponse,
} from '../../admin-api/responses.js';
import type { LogResponse } from '../../admin-api/log-response.js';
import type { DesiredResponse } from '../../admin-api/desired-response.js';
import { containerSocket } from './container-socket.js';
import { namesOf, type InstanceOptions } from './instance.js';
import { completeMatch, completeSource } from './older-daemon.js';

/** The daemon cannot be reached or understood; the message says why and what to do. */
export class DaemonUnavailableError extends BaseError {}

/** The daemon answered with an error. */
export class AdminApiError extends BaseError {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** The report of a Service, or the daemon's message that there is none. */
type ServiceLookup =
  | { readonly report: ServiceReportResponse; readonly missing: undefined }
  | { readonly report: undefined; readonly missing: string };

/** A running daemon answers at once. */
const responseTimeoutMilliseconds = 5_000;

const maximumResponseLength = 512 * 1024 * 1024;

const connectionErrorReasons: Readonly<Record<string, string>> = {
  ENOENT: 'no such file. Is it running on this node, with an admin socket?',
  ECONNREFUSED: 'connection refused. Is it running on this node?',
  EACCES: 'permission denied. Run the command as root or as the user of kube-ipvs.',
  ENOTSOCK: 'not a socket.',
};

const connectionErrorReason = (error: unknown): string =>
  connectionErrorReasons[codeOf(error) ?? ''] ?? `${messageOf(error)}.`;

/** Errors of a path that no daemon serves. */
const noListenerCodes: readonly string[] = ['ENOENT', 'ECONNREFUSED'];

const readText = async (response: IncomingMessage): Promise<string> => {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > maximumResponseLength)
      throw new BaseError(`the response is longer than ${maximumResponseLength} bytes`);
  }
  return Buffer.concat(chunks).toString('utf8');
};

const queryString = (fields: Readonly<Record<string, string | undefined>>): string => {
  const given = Object.entries(fields).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return given.length === 0 ? '' : `?${new URLSearchParams(given).toString()}`;
};

const requiredStatusFields = [
  'source',
  'counts',
  'refused',
  'contested',
  'lostNodes',
  'drift',
  'packetRules',
  'ports',
  'configFiles',
] as const;
const requiredServiceFields = [
  'service',
  'node',
  'slices',
  'endpoints',
  'virtualServers',
  'lingering',
  'addresses',
  'elements',
  'problems',
  'events',
  'refused',
] as const;
const requiredDesiredFields = [
  'virtualServers',
  'dummyAddresses',
  'elements',
  'lingering',
  'drainSeconds',
  'excludeCidrs',
  'packetTables',
  'kernelSettings',
] as const;

/** Which records of the log. */
interface LogQuery {
  /** `namespace/name`. */
  readonly service?: string;
  /** RFC 3339. */
  readonly since?: string;
  /** Only records after the one with this id. */
  readonly after?: string;
  /** Wait so long for the first record, at most 25 seconds. */
  readonly waitSeconds?: number;
}

interface RequestDetails {
  readonly method?: string;
  /** How long the daemon may wait before it responds. */
  readonly waitSeconds?: number;
  readonly signal?: AbortSignal | undefined;
}

/** Queries the daemon on this node. Its responses are trusted. */
export class AdminClient {
  /** `fallbackPath`: another path to try if no daemon serves the first one. */
  constructor(
    private path: string,
    private readonly fallbackPath: () => string | undefined = () => undefined,
  ) {}

  async status(): Promise<StatusResponse> {
    const response = await this.#fetch<StatusResponse>('/v1/status', requiredStatusFields);
    return { ...response, source: completeSource(response.source) };
  }

  /** All virtual servers, or those of a Service or an address. */
  virtualServers(
    filter: { readonly service?: string; readonly address?: string } = {},
  ): Promise<VirtualServersResponse> {
    return this.#fetch(`/v1/virtual-servers${queryString({ ...filter })}`, ['virtualServers']);
  }

  /** If there is no such Service, the daemon's message, which mentions virtual servers that it left. */
  async service(namespace: string, name: string): Promise<ServiceLookup> {
    try {
      const path = `/v1/services/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`;
      return {
        report: await this.#fetch<ServiceReportResponse>(path, requiredServiceFields),
        missing: undefined,
      };
    } catch (error) {
      if (error instanceof AdminApiError && error.status === 404)
        return { report: undefined, missing: error.message };
      throw error;
    }
  }

  async lookUp(text: string): Promise<LookupResponse> {
    const response = await this.#fetch<LookupResponse>(`/v1/lookup${queryString({ q: text })}`, ['matches']);
    return { ...response, matches: response.matches.map(completeMatch) };
  }

  /** Targets with this prefix. */
  targets(prefix: string): Promise<TargetsResponse> {
    return this.#fetch(`/v1/targets${queryString({ start: prefix })}`, ['targets']);
  }

  plan(): Promise<PlanResponse> {
    return this.#fetch('/v1/plan', ['operations']);
  }

  desired(): Promise<DesiredResponse> {
    return this.#fetch('/v1/wanted', requiredDesiredFields);
  }

  /** The records of the log that the query selects. */
  log({ waitSeconds = 0, ...query }: LogQuery = {}, signal?: AbortSignal): Promise<LogResponse> {
    const fields = { ...query, wait: waitSeconds === 0 ? undefined : String(waitSeconds) };
    return this.#fetch(`/v1/log${queryString(fields)}`, ['records', 'lastId', 'keptSince'], {
      waitSeconds,
      signal,
    });
  }

  /** Requests a resync; resolves before it has finished. */
  resync(): Promise<ResyncResponse> {
    return this.#fetch('/v1/resync', [], { method: 'POST' });
  }

  /** `requiredFields`: fields that this program needs; an older daemon may lack them. */
  async #fetch<Response extends { readonly version: number }>(
    path: string,
    requiredFields: readonly (keyof Response & string)[],
    details: RequestDetails = {},
  ): Promise<Response> {
    const { method = 'GET' } = details;
    const response = await this.#send(path, details);
    const body = await this.#parse(response);
    const { statusCode = 0 } = response;
    const isUnknown = statusCode === 405 || (statusCode === 404 && !path.startsWith('/v1/services/'));
    if (isUnknown) throw this.#versionMismatch(`it does not support ${method} ${path.replace(/\?.*/, '')}`);
    const { error, version } = body;
    if (statusCode !== 200)
      throw new AdminApiError(statusCode, typeof error === 'string' ? error : `HTTP status ${statusCode}`);
    if (version !== adminVersion)
      throw this.#versionMismatch(
        `it uses API version ${JSON.stringify(version)}, this program version ${adminVersion}`,
      );
    const missing = requiredFields.find((name) => body[name] === undefined);
    if (missing !== undefined) throw this.#versionMismatch(`its response has no field ${missing}`);
    return body as unknown as Response;
  }

  #versionMismatch(difference: string): DaemonUnavailableError {
    return new DaemonUnavailableError(
      `the kube-ipvs daemon at ${this.path} has another version: ${difference}. Use the program of the daemon's version.`,
    );
  }

  async #parse(response: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
    let text: string;
    try {
      text = await readText(response);
    } catch (error) {
      throw new DaemonUnavailableError(
        `the kube-ipvs daemon at ${this.path} closed the connection: ${messageOf(error)}. Try again.`,
      );
    }
    try {
      const body: unknown = JSON.parse(text);
      if (typeof body === 'object' && body !== null) return body as Readonly<Record<string, unknown>>;
    } catch {
      if (response.statusCode === 500)
        throw new AdminApiError(500, `internal error of the kube-ipvs daemon at ${this.path}. See its log.`);
    }
    throw new DaemonUnavailableError(
      `the program at ${this.path} is not kube-ipvs. Set another path with --admin-socket.`,
    );
  }

  async #request(
    path: string,
    { method = 'GET', waitSeconds = 0, signal }: RequestDetails,
  ): Promise<IncomingMessage> {
    const clientRequest = request({
      socketPath: this.path,
      path,
      method,
      timeout: responseTimeoutMilliseconds + waitSeconds * 1_000,
      agent: false,
      signal,
    });
    clientRequest.on('timeout', () => clientRequest.destroy(new BaseError('timeout: no response')));
    clientRequest.end();
    const [response] = (await once(clientRequest, 'response')) as [IncomingMessage];
    return response;
  }

  async #send(path: string, details: RequestDetails): Promise<IncomingMessage> {
    try {
      return await this.#request(path, details);
    } catch (error) {
      const fallback = noListenerCodes.includes(codeOf(error) ?? '') ? this.fallbackPath() : undefined;
      if (fallback !== undefined && fallback !== this.path) {
        this.path = fallback;
        return this.#send(path, details);
      }
      throw new DaemonUnavailableError(
        `cannot connect to the kube-ipvs daemon at ${this.path}: ${connectionErrorReason(error)} ` +
          `Set another path with --admin-socket or $${adminSocketVariable}.`,
      );
    }
  }
}

export const adminSocketDisabled = 'the admin socket is turned off: its path is empty.';

/** A client of the daemon of the instance on this node; undefined where the admin socket is turned off. */
export const adminClient = (options: InstanceOptions): AdminClient | undefined => {
  const names = namesOf(options);
  const path = adminSocketPath(options.adminSocket, process.env, names);
  if (path === '') return undefined;
  return path === names.adminSocket
    ? new AdminClient(path, () => containerSocket(path))
    : new AdminClient(path);
};

/** The response of the daemon, or why there is none. */
export type DaemonQueryResult<Response> =
  | { readonly response: Response; readonly reason: undefined }
  | { readonly response: undefined; readonly reason: string };

/** Queries the daemon if there is one. Rejects for any error but an unavailable daemon. */
export const queryDaemon = async <Response>(
  options: InstanceOptions,
  query: (client: AdminClient) => Promise<Response>,
): Promise<DaemonQueryResult<Response>> => {
  const client = adminClient(options);
  if (client === undefined) return { response: undefined, reason: adminSocketDisabled };
  try {
    return { response: await query(client), reason: undefined };
  } catch (error) {
    if (error instanceof DaemonUnavailableError) return { response: undefined, reason: error.message };
    throw error;
  }
};
