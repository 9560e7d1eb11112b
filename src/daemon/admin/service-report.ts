import { elementDataText } from '../../nftables/table-text.js';
import { bootMilliseconds } from '../../base/boot-clock.js';
import type { EngineState } from '../../apply/state/engine-state.js';
import type { Reconciler } from '../../apply/reconciler.js';
import type { Endpoint, EndpointSlice } from '../../model/endpoint.js';
import { isBound } from '../../model/settings/vip-binding.js';
import type { NodeFacts } from '../../model/node.js';
import type { SetElement } from '../../nftables/declarations.js';
import { noAnnotations, type ServiceAnnotations } from '../../model/settings/service-annotations.js';
import type { Service, ServiceKey } from '../../model/service.js';
import { families } from '../../base/ip.js';
import type { EndpointResponse } from '../../admin-api/endpoint-response.js';
import {
  adminVersion,
  type ElementResponse,
  type EventResponse,
  type RefusedOperationResponse,
  type ServiceResponse,
  type ServiceReportResponse,
} from '../../admin-api/responses.js';
import type { WeightBy } from '../../model/settings/weight-by.js';
import type { EndpointWeight } from '../../plan/endpoints/endpoint-weight.js';
import { endpointsByPort } from '../../plan/endpoints/endpoints.js';
import { endpointSelections, type EndpointSelection } from '../../plan/endpoints/endpoint-selection.js';
import type { Fragment, Problem } from '../../plan/render/fragment.js';
import { inClusterServerOf } from '../../plan/packet-rules/packet-elements.js';
import { withEffectiveWeights } from '../../plan/pace/effective-weight.js';
import { isPacketClass } from '../../plan/packet-rules/packet-sets.js';
import { servedPort } from '../../plan/render/served-port.js';
import type { ClusterStore } from '../../watch/store/cluster-store.js';
import type { HttpResponse } from '../serving/http-response.js';
import type { RecentEvents } from '../events/recent-events.js';
import type { DesiredStateUpdater } from '../sync/desired-state-updater.js';
import {
  endpointLocation,
  trafficPolicyOf,
  type VirtualServerDescriptions,
} from './virtual-server-descriptions.js';
import { settingResponses } from './setting-responses.js';
import { refusedOperationResponses } from './status-response.js';
import {
  listItems,
  listChunks,
  objectMembers,
  objectChunks,
  streamResponse,
  virtualServerChunks,
  plainMembers,
  type JsonMember,
} from './json-stream.js';

export interface ServiceReportParts {
  readonly store: Pick<ClusterStore, 'service' | 'slicesOf'>;
  readonly desiredStateUpdater: Pick<DesiredStateUpdater, 'desired' | 'node' | 'weightBy' | 'endpointWeight'>;
  readonly observed: EngineState;
  readonly reconciler: Pick<Reconciler, 'failures'>;
  readonly descriptions: VirtualServerDescriptions;
  readonly events: Pick<RecentEvents, 'of'>;
  /** The settings of Services without the annotation, as they are written. */
  readonly serviceDefaults: () => ServiceAnnotations;
}

const maximumEndpoints = 5_000;

const portResponse = ({ name, protocol, port, nodePort }: Service['ports'][number]) => ({
  name,
  protocol,
  port,
  ...(nodePort === undefined ? {} : { nodePort }),
});

const serviceResponse = (
  service: Service,
  settings: ServiceResponse['settings'],
  scheduler: string | undefined,
  weightBy: WeightBy,
): ServiceResponse => ({
  name: service.key,
  type: service.type,
  createdAt: new Date(service.createdAt).toISOString(),
  clusterIps: Object.values(service.clusterIps),
  externalIps: service.externalIps,
  loadBalancerIps: service.loadBalancerIps,
  loadBalancerSourceRanges: service.loadBalancerSourceRanges.map(({ text }) => text),
  ports: service.ports.map(portResponse),
  internalTrafficPolicy: service.internalTrafficPolicy,
  externalTrafficPolicy: service.externalTrafficPolicy,
  ...(service.affinitySeconds === undefined ? {} : { affinitySeconds: service.affinitySeconds }),
  ...(scheduler === undefined ? {} : { scheduler }),
  ...(settings === undefined ? {} : { settings }),
  ...(weightBy === 'none' ? {} : { weightBy }),
  ...(service.healthCheckNodePort === undefined ? {} : { healthCheckNodePort: service.healthCheckNodePort }),
});

const hintsOf = ({ zoneHints, nodeHints }: Endpoint) => ({
  ...(zoneHints.length === 0 ? {} : { zoneHints }),
  ...(nodeHints.length === 0 ? {} : { nodeHints }),
});

const endpointResponse = (
  service: Service,
  { name, protocol }: Service['ports'][number],
  { of: { key, endpoint }, cluster, local }: EndpointSelection,
  weight: EndpointWeight | undefined,
): EndpointResponse => ({
  realServer: key,
  port: name,
  protocol,
  ...endpointLocation(endpoint, service.key),
  ready: endpoint.ready,
  serving: endpoint.serving,
  terminating: endpoint.terminating,
  ...hintsOf(endpoint),
  ...(weight === undefined ? {} : { weight: weight.weight, weightReason: weight.reason }),
  cluster,
  local,
});

/** The endpoints of a Service; those of a port are selected when the first of them is read. */
class EndpointList {
  readonly #service: Service;
  readonly #slices: readonly EndpointSlice[];
  readonly #node: NodeFacts;
  readonly #weightOf: (endpoint: Endpoint) => EndpointWeight | undefined;
  #count = 0;

  constructor(service: Service, { store, desiredStateUpdater }: ServiceReportParts) {
    this.#service = service;
    this.#slices = store.slicesOf(service.key);
    this.#node = desiredStateUpdater.node;
    this.#weightOf = (endpoint) => desiredStateUpdater.endpointWeight(service, endpoint);
  }

  *first(maximum: number): Iterable<EndpointResponse> {
    const endpointsOf = endpointsByPort(this.#slices);
    for (const port of this.#service.ports)
      for (const family of families) {
        for (const verdicts of endpointSelections(endpointsOf(family, port), this.#node)) {
          this.#count += 1;
          if (this.#count > maximum) continue;
          const weight = this.#weightOf(verdicts.of.endpoint);
          yield endpointResponse(this.#service, port, verdicts, weight);
        }
      }
  }

  /** How many endpoints `first` passed; written after them. */
  *count(): Iterable<string> {
    yield String(this.#count);
  }
}

function* virtualServerMembers(
  service: Service,
  fragment: Fragment | undefined,
  { descriptions, desiredStateUpdater, observed }: ServiceReportParts,
): Iterable<Iterable<string>> {
  for (const [key, entry] of fragment?.virtualServers ?? []) {
    const known = descriptions.ofService(service, key);
    const served = servedPort(service, entry.server.identity);
    if (known === undefined || served === undefined) continue;
    const isOwner = desiredStateUpdater.desired.ownerOf(key) === service.key;
    const kernel = observed.virtualServer(key);
    const elements = entry.setElements;
    const inCluster = elements.flatMap((element) => inClusterServerOf(element) ?? [])[0];
    yield objectChunks([
      ['key', key],
      ...plainMembers(known.own),
      ['realServers', objectMembers(known.realServers)],
      ['policy', trafficPolicyOf(service, served)],
      ...(isOwner
        ? [['wanted', virtualServerChunks(withEffectiveWeights(entry, observed.paces.of(key)))] as const]
        : []),
      ...(kernel === undefined ? [] : [['kernel', virtualServerChunks(kernel)] as const]),
      ...(inCluster === undefined ? [] : [['inCluster', inCluster] as const]),
      ['packetClass', elements.find(({ set }) => isPacketClass(set))?.set ?? ''],
    ]);
  }
}

const ownElementsOf = ({ virtualServers }: Fragment): readonly SetElement[] =>
  [...virtualServers.values()].flatMap(({ setElements }) => setElements);

const fieldText = (field: SetElement['fields'][number]): string => String(field);

function* elementResponses(fragment: Fragment | undefined, observed: EngineState): Iterable<ElementResponse> {
  if (fragment === undefined) return;
  for (const element of [...ownElementsOf(fragment), ...fragment.sharedElements.values()]) {
    const { family, set, fields, key } = element;
    yield {
      family,
      set,
      element: `${fields.map(fieldText).join(' . ')}${elementDataText(element)}`,
      fields,
      inKernel: observed.element(key) !== undefined,
    };
  }
}

const problemsOf = (service: ServiceKey, fragment: Fragment | undefined, parts: ServiceReportParts) => {
  const keys = [...(fragment?.virtualServers.keys() ?? [])];
  const clashes = keys.flatMap((key) => parts.desiredStateUpdater.desired.clashesAt(key));
  return [...(fragment?.problems ?? []), ...clashes.filter((clash) => clash.service === service)].map(
    ({ reason, message }: Problem) => ({ reason, message }),
  );
};

const eventResponses = (service: ServiceKey, { events }: ServiceReportParts): readonly EventResponse[] =>
  events.of(service).map(({ at, event: { type, reason, note } }) => ({
    at: new Date(at).toISOString(),
    type,
    reason,
    note,
  }));

const refusedOperationsOf = (
  fragment: Fragment | undefined,
  { reconciler }: ServiceReportParts,
): readonly RefusedOperationResponse[] => {
  const keys = new Set<string>([
    ...(fragment?.virtualServers.keys() ?? []),
    ...(fragment?.addresses ?? []),
    ...(fragment === undefined ? [] : ownElementsOf(fragment).map(({ key }) => key)),
    ...(fragment?.sharedElements.keys() ?? []),
  ]);
  return [...refusedOperationResponses(reconciler.failures(), bootMilliseconds())].filter(({ what }) =>
    keys.has(what),
  );
};

function* addressResponses(
  fragment: Fragment | undefined,
  observed: EngineState,
): Iterable<ServiceReportResponse['addresses'][number]> {
  for (const address of fragment?.addresses ?? []) yield { address, bound: isBound(observed, address) };
}

/** The report about a Service, rendered while the client reads it; undefined if there is no such Service. */
export const serviceReport = (key: ServiceKey, parts: ServiceReportParts): HttpResponse | undefined => {
  const { store, desiredStateUpdater, observed, descriptions } = parts;
  const service = store.service(key);
  if (service === undefined) return undefined;
  const fragment = desiredStateUpdater.desired.fragment(key);
  const valid = fragment?.validAnnotations ?? noAnnotations;
  const settings = settingResponses(service.annotations, valid, parts.serviceDefaults());
  const endpoints = new EndpointList(service, parts);
  const { name, zone } = desiredStateUpdater.node;
  const members = {
    version: adminVersion,
    service: [
      JSON.stringify(
        serviceResponse(service, settings, valid.scheduler, desiredStateUpdater.weightBy(service)),
      ),
    ],
    node: [JSON.stringify({ name, ...(zone === '' ? {} : { zone }) })],
    slices: listItems(store.slicesOf(key).map((slice) => slice.key)),
    endpoints: listItems(endpoints.first(maximumEndpoints)),
    endpointCount: endpoints.count(),
    virtualServers: listChunks(virtualServerMembers(service, fragment, parts)),
    lingering: objectMembers(descriptions.allOrphaned(key)),
    addresses: listItems(addressResponses(fragment, observed)),
    elements: listItems(elementResponses(fragment, observed)),
    ...(fragment?.healthCheck === undefined ? {} : { healthCheck: [JSON.stringify(fragment.healthCheck)] }),
    problems: listItems(problemsOf(key, fragment, parts)),
    events: listItems(eventResponses(key, parts)),
    refused: listItems(refusedOperationsOf(fragment, parts)),
  } satisfies Readonly<Record<Exclude<keyof ServiceReportResponse, 'healthCheck'>, JsonMember[1]>>;
  return streamResponse(Object.entries(members));
};
