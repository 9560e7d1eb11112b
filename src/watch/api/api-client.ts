import type { RateLimiter } from '../../base/rate-limiter.js';
import {
  Agent as HttpAgent,
  request as httpRequest,
  type ClientRequest,
  type IncomingMessage,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { BaseError } from '../../base/errors.js';
import { readStatus, type Status } from '../objects/schemas.js';
import { Deadline, limitConnectTime } from './deadlines.js';
import { bodyFormat, jsonType, protobufType, type BodyFormat } from './body-format.js';

export type Headers = Readonly<Record<string, string>>;

/** TLS options of a server and of this client. */
export interface TlsMaterial {
  readonly ca?: string | Buffer | undefined;
  readonly cert?: string | Buffer | undefined;
  readonly key?: string | Buffer | undefined;
  readonly servername?: string | undefined;
  readonly rejectUnauthorized?: boolean | undefined;
}

/** Credentials of a request. */
export interface RequestCredentials {
  readonly headers: Headers;
  readonly tls: TlsMaterial;
  /** Set for requests through a proxy. */
  readonly agent?: HttpAgent | undefined;
}

/** The address of the API server and the credentials for it. */
export interface CredentialSource {
  readonly server: URL;
  /** Called for each request, because files may have been renewed. */
  current(): Promise<RequestCredentials>;
  /** Called after the server rejected the credentials: cached tokens must be fetched again. */
  refresh(): Promise<void>;
}

/** The API server reported a failure, by its HTTP status or in an ERROR event. */
export class ApiError extends BaseError {
  readonly status: number;
  /** As `Expired`, `TooManyRequests`; '' without one. */
  readonly reason: string;
  readonly tooLargeVersion: boolean;
  readonly retryAfterSeconds: number | undefined;
  /** The object that does not exist, as `nodes/n1`; undefined for any other failure. */
  readonly missing: string | undefined;

  constructor(httpStatus: number, status: Status, retryAfter?: string) {
    super(status.message ?? `the API server answered ${httpStatus}`);
    this.status = status.code ?? httpStatus;
    this.reason = status.reason ?? '';
    this.tooLargeVersion =
      status.details?.causes?.some(({ reason }) => reason === 'ResourceVersionTooLarge') ?? false;
    const { kind, name } = status.details ?? {};
    this.missing = this.reason === 'NotFound' && kind && name ? `${kind}/${name}` : undefined;
    const seconds = Number(retryAfter ?? status.details?.retryAfterSeconds ?? NaN);
    this.retryAfterSeconds = Number.isFinite(seconds) && seconds >= 0 ? seconds : undefined;
  }
}

/** A response with a 2xx status. Iterate over its bytes at once. Leaving the loop closes the connection; the deadline ends it with an IdleTimeoutError. */
export interface ApiResponse extends AsyncIterable<Buffer> {
  /** The encoding of the body. */
  readonly format: BodyFormat;
  /** Sets the deadline to so many milliseconds from now. */
  setDeadline(milliseconds: number): void;
}

/** Called for each request when its response begins; must not throw. */
export type RequestObserver = (request: {
  readonly method: string;
  readonly host: string;
  /** The HTTP status; `<error>` without a response, as in client-go. */
  readonly code: string;
  /** Until the response began or the request failed. */
  readonly seconds: number;
}) => void;

export interface OpenOptions {
  readonly signal: AbortSignal;
  /** Time until the response begins, milliseconds; also the deadline of its body until `setDeadline`. */
  readonly milliseconds: number;
}

/** Method and body of a request that changes an object. */
export interface Change {
  readonly method: 'POST' | 'PATCH';
  readonly contentType: 'application/json' | 'application/merge-patch+json';
  readonly body: unknown;
}

/** A dead peer is detected after this and ten probes, one per second, even on a silent stream. */
const keepAliveMilliseconds = 5_000;

/** Protobuf costs both sides less than JSON. A proxy before the API server may know JSON only. */
const acceptProtobuf = `${protobufType}, ${jsonType}`;

const largestStatusBytes = 64 * 1024;

const fingerprint = ({ ca, cert, key, servername, rejectUnauthorized }: TlsMaterial): string =>
  JSON.stringify([ca?.toString(), cert?.toString(), key?.toString(), servername, rejectUnauthorized]);

/** The cause of a lost connection may have broken idle ones without notice. */
const closeIdleConnections = ({ freeSockets }: HttpAgent): void => {
  for (const socket of Object.values(freeSockets).flat()) socket?.destroy();
};

const toApiResponse = (response: IncomingMessage, deadline: Deadline): ApiResponse => ({
  format: bodyFormat(response.headers['content-type']),
  setDeadline: (milliseconds) => deadline.set(milliseconds),
  async *[Symbol.asyncIterator]() {
    try {
      for await (const chunk of response) yield chunk as Buffer;
    } catch (error) {
      throw deadline.explain(error);
    } finally {
      deadline.clear();
      response.destroy();
    }
  },
});

const statusOf = async (response: ApiResponse): Promise<Status> => {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    bytes += chunk.length;
    if (bytes > largestStatusBytes) break;
    chunks.push(chunk);
  }
  try {
    return readStatus(response.format.object(Buffer.concat(chunks)));
  } catch {
    // A load balancer may answer in HTML or without a body; the HTTP status is enough.
    return {};
  }
};

interface StartedResponse {
  readonly response: IncomingMessage;
  readonly deadline: Deadline;
}

export interface ApiClientOptions {
  /** Delays requests; without it they are sent at once. */
  readonly limit?: RateLimiter | undefined;
  readonly observer?: RequestObserver | undefined;
  /** Whether to ask for protobuf rather than JSON; the default. */
  readonly protobuf?: boolean | undefined;
}

/** Sends requests to one API server over a pool of persistent connections. */
export class ApiClient implements Disposable {
  #agent: HttpAgent | undefined;
  #fingerprint = '';

  constructor(
    private readonly credentials: CredentialSource,
    private readonly options: ApiClientOptions = {},
  ) {}

  /**
   * The response to a GET of a path with query. Rejected credentials are refreshed once. Throws ApiError for a failure status,
   * IdleTimeoutError, the abort reason, or the error of the connection.
   */
  open(path: string, options: OpenOptions): Promise<ApiResponse> {
    return this.#requestWithRefresh(path, undefined, options);
  }

  /**
   * Sends a change and discards the response body. The change must be idempotent: where a connection breaks, the server may get it
   * twice. Throws as `open`.
   */
  async change(path: string, change: Change, options: OpenOptions): Promise<void> {
    for await (const _chunk of await this.#requestWithRefresh(path, change, options));
  }

  [Symbol.dispose](): void {
    this.#agent?.destroy();
  }

  async #requestWithRefresh(
    path: string,
    change: Change | undefined,
    options: OpenOptions,
  ): Promise<ApiResponse> {
    try {
      return await this.#attempt(path, change, options);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 401) throw error;
      await this.credentials.refresh();
      return await this.#attempt(path, change, options);
    }
  }

  async #attempt(path: string, change: Change | undefined, options: OpenOptions): Promise<ApiResponse> {
    await this.options.limit?.acquire(options.signal);
    options.signal.throwIfAborted();
    const credentials = await this.credentials.current();
    options.signal.throwIfAborted();
    const { response, deadline } = await this.#observe(change, () =>
      this.#send(path, change, credentials, options),
    );
    const status = response.statusCode ?? 0;
    const apiResponse = toApiResponse(response, deadline);
    if (status >= 200 && status < 300) return apiResponse;
    throw new ApiError(status, await statusOf(apiResponse), response.headers['retry-after']);
  }

  async #observe(change: Change | undefined, send: () => Promise<StartedResponse>): Promise<StartedResponse> {
    let code = '<error>';
    const startedAt = performance.now();
    try {
      const started = await send();
      code = String(started.response.statusCode ?? 0);
      return started;
    } finally {
      const method = change?.method ?? 'GET';
      const seconds = (performance.now() - startedAt) / 1_000;
      this.options.observer?.({ method, host: this.credentials.server.host, code, seconds });
    }
  }

  async #send(
    path: string,
    change: Change | undefined,
    credentials: RequestCredentials,
    options: OpenOptions,
  ): Promise<StartedResponse> {
    const agent = credentials.agent ?? this.#pool(credentials.tls);
    const request = this.#startRequest(path, change, { agent, headers: credentials.headers, options });
    const deadline = new Deadline((reason) => request.destroy(reason));
    deadline.set(options.milliseconds);
    return new Promise((resolve, reject) => {
      let hasResponse = false;
      request.on('response', (response) => {
        hasResponse = true;
        resolve({ response, deadline });
      });
      request.on('error', (error: NodeJS.ErrnoException) => {
        // Once the response has begun, its reader gets the error.
        if (hasResponse) return;
        deadline.clear();
        // The server had closed a pooled connection before it read the request.
        const isStale = request.reusedSocket && error.code === 'ECONNRESET';
        closeIdleConnections(agent);
        if (isStale) resolve(this.#send(path, change, credentials, options));
        else reject(error);
      });
      request.end(change && JSON.stringify(change.body));
    });
  }

  #startRequest(
    path: string,
    change: Change | undefined,
    {
      agent,
      headers,
      options,
    }: {
      readonly agent: HttpAgent;
      readonly headers: RequestCredentials['headers'];
      readonly options: OpenOptions;
    },
  ): ClientRequest {
    const { server } = this.credentials;
    const url = new URL(`${server.pathname.replace(/\/$/, '')}${path}`, server);
    const send = server.protocol === 'http:' ? httpRequest : httpsRequest;
    const request = send(url, {
      agent,
      method: change?.method ?? 'GET',
      headers: {
        accept: this.options.protobuf === false ? jsonType : acceptProtobuf,
        ...(change && { 'content-type': change.contentType }),
        ...headers,
      },
      signal: options.signal,
    });
    request.on('socket', (socket) => {
      socket.setKeepAlive(true, keepAliveMilliseconds);
      limitConnectTime(socket, server, (reason) => request.destroy(reason));
    });
    return request;
  }

  /** Renewed certificates need new connections; streams on old connections continue until they end. */
  #pool(tls: TlsMaterial): HttpAgent {
    const currentFingerprint = fingerprint(tls);
    if (this.#agent !== undefined && this.#fingerprint === currentFingerprint) return this.#agent;
    const options = { keepAlive: true, keepAliveMsecs: keepAliveMilliseconds };
    this.#fingerprint = currentFingerprint;
    this.#agent =
      this.credentials.server.protocol === 'http:'
        ? new HttpAgent(options)
        : new HttpsAgent({ ...options, ...tls });
    return this.#agent;
  }
}
