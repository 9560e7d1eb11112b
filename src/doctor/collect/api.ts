import { X509Certificate } from 'node:crypto';
import { messageOf } from '../../base/errors.js';
import { parseIp } from '../../base/ip.js';
import { isRecord } from '../../base/records.js';
import type { Service } from '../../model/service.js';
import type { CredentialSource, RequestCredentials } from '../../watch/api/api-client.js';
import { serviceSelector } from '../../watch/api/selectors.js';
import { toService } from '../../watch/objects/parse-objects.js';
import type { Fact } from '../check-result.js';
import type { ApiFacts, Facts, Permission, UnreachableApi } from '../facts.js';
import { advise } from '../remedy.js';
import { bodyOf, fieldsOf, sendRequest, type ApiResponse, type SendRequest } from './api-request.js';
import { collectFact } from './collect-fact.js';
import { installedKubeProxy, kubeProxyObjects } from './kube-proxy.js';

/** A list of tens of thousands of Services takes longer than other responses. */
const listTimeoutMilliseconds = 20_000;

/** Every permission that the daemon uses; deploy/base/rbac.yaml grants them. */
export const requiredPermissions = [
  ...(['list', 'watch'] as const).flatMap((verb) => [
    { verb, group: '', resource: 'services' },
    { verb, group: '', resource: 'nodes' },
    { verb, group: 'discovery.k8s.io', resource: 'endpointslices' },
  ]),
  { verb: 'get', group: '', resource: 'nodes' },
  { verb: 'create', group: 'events.k8s.io', resource: 'events' },
  { verb: 'patch', group: 'events.k8s.io', resource: 'events' },
] as const;

/** The permissions that weights from pods need; the chart grants them with `rbac.readPods: true`. */
export const podPermissions = [
  { verb: 'list', group: '', resource: 'pods' },
  { verb: 'watch', group: '', resource: 'pods' },
] as const;

type RequiredPermission = (typeof requiredPermissions)[number] | (typeof podPermissions)[number];

const reviewPermission = async (send: SendRequest, required: RequiredPermission): Promise<Permission> => {
  const { verb, group, resource } = required;
  const body = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    spec: { resourceAttributes: { verb, group, resource } },
  };
  const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
  const { status } = bodyOf(await send({ method: 'POST', path, body }));
  const allowed = isRecord(status) && status['allowed'] === true;
  return { verb, resource: group === '' ? resource : `${resource}.${group}`, allowed };
};

const reviewPermissions = (
  send: SendRequest,
  all: readonly RequiredPermission[],
): Promise<Fact<readonly Permission[]>> =>
  collectFact(
    () => Promise.all(all.map((permission) => reviewPermission(send, permission))),
    'the permissions of kube-ipvs',
    advise(
      'List them with kubectl.',
      'kubectl auth can-i --list --as=system:serviceaccount:kube-system:kube-ipvs',
    ),
  );

const hasNode = async (send: SendRequest, name: string): Promise<boolean> => {
  const selector = encodeURIComponent(`metadata.name=${name}`);
  const { items } = bodyOf(await send({ method: 'GET', path: `/api/v1/nodes?fieldSelector=${selector}` }));
  return Array.isArray(items) && items.length > 0;
};

/** When a JSON Web Token expires, milliseconds since 1970; undefined for other tokens. */
const tokenEnd = (authorization: string): number | undefined => {
  const [, payload] = /^Bearer [^.]+\.([\w-]+)\.[\w-]*$/.exec(authorization) ?? [];
  if (payload === undefined) return undefined;
  try {
    const { exp } = fieldsOf(Buffer.from(payload, 'base64url').toString('utf8'));
    return typeof exp === 'number' ? exp * 1000 : undefined;
  } catch {
    return undefined; // not a JSON Web Token
  }
};

const credentialOf = ({ headers, tls }: RequestCredentials): ApiFacts['credential'] => {
  if (tls.cert !== undefined)
    return { kind: 'certificate', ends: Date.parse(new X509Certificate(tls.cert).validTo) };
  const ends = tokenEnd(headers['Authorization'] ?? '');
  return ends === undefined ? undefined : { kind: 'token', ends };
};

const clockAhead = ({ headers: { date } }: ApiResponse, now: number): number | undefined => {
  const serverTime = Date.parse(date ?? '');
  // The header has whole seconds.
  return Number.isNaN(serverTime) ? undefined : Math.round((now - serverTime - 500) / 1000);
};

export interface ApiOptions {
  readonly credentials: CredentialSource;
  readonly nodeName: string;
  /** Of the instance. */
  readonly serviceProxyName: string;
}

/** How the API server answers, and what it permits. Rejects only if the credential cannot be loaded. */
export const apiFacts = async ({ credentials, nodeName }: ApiOptions): Promise<ApiFacts | UnreachableApi> => {
  const server = credentials.server.origin;
  const requestCredentials = await credentials.current();
  const send: SendRequest = (request) => sendRequest(credentials.server, requestCredentials, request);
  try {
    const response = await send({ method: 'GET', path: '/version' });
    const now = Date.now();
    if (response.status === 401)
      return { reached: false, server, reason: 'it rejects the credential (401 Unauthorized)' };
    const version = response.status === 200 ? fieldsOf(response.body)['gitVersion'] : undefined;
    return {
      reached: true,
      server,
      version: typeof version === 'string' ? version : `status ${response.status}`,
      milliseconds: response.milliseconds,
      clockAhead: clockAhead(response, now),
      credential: credentialOf(requestCredentials),
      permissions: await reviewPermissions(send, requiredPermissions),
      podPermissions: await reviewPermissions(send, podPermissions),
      hasNode: await collectFact(
        () => hasNode(send, nodeName),
        'the Nodes',
        advise('Look for the Node with kubectl.', `kubectl get node ${nodeName}`),
      ),
      kubeProxy: await collectFact(
        () => installedKubeProxy(send, nodeName),
        `${kubeProxyObjects} of kube-proxy`,
        advise('Look for them with kubectl.', 'kubectl -n kube-system get daemonset,configmap kube-proxy'),
      ),
    };
  } catch (error) {
    return { reached: false, server, reason: messageOf(error) };
  }
};

/** The Services that a service proxy serves, from the cache of the API server. */
export const apiServices = async ({
  credentials,
  serviceProxyName,
}: ApiOptions): Promise<readonly Service[]> => {
  const selectors = new URLSearchParams({
    resourceVersion: '0',
    labelSelector: serviceSelector(serviceProxyName),
    fieldSelector: 'spec.clusterIP!=None',
  });
  const path = `/api/v1/services?${selectors.toString()}`;
  const response = await sendRequest(credentials.server, await credentials.current(), {
    method: 'GET',
    path,
    timeoutMilliseconds: listTimeoutMilliseconds,
  });
  const { items } = bodyOf(response);
  return (Array.isArray(items) ? items : []).flatMap((item) => toService(item, serviceProxyName).value ?? []);
};

export const apiServerAddress = ({ credentials }: ApiOptions): Facts['apiServerAddress'] =>
  parseIp(credentials.server.hostname.replace(/^\[|\]$/g, ''));
