import type { ServerResponse } from 'node:http';
import { encodingFor, type ApiEvent } from './api-encoding.js';
import type { Kind } from './api-objects.js';
import type { Fault } from './api-faults.js';

/** A Status object as kube-apiserver 1.36 writes it (see test/fixtures/api-recordings). */
export interface StatusFields {
  readonly code: number;
  readonly reason: string;
  readonly message: string;
  readonly details?: object;
}

export const statusObject = ({ code, reason, message, details }: StatusFields): object => ({
  kind: 'Status',
  apiVersion: 'v1',
  metadata: {},
  status: 'Failure',
  message,
  reason,
  ...(details && { details }),
  code,
});

export const unauthorized: StatusFields = { code: 401, reason: 'Unauthorized', message: 'Unauthorized' };

export const notFound: StatusFields = {
  code: 404,
  reason: 'NotFound',
  message: 'the server could not find the requested resource',
  details: {},
};

export const noSuchObject = (resource: string, name: string): StatusFields => ({
  code: 404,
  reason: 'NotFound',
  message: `${resource} "${name}" not found`,
  details: { name, kind: resource },
});

export const unsupportedMediaType: StatusFields = {
  code: 415,
  reason: 'UnsupportedMediaType',
  message: 'the body of the request was in an unknown format',
};

export const badContinue: StatusFields = {
  code: 400,
  reason: 'BadRequest',
  message: 'invalid continue token: continue key is not valid',
};

export const expiredContinue: StatusFields = {
  code: 410,
  reason: 'Expired',
  message:
    'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.',
};

export const tooOld = (version: number, compacted: number): StatusFields => ({
  code: 410,
  reason: 'Expired',
  message: `too old resource version: ${version} (${compacted})`,
});

export const tooLarge = (version: number, current: number): StatusFields => ({
  code: 504,
  reason: 'Timeout',
  message: `Timeout: Too large resource version: ${version}, current: ${current}`,
  details: {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: 1,
  },
});

/** How a server without WatchList refuses it. */
export const noWatchList: StatusFields = {
  code: 422,
  reason: 'Invalid',
  message:
    'ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled',
};

/** The answer that a `status` fault stands for. */
export const plannedStatus = (fault: Extract<Fault, { fault: 'status' }>): StatusFields => ({
  code: fault.status,
  reason: fault.reason ?? 'InternalError',
  message: fault.message ?? `planned failure ${fault.status}`,
  ...(fault.tooLargeVersion === true && { details: tooLarge(0, 0).details ?? {} }),
});

const common = { 'cache-control': 'no-cache, private' } as const;
const admitted = {
  'x-kubernetes-pf-flowschema-uid': '00000000-0000-4000-8000-00000000000a',
  'x-kubernetes-pf-prioritylevel-uid': '00000000-0000-4000-8000-00000000000b',
} as const;

let audits = 0;
const auditId = (): string => {
  audits += 1;
  return `00000000-0000-4000-9000-${String(audits).padStart(12, '0')}`;
};

export const beginResponse = (
  response: ServerResponse,
  code: number,
  headers: Readonly<Record<string, string>> = {},
): void => {
  response.writeHead(code, {
    'audit-id': auditId(),
    ...common,
    'content-type': encodingFor(response).contentType,
    ...(code === 401 ? {} : admitted),
    ...headers,
  });
};

/** A whole answer with its length, as the API server sends all but lists and watches. */
export const sendResponse = (
  response: ServerResponse,
  code: number,
  body: string | Buffer,
  headers: Readonly<Record<string, string>> = {},
): void => {
  beginResponse(response, code, { ...headers, 'content-length': String(Buffer.byteLength(body)) });
  response.end(body);
};

export const sendStatus = (
  response: ServerResponse,
  status: StatusFields,
  retryAfterSeconds?: number,
): void =>
  sendResponse(
    response,
    status.code,
    encodingFor(response).object(statusObject(status)),
    retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) },
  );

const emptyParts: Readonly<Record<Kind, object>> = {
  Service: { spec: {}, status: { loadBalancer: {} } },
  EndpointSlice: { addressType: '', endpoints: null, ports: null },
  Node: { spec: {}, status: { daemonEndpoints: { kubeletEndpoint: { Port: 0 } } } },
  Pod: { spec: { containers: null }, status: {} },
};

export const bookmark = (kind: Kind, version: number, endOfInitialEvents: boolean): ApiEvent => ({
  type: 'BOOKMARK',
  object: {
    kind,
    apiVersion: kind === 'EndpointSlice' ? 'discovery.k8s.io/v1' : 'v1',
    metadata: {
      resourceVersion: String(version),
      ...(endOfInitialEvents && { annotations: { 'k8s.io/initial-events-end': 'true' } }),
    },
    ...emptyParts[kind],
  },
});
