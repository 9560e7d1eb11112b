import { request, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { BaseError, codeOf, messageOf } from '../../base/errors.js';
import { adminSocketPath, adminSocketVariable, defaultAdminSocket } from '../../config/admin-socket.js';
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
import type { DesiredResponse } from '../../admin-api/desired-response.js';
import { containerSocket } from './container-socket.js';

/** Nobody answers for the daemon; the message says why and what to do. */
export class DaemonUnavailableError extends BaseError {}

/** The daemon has answered that it cannot tell. */
export class AdminApiError extends BaseError {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** What there is to tell of a Service, or why there is nothing. */
type ServiceLookup =
  | { readonly report: ServiceReportResponse; readonly missing: undefined }
  | { readonly report: undefined; readonly missing: string };

/** A daemon that is alive answers at once; one that is stopped must not hold a person up. */
const responseTimeoutMilliseconds = 5_000;

const maximumResponseLength = 512 * 1024 * 1024;

const connectionErrorReasons: Readonly<Record<string, string>> = {
  ENOENT: 'no kube-ipvs runs here, or without an admin socket',
  ECONNREFUSED: 'the kube-ipvs that served it has ended',
  EACCES: 'only the user that kube-ipvs runs as, and root, may ask it',
  ENOTSOCK: 'it is no socket',
};

const connectionErrorReason = (error: unknown): string =>
  connectionErrorReasons[codeOf(error) ?? ''] ?? messageOf(error);

/** Errors that mean: no daemon serves this path. */
const noListenerCodes: readonly string[] = ['ENOENT', 'ECONNREFUSED'];

const readText = async (response: IncomingMessage): Promise<string> => {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > maximumResponseLength) throw new BaseError('the answer has no end');
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

/** Asks the daemon of this machine, which is trusted. */
export class AdminClient {
  /** `elsewhere`: another path to ask where no daemon serves this one. */
  constructor(
    private path: string,
    private readonly fallbackPath: () => string | undefined = () => undefined,
  ) {}

  status(): Promise<StatusResponse> {
    return this.#fetch('/v1/status', requiredStatusFields);
  }

  /** Of all Services, or of what is given. */
  virtualServers(
    filter: { readonly service?: string; readonly address?: string } = {},
  ): Promise<VirtualServersResponse> {
    return this.#fetch(`/v1/virtual-servers${queryString({ ...filter })}`, ['virtualServers']);
  }

  /** Where there is no such Service, what is told of it instead: what lingers of it. */
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

  lookUp(text: string): Promise<LookupResponse> {
    return this.#fetch(`/v1/lookup${queryString({ q: text })}`, ['matches']);
  }

  /** What begins so. */
  targets(prefix: string): Promise<TargetsResponse> {
    return this.#fetch(`/v1/targets${queryString({ start: prefix })}`, ['targets']);
  }

  plan(): Promise<PlanResponse> {
    return this.#fetch('/v1/plan', ['operations']);
  }

  desired(): Promise<DesiredResponse> {
    return this.#fetch('/v1/wanted', requiredDesiredFields);
  }

  /** Asks for a resync now; resolves before it has ended. */
  resync(): Promise<ResyncResponse> {
    return this.#fetch('/v1/resync', [], 'POST');
  }

  /** `needs`: what this program cannot do without, be it that an older daemon does not tell it. */
  async #fetch<Response extends { readonly version: number }>(
    path: string,
    requiredFields: readonly (keyof Response & string)[],
    method = 'GET',
  ): Promise<Response> {
    const response = await this.#send(path, method);
    const body = await this.#parse(response);
    const { statusCode = 0 } = response;
    const isUnknown = statusCode === 405 || (statusCode === 404 && !path.startsWith('/v1/services/'));
    if (isUnknown) throw this.#versionMismatch(`does not answer ${method} ${path.replace(/\?.*/, '')}`);
    const { error, version } = body;
    if (statusCode !== 200)
      throw new AdminApiError(statusCode, typeof error === 'string' ? error : 'an error');
    if (version !== adminVersion)
      throw this.#versionMismatch(
        `answers in version ${JSON.stringify(version)}, and this one reads version ${adminVersion}`,
      );
    const missing = requiredFields.find((name) => body[name] === undefined);
    if (missing !== undefined) throw this.#versionMismatch(`does not tell ${missing}`);
    return body as unknown as Response;
  }

  #versionMismatch(difference: string): DaemonUnavailableError {
    return new DaemonUnavailableError(
      `the kube-ipvs at ${this.path} is another than this one: it ${difference}; use the program of the daemon's own version`,
    );
  }

  async #parse(response: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
    let text: string;
    try {
      text = await readText(response);
    } catch (error) {
      throw new DaemonUnavailableError(
        `the kube-ipvs at ${this.path} broke off its answer: ${connectionErrorReason(error)}; try again`,
      );
    }
    try {
      const body: unknown = JSON.parse(text);
      if (typeof body === 'object' && body !== null) return body as Readonly<Record<string, unknown>>;
    } catch {
      if (response.statusCode === 500)
        throw new AdminApiError(500, `the kube-ipvs at ${this.path} could not answer; its log says why`);
    }
    throw new DaemonUnavailableError(
      `what answers at ${this.path} is no kube-ipvs (--admin-socket says where else)`,
    );
  }

  async #request(path: string, method: string): Promise<IncomingMessage> {
    const clientRequest = request({
      socketPath: this.path,
      path,
      method,
      timeout: responseTimeoutMilliseconds,
      agent: false,
    });
    clientRequest.on('timeout', () => clientRequest.destroy(new BaseError('it does not answer')));
    clientRequest.end();
    const [response] = (await once(clientRequest, 'response')) as [IncomingMessage];
    return response;
  }

  async #send(path: string, method: string): Promise<IncomingMessage> {
    try {
      return await this.#request(path, method);
    } catch (error) {
      const fallback = noListenerCodes.includes(codeOf(error) ?? '') ? this.fallbackPath() : undefined;
      if (fallback !== undefined && fallback !== this.path) {
        this.path = fallback;
        return this.#send(path, method);
      }
      throw new DaemonUnavailableError(
        `nobody answers at ${this.path}: ${connectionErrorReason(error)} (--admin-socket or $${adminSocketVariable} says where else)`,
      );
    }
  }
}

/** A client for the daemon of this machine; undefined where the socket is turned off. */
export const adminClient = (adminSocket: string | undefined): AdminClient | undefined => {
  const path = adminSocketPath(adminSocket, process.env);
  if (path === '') return undefined;
  return path === defaultAdminSocket ? new AdminClient(path, containerSocket) : new AdminClient(path);
};

/** What the daemon says, or why it says nothing: then the caller does without. */
export type DaemonQueryResult<Response> =
  | { readonly response: Response; readonly reason: undefined }
  | { readonly response: undefined; readonly reason: string };

/** Asks where a daemon answers. An error that is not for want of a daemon is the caller's. */
export const queryDaemon = async <Response>(
  adminSocket: string | undefined,
  query: (client: AdminClient) => Promise<Response>,
): Promise<DaemonQueryResult<Response>> => {
  const client = adminClient(adminSocket);
  if (client === undefined) return { response: undefined, reason: 'the admin socket is turned off' };
  try {
    return { response: await query(client), reason: undefined };
  } catch (error) {
    if (error instanceof DaemonUnavailableError) return { response: undefined, reason: error.message };
    throw error;
  }
};
