import { bootMilliseconds } from '../../base/boot-clock.js';
import type { Observed } from '../../apply/observed.js';
import type { Reconciler } from '../../apply/reconciler.js';
import type { Endpoint, EndpointSlice } from '../../model/endpoint.js';
import type { NodeFacts } from '../../model/node.js';
import type { SetElement } from '../../model/nftables.js';
import type { Service, ServiceKey } from '../../model/service.js';
import { families } from '../../base/ip.js';
import {
  adminVersion,
  type ElementAnswer,
  type EndpointAnswer,
  type EventAnswer,
  type RefusalAnswer,
  type ServiceAnswer,
  type ServiceStoryAnswer,
} from '../../plan/admin-answers.js';
import { endpointsByPort } from '../../plan/endpoints.js';
import { endpointVerdicts, type EndpointVerdicts } from '../../plan/endpoint-verdicts.js';
import type { Fragment, Problem } from '../../plan/fragment.js';
import { isPacketClass } from '../../plan/packet-table.js';
import { servedPort } from '../../plan/served-port.js';
import type { ClusterStore } from '../../watch/cluster-store.js';
import type { Answer } from '../serving/answer.js';
import type { RecentEvents } from '../events/recent-events.js';
import type { WantedState } from '../wanted-state.js';
import { placeOf, policyOf, type Names } from './names.js';
import { refusalAnswers } from './status.js';
import {
  listItems,
  listTexts,
  objectMembers,
  objectTexts,
  streamAnswer,
  virtualServerTexts,
  wholeMembers,
  type Member,
} from './stream.js';

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

/** The endpoints of a Service, those of a port worked out when the first of them is asked for. */
class EndpointList {
  readonly #service: Service;
  readonly #slices: readonly EndpointSlice[];
  readonly #node: NodeFacts;
  #count = 0;

  constructor(service: Service, { store, wanted }: StoryParts) {
    this.#service = service;
    this.#slices = store.slicesOf(service.key);
    this.#node = wanted.node;
  }

  *first(most: number): Iterable<EndpointAnswer> {
    const endpointsOf = endpointsByPort(this.#slices);
    for (const port of this.#service.ports)
      for (const family of families) {
        for (const verdicts of endpointVerdicts(endpointsOf(family, port), this.#node)) {
          this.#count += 1;
          if (this.#count <= most) yield endpointAnswer(this.#service, port, verdicts);
        }
      }
  }

  /** How many they were; to be written behind them. */
  *count(): Iterable<string> {
    yield String(this.#count);
  }
}

function* servedTexts(
  service: Service,
  fragment: Fragment | undefined,
  { names, wanted, observed }: StoryParts,
): Iterable<Iterable<string>> {
  for (const [key, table] of fragment?.virtualServers ?? []) {
    const known = names.in(service, key);
    const served = servedPort(service, table.server.identity);
    if (known === undefined || served === undefined) continue;
    const has = wanted.desired.ownerOf(key) === service.key;
    const kernel = observed.virtualServer(key);
    yield objectTexts([
      ['key', key],
      ...wholeMembers(known.own),
      ['realServers', objectMembers(known.realServers)],
      ['policy', policyOf(service, served)],
      ...(has ? [['wanted', virtualServerTexts(table)] as const] : []),
      ...(kernel === undefined ? [] : [['kernel', virtualServerTexts(kernel)] as const]),
      ['packetClass', fragment?.packets.get(key)?.find(({ set }) => isPacketClass(set))?.set ?? ''],
    ]);
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

function* addressAnswers(
  fragment: Fragment | undefined,
  observed: Observed,
): Iterable<ServiceStoryAnswer['addresses'][number]> {
  for (const address of fragment?.addresses ?? []) yield { address, bound: observed.hasAddress(address) };
}

/** All about one Service, made as it is read; undefined where there is none. */
export const storyAnswer = (key: ServiceKey, parts: StoryParts): Answer | undefined => {
  const { store, wanted, observed, names } = parts;
  const service = store.service(key);
  if (service === undefined) return undefined;
  const fragment = wanted.desired.fragment(key);
  const endpoints = new EndpointList(service, parts);
  const { name, zone } = wanted.node;
  const members = {
    version: adminVersion,
    service: [JSON.stringify(serviceAnswer(service))],
    node: [JSON.stringify({ name, ...(zone === '' ? {} : { zone }) })],
    slices: listItems(store.slicesOf(key).map((slice) => slice.key)),
    endpoints: listItems(endpoints.first(mostEndpoints)),
    endpointCount: endpoints.count(),
    virtualServers: listTexts(servedTexts(service, fragment, parts)),
    lingering: objectMembers(names.allLingering(key)),
    addresses: listItems(addressAnswers(fragment, observed)),
    elements: listItems(elementAnswers(fragment, observed)),
    ...(fragment?.healthCheck === undefined ? {} : { healthCheck: [JSON.stringify(fragment.healthCheck)] }),
    problems: listItems(problemsOf(key, fragment, parts)),
    events: listItems(eventAnswers(key, parts)),
    refused: listItems(refusedOf(fragment, parts)),
  } satisfies Readonly<Record<Exclude<keyof ServiceStoryAnswer, 'healthCheck'>, Member[1]>>;
  return streamAnswer(Object.entries(members));
};
