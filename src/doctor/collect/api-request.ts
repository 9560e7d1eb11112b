import { once } from 'node:events';
import {
  request as httpRequest,
  type ClientRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
} from 'node:http';
import { request as httpsRequest } from 'node:https';
import { text } from 'node:stream/consumers';
import { BaseError } from '../../base/errors.js';
import { isRecord } from '../../base/records.js';
import type { RequestCredentials } from '../../watch/api/api-client.js';

/** For a whole response. */
const requestTimeoutMilliseconds = 5_000;

export interface ApiRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: unknown;
  readonly timeoutMilliseconds?: number;
}

export interface ApiResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** Until the response began. */
  readonly milliseconds: number;
}

const openRequest = (
  server: URL,
  { headers, tls, agent }: RequestCredentials,
  { method, path, body, timeoutMilliseconds = requestTimeoutMilliseconds }: ApiRequest,
): ClientRequest => {
  const url = new URL(`${server.pathname.replace(/\/$/, '')}${path}`, server);
  const send = server.protocol === 'http:' ? httpRequest : httpsRequest;
  return send(url, {
    ...tls,
    agent: agent ?? false,
    method,
    headers: {
      accept: 'application/json',
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    signal: AbortSignal.timeout(timeoutMilliseconds),
  });
};

/** Sends one request, without retries or a pool, whatever its status: the daemon's ApiClient hides what the doctor checks. */
export const sendRequest = async (
  server: URL,
  credentials: RequestCredentials,
  apiRequest: ApiRequest,
): Promise<ApiResponse> => {
  const { body, timeoutMilliseconds = requestTimeoutMilliseconds } = apiRequest;
  const startedAt = performance.now();
  const request = openRequest(server, credentials, apiRequest);
  // An error after the response has begun is an error of the response too.
  request.on('error', () => {});
  request.end(body === undefined ? undefined : JSON.stringify(body));
  try {
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    const milliseconds = performance.now() - startedAt;
    const { statusCode = 0, headers } = response;
    return { status: statusCode, headers, body: await text(response), milliseconds };
  } catch (error) {
    const isTimeout = error instanceof Error && ['TimeoutError', 'AbortError'].includes(error.name);
    throw isTimeout ? new BaseError(`no response within ${timeoutMilliseconds / 1000} s`) : error;
  }
};

export const fieldsOf = (json: string): Readonly<Record<string, unknown>> => {
  const value: unknown = JSON.parse(json);
  return isRecord(value) ? value : {};
};

export const bodyOf = (response: ApiResponse): Readonly<Record<string, unknown>> => {
  if (response.status >= 200 && response.status < 300) return fieldsOf(response.body);
  throw new BaseError(`the API server answered ${response.status}`);
};

export type SendRequest = (request: ApiRequest) => Promise<ApiResponse>;
