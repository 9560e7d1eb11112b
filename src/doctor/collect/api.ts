import { X509Certificate } from 'node:crypto';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { BaseError, messageOf } from '../../base/errors.js';
import { parseIp } from '../../base/ip.js';
import type { Service } from '../../model/service.js';
import type { CredentialSource, RequestCredentials } from '../../watch/api-client.js';
import { toService } from '../../watch/objects.js';
import type { ApiFacts, Facts, Right, UnreachedApi } from '../facts.js';
import { attempt } from './attempt.js';

/** For a whole answer; a doctor does not wait as a daemon does. */
const patienceMilliseconds = 5_000;
/** A list of tens of thousands of Services takes longer. */
const listMilliseconds = 20_000;

interface Question {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: unknown;
  readonly milliseconds?: number;
}

interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** Until the answer began. */
  readonly milliseconds: number;
}

/** Asks once: no retry, no pool, whatever the status. ApiClient, which the daemon has, hides just what is looked at here. */
const ask = (server: URL, { headers, tls, agent }: RequestCredentials, question: Question): Promise<Reply> =>
  new Promise((resolve, reject) => {
    const { method, path, body, milliseconds = patienceMilliseconds } = question;
    const url = new URL(`${server.pathname.replace(/\/$/, '')}${path}`, server);
    const began = performance.now();
    const send = server.protocol === 'http:' ? httpRequest : httpsRequest;
    const request = send(url, {
      ...tls,
      agent: agent ?? false,
      method,
      headers: {
        accept: 'application/json',
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      signal: AbortSignal.timeout(milliseconds),
    });
    request.on('response', (response) => {
      const waited = performance.now() - began;
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(pieces).toString('utf8'),
          milliseconds: waited,
        }),
      );
    });
    request.on('error', (error) =>
      reject(
        error.name === 'TimeoutError' || error.name === 'AbortError'
          ? new BaseError(`no answer within ${milliseconds / 1000} s`)
          : error,
      ),
    );
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const fieldsOf = (text: string): Readonly<Record<string, unknown>> => {
  const value: unknown = JSON.parse(text);
  return isRecord(value) ? value : {};
};

const fine = (reply: Reply): Readonly<Record<string, unknown>> => {
  if (reply.status >= 200 && reply.status < 300) return fieldsOf(reply.body);
  throw new BaseError(`the API server answered ${reply.status}`);
};

/** Every right that the daemon uses, as deploy/base/rbac.yaml grants them. */
export const neededRights = [
  ...(['list', 'watch'] as const).flatMap((verb) => [
    { verb, group: '', resource: 'services' },
    { verb, group: '', resource: 'nodes' },
    { verb, group: 'discovery.k8s.io', resource: 'endpointslices' },
  ]),
  { verb: 'get', group: '', resource: 'nodes' },
  { verb: 'create', group: 'events.k8s.io', resource: 'events' },
  { verb: 'patch', group: 'events.k8s.io', resource: 'events' },
] as const;

type Asking = (question: Question) => Promise<Reply>;

const review = async (asking: Asking, needed: (typeof neededRights)[number]): Promise<Right> => {
  const { verb, group, resource } = needed;
  const body = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    spec: { resourceAttributes: { verb, group, resource } },
  };
  const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
  const { status } = fine(await asking({ method: 'POST', path, body }));
  const allowed = isRecord(status) && status['allowed'] === true;
  return { verb, resource: group === '' ? resource : `${resource}.${group}`, allowed };
};

const hasNode = async (asking: Asking, name: string): Promise<boolean> => {
  const selector = encodeURIComponent(`metadata.name=${name}`);
  const { items } = fine(await asking({ method: 'GET', path: `/api/v1/nodes?fieldSelector=${selector}` }));
  return Array.isArray(items) && items.length > 0;
};

/** The payload of a JSON Web Token; the end of its life in seconds since 1970. */
const tokenEnd = (authorization: string): number | undefined => {
  const [, payload] = /^Bearer [^.]+\.([\w-]+)\.[\w-]*$/.exec(authorization) ?? [];
  if (payload === undefined) return undefined;
  try {
    const { exp } = fieldsOf(Buffer.from(payload, 'base64url').toString('utf8'));
    return typeof exp === 'number' ? exp * 1000 : undefined;
  } catch {
    return undefined; // no token of that kind
  }
};

const credentialOf = ({ headers, tls }: RequestCredentials): ApiFacts['credential'] => {
  if (tls.cert !== undefined)
    return { kind: 'certificate', ends: Date.parse(new X509Certificate(tls.cert).validTo) };
  const ends = tokenEnd(headers['Authorization'] ?? '');
  return ends === undefined ? undefined : { kind: 'token', ends };
};

const clockAhead = ({ headers: { date } }: Reply, now: number): number | undefined => {
  const theirs = Date.parse(date ?? '');
  // The header has whole seconds.
  return Number.isNaN(theirs) ? undefined : Math.round((now - theirs - 500) / 1000);
};

export interface ApiOptions {
  readonly credentials: CredentialSource;
  readonly nodeName: string;
}

/** How the API server answers, and what it lets us do. Rejects only where the credential cannot be had. */
export const apiFacts = async ({ credentials, nodeName }: ApiOptions): Promise<ApiFacts | UnreachedApi> => {
  const server = credentials.server.origin;
  const held = await credentials.current();
  const asking: Asking = (question) => ask(credentials.server, held, question);
  try {
    const reply = await asking({ method: 'GET', path: '/version' });
    const now = Date.now();
    if (reply.status === 401)
      return { reached: false, server, reason: 'it does not accept our credential (401 Unauthorized)' };
    const version = reply.status === 200 ? fieldsOf(reply.body)['gitVersion'] : undefined;
    return {
      reached: true,
      server,
      version: typeof version === 'string' ? version : `status ${reply.status}`,
      milliseconds: reply.milliseconds,
      clockAhead: clockAhead(reply, now),
      credential: credentialOf(held),
      rights: await attempt(
        () => Promise.all(neededRights.map((right) => review(asking, right))),
        'what the API server allows',
        'kubectl auth can-i --list --as=system:serviceaccount:kube-system:kube-ipvs',
      ),
      hasNode: await attempt(() => hasNode(asking, nodeName), 'the Nodes', `kubectl get node ${nodeName}`),
    };
  } catch (error) {
    return { reached: false, server, reason: messageOf(error) };
  }
};

/** The Services that a proxy serves, from the cache of the API server. */
export const apiServices = async ({ credentials }: ApiOptions): Promise<readonly Service[]> => {
  const selectors = new URLSearchParams({
    resourceVersion: '0',
    labelSelector: '!service.kubernetes.io/service-proxy-name',
    fieldSelector: 'spec.clusterIP!=None',
  });
  const path = `/api/v1/services?${selectors.toString()}`;
  const reply = await ask(credentials.server, await credentials.current(), {
    method: 'GET',
    path,
    milliseconds: listMilliseconds,
  });
  const { items } = fine(reply);
  return (Array.isArray(items) ? items : []).flatMap((item) => toService(item).value ?? []);
};

export const apiServerAddress = ({ credentials }: ApiOptions): Facts['apiServerAddress'] =>
  parseIp(credentials.server.hostname.replace(/^\[|\]$/g, ''));
