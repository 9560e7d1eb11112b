import type { Reconciler } from '../../apply/reconciler.js';
import type { EngineState } from '../../apply/state/engine-state.js';
import { parseIp, type IpAddress } from '../../base/ip.js';
import { serviceKey, type ServiceKey } from '../../model/service.js';
import { formatEntry, planEntry } from '../../model/plan-entry.js';
import type { VirtualServerKey } from '../../model/virtual-server.js';
import {
  adminVersion,
  type LookupResponse,
  type ResyncResponse,
  type TargetsResponse,
} from '../../admin-api/responses.js';
import { dirtyKeys, type DirtyKeys } from '../../plan/operations/diff.js';
import { phaseOperations } from '../../plan/operations/phases.js';
import type { HttpResponse, Handler } from '../serving/http-response.js';
import type { SyncLoop } from '../sync/sync-loop.js';
import type { ChangeLog } from '../history/change-log.js';
import { logPage } from './log-page.js';
import { lookUp, type LookupParts } from './lookup.js';
import type { VirtualServerDescriptions } from './virtual-server-descriptions.js';
import { statusResponse, type StatusParts } from './status-response.js';
import { serviceReport, type ServiceReportParts } from './service-report.js';
import { targetsWithPrefix } from './completion-targets.js';
import {
  errorResponse,
  listItems,
  listsResponse,
  objectMembers,
  objectChunks,
  streamResponse,
  valueResponse,
  plainMembers,
  type JsonMember,
} from './json-stream.js';
import { desiredResponse, desiredKeys, type DesiredResponseParts } from './desired-response.js';

export interface AdminParts extends DesiredResponseParts {
  readonly status: StatusParts;
  readonly serviceReport: ServiceReportParts;
  readonly lookup: LookupParts;
  readonly descriptions: VirtualServerDescriptions;
  readonly syncLoop: Pick<SyncLoop, 'resyncNow'>;
  readonly observed: EngineState;
  readonly reconciler: Pick<Reconciler, 'plan'>;
  readonly changeLog: Pick<ChangeLog, 'keptSince' | 'read' | 'waitForRecord'>;
}

interface AdminRequest {
  readonly segments: readonly string[];
  readonly query: URLSearchParams;
}

const keysOf = (
  { query }: AdminRequest,
  { desired, descriptions }: AdminParts,
): readonly VirtualServerKey[] => {
  const service = query.get('service');
  const orphaned = [...descriptions.allOrphaned(service === null ? undefined : (service as ServiceKey))];
  const serviceKeys =
    service === null
      ? desiredKeys(desired)
      : (desired.fragment(service as ServiceKey)?.virtualServers.keys() ?? []);
  return [...serviceKeys, ...orphaned.map(([key]) => key)];
};

const isAt = ({ desired, observed }: AdminParts, key: VirtualServerKey, address: IpAddress): boolean => {
  const identity = (desired.virtualServer(key) ?? observed.virtualServer(key))?.server.identity;
  return identity?.by === 'address' && identity.address === address;
};

function* virtualServerMembers(request: AdminRequest, parts: AdminParts): Iterable<JsonMember> {
  const { descriptions } = parts;
  const service = request.query.get('service');
  const address = parseIp(request.query.get('address') ?? '');
  for (const key of keysOf(request, parts)) {
    if (address !== undefined && !isAt(parts, key, address)) continue;
    const description = descriptions.entryOf(key);
    if (description !== undefined && (service === null || description.own.service === service))
      yield [
        key,
        objectChunks([
          ...plainMembers(description.own),
          ['realServers', objectMembers(description.realServers)],
        ]),
      ];
  }
}

const virtualServers = (request: AdminRequest, parts: AdminParts): HttpResponse => {
  const address = request.query.get('address');
  if (address !== null && parseIp(address) === undefined)
    return errorResponse(400, `address: ${JSON.stringify(address)} is not a valid IP address`);
  return streamResponse([
    ['version', adminVersion],
    ['virtualServers', objectChunks(virtualServerMembers(request, parts))],
  ]);
};

/** The error of a Service that the daemon does not serve. */
const missingServiceText = (service: ServiceKey, { descriptions }: AdminParts): string => {
  const orphaned = [...descriptions.allOrphaned(service)].map(
    ([
      key,
      {
        lingering: { secondsLeft },
      },
    ]) => `${key} (${Math.ceil(secondsLeft)} s left)`,
  );
  return orphaned.length === 0
    ? `there is no Service ${service} that this proxy serves`
    : `there is no Service ${service} any more that this proxy serves; for open connections there are still ${orphaned.join(', ')}`;
};

const serviceReportPage = (
  { segments: [, , namespace = '', name = ''] }: AdminRequest,
  parts: AdminParts,
): HttpResponse => {
  const service = serviceKey(namespace, name);
  const report = serviceReport(service, parts.serviceReport);
  return report ?? errorResponse(404, missingServiceText(service, parts));
};

const lookup = async ({ query }: AdminRequest, parts: AdminParts): Promise<HttpResponse> => {
  const text = query.get('q') ?? '';
  if (text === '') return errorResponse(400, 'q: missing search text');
  const matches = await lookUp(text, parts.lookup);
  return valueResponse({ version: adminVersion, query: text, matches } satisfies LookupResponse);
};

const targetsPage = async ({ query }: AdminRequest, parts: AdminParts): Promise<HttpResponse> => {
  const targets = await targetsWithPrefix(query.get('start') ?? '', parts.lookup.store);
  return valueResponse({ version: adminVersion, targets } satisfies TargetsResponse);
};

/** Keys that are planned for at a time. */
const sliceSize = 64;

function* slicesOf<Key>(keys: Iterable<Key>): Iterable<ReadonlySet<Key>> {
  const all = [...new Set(keys)];
  for (let at = 0; at < all.length; at += sliceSize) yield new Set(all.slice(at, at + sliceSize));
}

function* dirtyKeySlices({ desired, observed }: AdminParts): Iterable<DirtyKeys> {
  const desiredKeys = desired.keys();
  for (const elements of slicesOf([...desiredKeys.elements, ...observed.elementKeys()]))
    yield dirtyKeys({ elements });
  for (const servers of slicesOf([...desiredKeys.virtualServers, ...observed.virtualServerKeys()]))
    yield dirtyKeys({ virtualServers: servers });
  for (const addresses of slicesOf([...desiredKeys.addresses, ...observed.addresses()]))
    yield dirtyKeys({ addresses });
}

function* operationLines(parts: AdminParts): Iterable<string> {
  for (const slice of dirtyKeySlices(parts))
    for (const operation of parts.reconciler.plan(slice).flatMap(phaseOperations))
      yield formatEntry(planEntry(operation, parts.observed));
}

const plan = (_: AdminRequest, parts: AdminParts): HttpResponse =>
  streamResponse([
    ['version', adminVersion],
    ['operations', listItems(operationLines(parts))],
  ]);

const resyncPath = '/v1/resync';

const resyncPage = ({ syncLoop }: AdminParts): HttpResponse => {
  syncLoop.resyncNow();
  return valueResponse({ version: adminVersion, accepted: true } satisfies ResyncResponse);
};

type Page = (asked: AdminRequest, parts: AdminParts) => HttpResponse | Promise<HttpResponse>;

const pages: Readonly<Record<string, Page>> = {
  '/v1/status': (_, parts) => listsResponse(statusResponse(parts.status)),
  '/v1/virtual-servers': virtualServers,
  '/v1/lookup': lookup,
  '/v1/targets': targetsPage,
  '/v1/plan': plan,
  '/v1/log': ({ query }, { changeLog }) => logPage(query, changeLog),
  '/v1/wanted': (_, parts) => desiredResponse(parts),
};

const pageOf = (pathname: string, { segments }: AdminRequest): Page | undefined =>
  pages[pathname] ??
  (segments.length === 4 && segments[0] === 'v1' && segments[1] === 'services'
    ? serviceReportPage
    : undefined);

const parseRequest = (url: string): readonly [pathname: string, asked: AdminRequest] | undefined => {
  try {
    const { pathname, searchParams } = new URL(url, 'http://localhost');
    return [
      pathname,
      { segments: pathname.slice(1).split('/').map(decodeURIComponent), query: searchParams },
    ];
  } catch {
    return undefined;
  }
};

/** Answers every request on the admin socket: queries, and the request for a resync. */
export const adminHandler =
  (parts: AdminParts): Handler =>
  ({ method, url = '/' }) => {
    const request = parseRequest(url);
    if (method === 'POST' && request?.[0] === resyncPath) return resyncPage(parts);
    if (method !== 'GET') return errorResponse(405, `method not allowed: use GET, or POST ${resyncPath}`);
    if (request === undefined) return errorResponse(400, 'invalid path');
    const page = pageOf(...request);
    const known = [...Object.keys(pages), '/v1/services/NAMESPACE/NAME'].join(', ');
    return page === undefined ? errorResponse(404, `there are ${known}`) : page(request[1], parts);
  };
