import type { Drains } from '../../apply/drain/drains.js';
import type { EngineState } from '../../apply/state/engine-state.js';
import type { Endpoint } from '../../model/endpoint.js';
import type { NodeFacts } from '../../model/node.js';
import type { Service, ServiceKey } from '../../model/service.js';
import type {
  DesiredRealServer,
  RealServer,
  RealServerKey,
  VirtualServerKey,
  DesiredVirtualServer,
} from '../../model/virtual-server.js';
import type {
  FrontendKind,
  OrphanedResponse,
  RealServerDescription,
  VirtualServerDescription,
} from '../../admin-api/responses.js';
import type { DrainResponse, PaceResponse } from '../../admin-api/real-server-state.js';
import type { ForeignVirtualServers } from '../../plan/ownership/foreign-virtual-servers.js';
import type { DesiredState } from '../../plan/desired-state.js';
import { drainDeadline, type DrainSettings } from '../../plan/drain/drain-step.js';
import { percentOf } from '../../plan/pace/pace-step.js';
import type { EndpointWeight } from '../../plan/endpoints/endpoint-weight.js';
import { endpointsByPort } from '../../plan/endpoints/endpoints.js';
import { endpointSelections, type EndpointSelection } from '../../plan/endpoints/endpoint-selection.js';
import { servedPort, type ServedPort } from '../../plan/render/served-port.js';
import type { OrphanedVirtualServers } from '../../plan/drain/orphaned-virtual-servers.js';
import { familyOf, type Family } from '../../base/ip.js';
import type { ClusterStore } from '../../watch/store/cluster-store.js';

export interface VirtualServerDescriptionsParts {
  readonly store: Pick<ClusterStore, 'service' | 'slicesOf'>;
  readonly desired: DesiredState;
  readonly observed: Pick<EngineState, 'virtualServer' | 'paces'>;
  readonly orphaned: Pick<OrphanedVirtualServers, 'has' | 'formerOwner' | 'virtualServer' | 'virtualServers'>;
  readonly drains: Pick<Drains, 'draining'>;
  readonly drainSettings: () => DrainSettings;
  readonly foreignVirtualServers: Pick<ForeignVirtualServers, 'conflictAt'>;
  /** As of the last sync. */
  readonly node: () => NodeFacts;
  /** Undefined where all endpoints of the Service weigh the same. */
  readonly weightOf: (service: Service, endpoint: Endpoint) => EndpointWeight | undefined;
  /** The clock of `drains`, in milliseconds. */
  readonly now: () => number;
}

const frontendKinds: Readonly<Record<ServedPort['kind'], FrontendKind>> = {
  'cluster-ip': 'ClusterIP',
  'node-port': 'NodePort',
  'external-ip': 'ExternalIP',
  'load-balancer-ip': 'LoadBalancer',
  'in-cluster': 'InCluster',
};

/** The pod, node and zone of an endpoint, as far as the cluster knows them. */
export const endpointLocation = (
  endpoint: Endpoint | undefined,
  service: ServiceKey | undefined,
): Pick<RealServerDescription, 'pod' | 'node' | 'zone'> => {
  const { pod, nodeName, zone = '' } = endpoint ?? {};
  return {
    ...(pod === undefined || service === undefined ? {} : { pod: `${service.split('/', 1)[0]}/${pod}` }),
    ...(nodeName === undefined ? {} : { node: nodeName }),
    ...(zone === '' ? {} : { zone }),
  };
};

/** The traffic policy that applies to an address. */
export const trafficPolicyOf = (service: Service, { kind }: ServedPort): 'Cluster' | 'Local' =>
  kind === 'in-cluster'
    ? 'Cluster'
    : kind === 'cluster-ip'
      ? service.internalTrafficPolicy
      : service.externalTrafficPolicy;

/** The description of a virtual server; those of its real servers are made while they are read. */
export interface StreamedDescription {
  readonly own: Omit<VirtualServerDescription, 'realServers'>;
  readonly realServers: Iterable<readonly [string, RealServerDescription]>;
}

/** Describes virtual servers and real servers by the Services and endpoints behind them. */
export class VirtualServerDescriptions {
  constructor(private readonly parts: VirtualServerDescriptionsParts) {}

  /** Undefined if no Service that we know owns the virtual server. */
  of(key: VirtualServerKey): VirtualServerDescription | undefined {
    const entry = this.entryOf(key);
    return entry && { ...entry.own, realServers: Object.fromEntries(entry.realServers) };
  }

  /** The same with real servers that are described one by one: there may be thousands. */
  entryOf(key: VirtualServerKey): StreamedDescription | undefined {
    const { desired, store } = this.parts;
    const owner = desired.ownerOf(key);
    if (owner !== undefined) {
      const service = store.service(owner);
      return service && this.ofService(service, key);
    }
    const known = this.orphanedDescription(key);
    if (known === undefined) return undefined;
    const { realServers, ...own } = known;
    return { own, realServers: Object.entries(realServers) };
  }

  /** The orphaned virtual servers, or those of one Service. */
  *allOrphaned(
    service?: ServiceKey,
  ): Iterable<
    readonly [VirtualServerKey, VirtualServerDescription & { readonly lingering: OrphanedResponse }]
  > {
    const { orphaned } = this.parts;
    for (const key of orphaned.virtualServers()) {
      const known =
        service === undefined || orphaned.formerOwner(key) === service
          ? this.orphanedDescription(key)
          : undefined;
      if (known !== undefined) yield [key, known];
    }
  }

  /** The description of an orphaned virtual server; undefined for any other. */
  orphanedDescription(
    key: VirtualServerKey,
  ): (VirtualServerDescription & { readonly lingering: OrphanedResponse }) | undefined {
    const { desired, orphaned, drainSettings } = this.parts;
    const entry = orphaned.has(key) ? orphaned.virtualServer(key) : undefined;
    if (entry === undefined || desired.ownerOf(key) !== undefined) return undefined;
    const service = orphaned.formerOwner(key);
    const realServers: Record<string, RealServerDescription> = {};
    let span = { seconds: 0, secondsLeft: drainDeadline(entry, drainSettings()) / 1_000 };
    for (const [realServer] of this.#undesiredOf(key)) {
      const drained = this.#spanOf(key, realServer, entry);
      if (drained !== undefined && drained.seconds > span.seconds) span = drained;
      realServers[realServer] = {
        ...endpointLocation(desired.formerEndpoint(key, realServer), service),
        state: 'draining',
        ...(drained === undefined ? {} : { drain: { ...drained, reason: 'gone' } }),
      };
    }
    return { ...(service === undefined ? {} : { service }), lingering: span, realServers };
  }

  /** The description of a virtual server that the Service asks for, even if another Service owns it. */
  ofService(service: Service, key: VirtualServerKey): StreamedDescription | undefined {
    const entry = this.parts.desired.fragment(service.key)?.virtualServers.get(key);
    const served = entry && servedPort(service, entry.server.identity);
    if (entry === undefined || served === undefined) return undefined;
    return {
      own: {
        service: service.key,
        port: { name: served.port.name, port: served.port.port },
        frontend: frontendKinds[served.kind],
        ...(this.parts.foreignVirtualServers.conflictAt(key) === undefined
          ? {}
          : { contested: true as const }),
      },
      realServers: this.#realServersOf(service, served, key, entry.realServers),
    };
  }

  *#realServersOf(
    service: Service,
    served: ServedPort,
    key: VirtualServerKey,
    desiredServers: DesiredVirtualServer<DesiredRealServer>['realServers'],
  ): Iterable<readonly [RealServerKey, RealServerDescription]> {
    const isOwner = this.parts.desired.ownerOf(key) === service.key;
    for (const [realServer, { endpoint }] of desiredServers) {
      const weight = this.parts.weightOf(service, endpoint);
      yield [
        realServer,
        {
          ...endpointLocation(endpoint, service.key),
          state: endpoint.ready ? 'ready' : 'last-resort',
          ...(weight === undefined ? {} : { weightReason: weight.reason }),
          ...(isOwner ? this.#paceOf(key, realServer) : {}),
        },
      ];
    }
    if (isOwner) yield* this.#drainingOf(service, served, key);
  }

  #paceOf(key: VirtualServerKey, realServer: RealServerKey): { readonly pace?: PaceResponse } {
    const { observed, now } = this.parts;
    const pace = observed.paces.of(key)?.get(realServer);
    if (pace === undefined) return {};
    const seconds = Math.max(0, now() - pace.since) / 1_000;
    const secondsLeft = Math.max(0, pace.until - now()) / 1_000;
    return { pace: { kind: pace.kind, percent: percentOf(pace), seconds, secondsLeft } };
  }

  *#drainingOf(
    service: Service,
    served: ServedPort,
    key: VirtualServerKey,
  ): Iterable<readonly [RealServerKey, RealServerDescription]> {
    let verdicts: ReadonlyMap<RealServerKey, EndpointSelection> | undefined;
    for (const [realServer, { address }] of this.#undesiredOf(key)) {
      const endpoint = this.parts.desired.formerEndpoint(key, realServer);
      verdicts ??= this.#verdictsOf(service, served, familyOf(address));
      const drain = this.#drainOf(service, served, key, realServer, verdicts.get(realServer));
      yield [
        realServer,
        {
          ...endpointLocation(endpoint, service.key),
          state: 'draining',
          ...(drain === undefined ? {} : { drain }),
        },
      ];
    }
  }

  /** The real servers with weight 0 that no Service asks for. */
  *#undesiredOf(key: VirtualServerKey): Iterable<readonly [RealServerKey, RealServer]> {
    const { desired, observed } = this.parts;
    const desiredServers = desired.virtualServer(key)?.realServers;
    for (const [realServer, server] of observed.virtualServer(key)?.realServers ?? [])
      if (server.weight === 0 && desiredServers?.has(realServer) !== true) yield [realServer, server];
  }

  #spanOf(
    key: VirtualServerKey,
    realServer: RealServerKey,
    entry: DesiredVirtualServer | undefined,
  ): OrphanedResponse | undefined {
    const { drains, drainSettings, now } = this.parts;
    const since = drains.draining.get(key)?.get(realServer)?.since;
    if (since === undefined || entry === undefined) return undefined;
    const seconds = Math.max(0, now() - since) / 1_000;
    return {
      seconds,
      secondsLeft: Math.max(0, drainDeadline(entry, drainSettings()) / 1_000 - seconds),
    };
  }

  /** Which endpoints of the virtual server's family are used, and why. */
  #verdictsOf(
    service: Service,
    { port }: ServedPort,
    family: Family,
  ): ReadonlyMap<RealServerKey, EndpointSelection> {
    const { store, node } = this.parts;
    const endpoints = endpointsByPort(store.slicesOf(service.key))(family, port);
    return new Map(endpointSelections(endpoints, node()).map((verdicts) => [verdicts.of.key, verdicts]));
  }

  #drainOf(
    service: Service,
    served: ServedPort,
    key: VirtualServerKey,
    realServer: RealServerKey,
    verdicts: EndpointSelection | undefined,
  ): DrainResponse | undefined {
    const span = this.#spanOf(key, realServer, this.parts.desired.virtualServer(key));
    if (span === undefined) return undefined;
    const verdict = trafficPolicyOf(service, served) === 'Local' ? verdicts?.local : verdicts?.cluster;
    return { ...span, reason: verdict?.used === false ? verdict.reason : 'gone' };
  }
}
