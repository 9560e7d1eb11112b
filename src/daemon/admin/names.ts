import type { Drains } from '../../apply/drains.js';
import type { Observed } from '../../apply/observed.js';
import type { Endpoint } from '../../model/endpoint.js';
import type { NodeFacts } from '../../model/node.js';
import type { Service, ServiceKey } from '../../model/service.js';
import type { RealServer, RealServerKey, VirtualServerKey, WantedTable } from '../../model/virtual-server.js';
import type {
  DrainAnswer,
  FrontendKind,
  LingeringAnswer,
  RealServerNames,
  VirtualServerNames,
} from '../../plan/admin-answers.js';
import type { Contested } from '../../plan/contested.js';
import type { Desired } from '../../plan/desired.js';
import { drainDeadline, type DrainSettings } from '../../plan/drain.js';
import { endpointsByPort } from '../../plan/endpoints.js';
import { endpointVerdicts } from '../../plan/endpoint-verdicts.js';
import type { Frontend } from '../../plan/frontends.js';
import { servedPort, type ServedPort } from '../../plan/served-port.js';
import type { Lingering } from '../../plan/lingering.js';
import { familyOf } from '../../base/ip.js';
import type { ClusterStore } from '../../watch/cluster-store.js';

export interface NamesParts {
  readonly store: Pick<ClusterStore, 'service' | 'slicesOf'>;
  readonly desired: Desired;
  readonly observed: Pick<Observed, 'virtualServer'>;
  readonly lingering: Pick<Lingering, 'has' | 'formerOwner' | 'virtualServer' | 'virtualServers'>;
  readonly drains: Pick<Drains, 'draining'>;
  readonly drainSettings: () => DrainSettings;
  readonly contested: Pick<Contested, 'at'>;
  /** As of the last sync. */
  readonly node: () => NodeFacts;
  /** Milliseconds of the clock of `drains`. */
  readonly now: () => number;
}

const frontendKinds: Readonly<Record<Frontend['kind'], FrontendKind>> = {
  'cluster-ip': 'ClusterIP',
  'node-port': 'NodePort',
  'external-ip': 'ExternalIP',
  'load-balancer-ip': 'LoadBalancer',
};

/** Where the thing is, as far as the cluster knows. */
export const placeOf = (
  endpoint: Endpoint | undefined,
  service: ServiceKey | undefined,
): Pick<RealServerNames, 'pod' | 'node' | 'zone'> => {
  const { pod, nodeName, zone = '' } = endpoint ?? {};
  return {
    ...(pod === undefined || service === undefined ? {} : { pod: `${service.split('/', 1)[0]}/${pod}` }),
    ...(nodeName === undefined ? {} : { node: nodeName }),
    ...(zone === '' ? {} : { zone }),
  };
};

/** The traffic policy that counts for an address. */
export const policyOf = (service: Service, { kind }: ServedPort): 'Cluster' | 'Local' =>
  kind === 'cluster-ip' ? service.internalTrafficPolicy : service.externalTrafficPolicy;

/** Says whose virtual servers and real servers are. */
export class Names {
  constructor(private readonly parts: NamesParts) {}

  /** Undefined where the virtual server is nobody's that we know. */
  of(key: VirtualServerKey): VirtualServerNames | undefined {
    const { desired, store } = this.parts;
    const owner = desired.ownerOf(key);
    if (owner === undefined) return this.lingering(key);
    const service = store.service(owner);
    return service && this.in(service, key);
  }

  /** What lingers, of the Service where one is given. */
  *allLingering(
    service?: ServiceKey,
  ): Iterable<readonly [VirtualServerKey, VirtualServerNames & { readonly lingering: LingeringAnswer }]> {
    const { lingering } = this.parts;
    for (const key of lingering.virtualServers()) {
      const known =
        service === undefined || lingering.formerOwner(key) === service ? this.lingering(key) : undefined;
      if (known !== undefined) yield [key, known];
    }
  }

  /** The names of a virtual server that lingers; undefined where it does not. */
  lingering(
    key: VirtualServerKey,
  ): (VirtualServerNames & { readonly lingering: LingeringAnswer }) | undefined {
    const { desired, lingering, drainSettings } = this.parts;
    const table = lingering.has(key) ? lingering.virtualServer(key) : undefined;
    if (table === undefined || desired.ownerOf(key) !== undefined) return undefined;
    const service = lingering.formerOwner(key);
    const realServers: Record<string, RealServerNames> = {};
    let span = { seconds: 0, secondsLeft: drainDeadline(table, drainSettings()) / 1_000 };
    for (const [realServer] of this.#unwantedOf(key)) {
      const drained = this.#spanOf(key, realServer, table);
      if (drained !== undefined && drained.seconds > span.seconds) span = drained;
      realServers[realServer] = {
        ...placeOf(desired.formerEndpoint(key, realServer), service),
        state: 'draining',
        ...(drained === undefined ? {} : { drain: { ...drained, reason: 'gone' } }),
      };
    }
    return { ...(service === undefined ? {} : { service }), lingering: span, realServers };
  }

  /** The same of a virtual server that the Service asks for, be it its or another's. */
  in(service: Service, key: VirtualServerKey): VirtualServerNames | undefined {
    const table = this.parts.desired.fragment(service.key)?.virtualServers.get(key);
    const served = table && servedPort(service, table.server.identity);
    if (table === undefined || served === undefined) return undefined;
    const realServers: Record<string, RealServerNames> = {};
    for (const [realServer, { endpoint }] of table.realServers)
      realServers[realServer] = {
        ...placeOf(endpoint, service.key),
        state: endpoint.ready ? 'ready' : 'last-resort',
      };
    if (this.parts.desired.ownerOf(key) === service.key)
      for (const [realServer, names] of this.#drainingOf(service, served, key))
        realServers[realServer] = names;
    return {
      service: service.key,
      port: { name: served.port.name, port: served.port.port },
      frontend: frontendKinds[served.kind],
      ...(this.parts.contested.at(key) === undefined ? {} : { contested: true as const }),
      realServers,
    };
  }

  *#drainingOf(
    service: Service,
    served: ServedPort,
    key: VirtualServerKey,
  ): Iterable<[RealServerKey, RealServerNames]> {
    for (const [realServer, { address }] of this.#unwantedOf(key)) {
      const endpoint = this.parts.desired.formerEndpoint(key, realServer);
      const drain = this.#drainOf(service, served, key, realServer, familyOf(address));
      yield [
        realServer,
        {
          ...placeOf(endpoint, service.key),
          state: 'draining',
          ...(drain === undefined ? {} : { drain }),
        },
      ];
    }
  }

  /** The real servers that get nothing new, and that no Service asks for. */
  *#unwantedOf(key: VirtualServerKey): Iterable<readonly [RealServerKey, RealServer]> {
    const { desired, observed } = this.parts;
    const wanted = desired.virtualServer(key)?.realServers;
    for (const [realServer, server] of observed.virtualServer(key)?.realServers ?? [])
      if (server.weight === 0 && wanted?.has(realServer) !== true) yield [realServer, server];
  }

  #spanOf(
    key: VirtualServerKey,
    realServer: RealServerKey,
    table: WantedTable | undefined,
  ): LingeringAnswer | undefined {
    const { drains, drainSettings, now } = this.parts;
    const since = drains.draining.get(key)?.get(realServer)?.since;
    if (since === undefined || table === undefined) return undefined;
    const seconds = Math.max(0, now() - since) / 1_000;
    return {
      seconds,
      secondsLeft: Math.max(0, drainDeadline(table, drainSettings()) / 1_000 - seconds),
    };
  }

  #drainOf(
    service: Service,
    served: ServedPort,
    key: VirtualServerKey,
    realServer: RealServerKey,
    family: ReturnType<typeof familyOf>,
  ): DrainAnswer | undefined {
    const { desired, store, node } = this.parts;
    const span = this.#spanOf(key, realServer, desired.virtualServer(key));
    if (span === undefined) return undefined;
    const endpoints = endpointsByPort(store.slicesOf(service.key))(family, served.port);
    const verdicts = endpointVerdicts(endpoints, node()).find(({ of }) => of.key === realServer);
    const verdict = policyOf(service, served) === 'Local' ? verdicts?.local : verdicts?.cluster;
    return { ...span, reason: verdict?.used === false ? verdict.reason : 'gone' };
  }
}
