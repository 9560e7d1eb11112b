import { bootMilliseconds } from '../../base/boot-clock.js';
import type { Observed } from '../../apply/observed.js';
import type { Reconciler } from '../../apply/reconciler.js';
import type { Endpoint } from '../../model/endpoint.js';
import type { SetElement } from '../../model/nftables.js';
import type { Service, ServiceKey } from '../../model/service.js';
import { families } from '../../base/ip.js';
import {
  adminVersion,
  type ElementAnswer,
  type EndpointAnswer,
  type EventAnswer,
  type RefusalAnswer,
  type ServedAnswer,
  type ServiceAnswer,
  type ServiceStoryAnswer,
} from '../../plan/admin-answers.js';
import { endpointsByPort } from '../../plan/endpoints.js';
import { endpointVerdicts, type EndpointVerdicts } from '../../plan/endpoint-verdicts.js';
import type { Fragment, Problem } from '../../plan/fragment.js';
import { isPacketClass } from '../../plan/packet-table.js';
import { servedPort } from '../../plan/served-port.js';
import { virtualServerJson } from '../../plan/table.js';
import type { ClusterStore } from '../../watch/cluster-store.js';
import type { RecentEvents } from '../events/recent-events.js';
import type { WantedState } from '../wanted-state.js';
import { placeOf, policyOf, type Names } from './names.js';
import { refusalAnswers } from './status.js';

export interface StoryParts {
  readonly store: Pick<ClusterStore, 'service' | 'slicesOf'>;
  readonly wanted: Pick<WantedState, 'desired' | 'node'>;
  readonly observed: Observed;
  readonly reconciler: Pick<Reconciler, 'failures'>;
  readonly names: Names;
  readonly events: Pick<RecentEvents, 'of'>;
}

const mostEndpoints = 5_000;

const portAnswer = ({ name, protocol, port, nodePort }: Service['ports'][number]) => ({
  name,
  protocol,
  port,
  ...(nodePort === undefined ? {} : { nodePort }),
});

const serviceAnswer = (service: Service): ServiceAnswer => ({
  name: service.key,
  type: service.type,
  createdAt: new Date(service.createdAt).toISOString(),
  clusterIps: Object.values(service.clusterIps),
  externalIps: service.externalIps,
  loadBalancerIps: service.loadBalancerIps,
  loadBalancerSourceRanges: service.loadBalancerSourceRanges.map(({ text }) => text),
  ports: service.ports.map(portAnswer),
  internalTrafficPolicy: service.internalTrafficPolicy,
  externalTrafficPolicy: service.externalTrafficPolicy,
  ...(service.affinitySeconds === undefined ? {} : { affinitySeconds: service.affinitySeconds }),
  ...(service.scheduler === undefined ? {} : { scheduler: service.scheduler }),
  ...(service.healthCheckNodePort === undefined ? {} : { healthCheckNodePort: service.healthCheckNodePort }),
});

const hintsOf = ({ zoneHints, nodeHints }: Endpoint) => ({
  ...(zoneHints.length === 0 ? {} : { zoneHints }),
  ...(nodeHints.length === 0 ? {} : { nodeHints }),
});

const endpointAnswer = (
  service: Service,
  { name, protocol }: Service['ports'][number],
  { of: { key, endpoint }, cluster, local }: EndpointVerdicts,
): EndpointAnswer => ({
  realServer: key,
  port: name,
  protocol,
  ...placeOf(endpoint, service.key),
  ready: endpoint.ready,
  serving: endpoint.serving,
  terminating: endpoint.terminating,
  ...hintsOf(endpoint),
  cluster,
  local,
});

function* endpointAnswers(service: Service, { store, wanted }: StoryParts): Iterable<EndpointAnswer> {
  const endpointsOf = endpointsByPort(store.slicesOf(service.key));
  for (const port of service.ports)
    for (const family of families)
      for (const verdicts of endpointVerdicts(endpointsOf(family, port), wanted.node))
        yield endpointAnswer(service, port, verdicts);
}

function* servedAnswers(
  service: Service,
  fragment: Fragment | undefined,
  { names, wanted, observed }: StoryParts,
): Iterable<ServedAnswer> {
  for (const [key, table] of fragment?.virtualServers ?? []) {
    const known = names.in(service, key);
    const served = servedPort(service, table.server.identity);
    if (known === undefined || served === undefined) continue;
    const has = wanted.desired.ownerOf(key) === service.key;
    const kernel = observed.virtualServer(key);
    yield {
      key,
      ...known,
      policy: policyOf(service, served),
      ...(has ? { wanted: virtualServerJson(table) } : {}),
      ...(kernel === undefined ? {} : { kernel: virtualServerJson(kernel) }),
      packetClass: fragment?.packets.get(key)?.find(({ set }) => isPacketClass(set))?.set ?? '',
    };
  }
}

const fieldText = (field: SetElement['fields'][number]): string => String(field);

function* elementAnswers(fragment: Fragment | undefined, observed: Observed): Iterable<ElementAnswer> {
  if (fragment === undefined) return;
  for (const { family, set, fields, key, chain } of [
    ...[...fragment.packets.values()].flat(),
    ...fragment.elements.values(),
  ])
    yield {
      family,
      set,
      element: `${fields.map(fieldText).join(' . ')}${chain === undefined ? '' : ` : goto ${chain}`}`,
      inKernel: observed.element(key) !== undefined,
    };
}

const problemsOf = (service: ServiceKey, fragment: Fragment | undefined, parts: StoryParts) => {
  const keys = [...(fragment?.virtualServers.keys() ?? [])];
  const clashes = keys.flatMap((key) => parts.wanted.desired.clashesAt(key));
  return [...(fragment?.problems ?? []), ...clashes.filter((clash) => clash.service === service)].map(
    ({ reason, message }: Problem) => ({ reason, message }),
  );
};

const eventAnswers = (service: ServiceKey, { events }: StoryParts): readonly EventAnswer[] =>
  events.of(service).map(({ at, event: { type, reason, note } }) => ({
    at: new Date(at).toISOString(),
    type,
    reason,
    note,
  }));

const refusedOf = (fragment: Fragment | undefined, { reconciler }: StoryParts): readonly RefusalAnswer[] => {
  const asked = new Set<string>([
    ...(fragment?.virtualServers.keys() ?? []),
    ...(fragment?.addresses ?? []),
    ...[...(fragment?.packets.values() ?? [])].flat().map(({ key }) => key),
    ...(fragment?.elements.keys() ?? []),
  ]);
  return [...refusalAnswers(reconciler.failures(), bootMilliseconds())].filter(({ what }) => asked.has(what));
};

/** All about one Service; undefined where there is none. */
export const storyAnswer = (key: ServiceKey, parts: StoryParts): ServiceStoryAnswer | undefined => {
  const { store, wanted, observed } = parts;
  const service = store.service(key);
  if (service === undefined) return undefined;
  const fragment = wanted.desired.fragment(key);
  const endpoints = [...endpointAnswers(service, parts)];
  const { name, zone } = wanted.node;
  return {
    version: adminVersion,
    service: serviceAnswer(service),
    node: { name, ...(zone === '' ? {} : { zone }) },
    slices: store.slicesOf(key).map((slice) => slice.key),
    endpoints: endpoints.slice(0, mostEndpoints),
    endpointCount: endpoints.length,
    virtualServers: [...servedAnswers(service, fragment, parts)],
    lingering: Object.fromEntries(parts.names.allLingering(key)),
    addresses: [...(fragment?.addresses ?? [])].map((address) => ({
      address,
      bound: observed.hasAddress(address),
    })),
    elements: [...elementAnswers(fragment, observed)],
    ...(fragment?.healthCheck === undefined ? {} : { healthCheck: fragment.healthCheck }),
    problems: problemsOf(key, fragment, parts),
    events: eventAnswers(key, parts),
    refused: refusedOf(fragment, parts),
  };
};
