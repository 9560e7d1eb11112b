import type { Drains } from '../../apply/drains.js';
import type { Observed } from '../../apply/observed.js';
import type { Endpoint } from '../../model/endpoint.js';
import type { NodeFacts } from '../../model/node.js';
import type { Service, ServiceKey } from '../../model/service.js';
import type {
  EndpointServer,
  RealServer,
  RealServerKey,
  VirtualServerKey,
  WantedTable,
} from '../../model/virtual-server.js';
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
import { endpointVerdicts, type EndpointVerdicts } from '../../plan/endpoint-verdicts.js';
import type { Frontend } from '../../plan/frontends.js';
import { servedPort, type ServedPort } from '../../plan/served-port.js';
import type { Lingering } from '../../plan/lingering.js';
import { familyOf, type Family } from '../../base/ip.js';
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

/** The names of a virtual server, those of its real servers one by one, as they are asked for. */
export interface NamesEntry {
  readonly own: Omit<VirtualServerNames, 'realServers'>;
  readonly realServers: Iterable<readonly [string, RealServerNames]>;
}

/** Says whose virtual servers and real servers are. */
export class Names {
  constructor(private readonly parts: NamesParts) {}

  /** Undefined where the virtual server is nobody's that we know. */
  of(key: VirtualServerKey): VirtualServerNames | undefined {
    const entry = this.entryOf(key);
    return entry && { ...entry.own, realServers: Object.fromEntries(entry.realServers) };
  }

  /** The same, real servers one by one: there may be thousands. */
  entryOf(key: VirtualServerKey): NamesEntry | undefined {
    const { desired, store } = this.parts;
    const owner = desired.ownerOf(key);
    if (owner !== undefined) {
      const service = store.service(owner);
      return service && this.in(service, key);
    }
    const known = this.lingering(key);
    if (known === undefined) return undefined;
    const { realServers, ...own } = known;
    return { own, realServers: Object.entries(realServers) };
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
  in(service: Service, key: VirtualServerKey): NamesEntry | undefined {
    const table = this.parts.desired.fragment(service.key)?.virtualServers.get(key);
    const served = table && servedPort(service, table.server.identity);
    if (table === undefined || served === undefined) return undefined;
    return {
      own: {
        service: service.key,
        port: { name: served.port.name, port: served.port.port },
        frontend: frontendKinds[served.kind],
        ...(this.parts.contested.at(key) === undefined ? {} : { contested: true as const }),
      },
      realServers: this.#realServersIn(service, served, key, table.realServers),
    };
  }

  *#realServersIn(
    service: Service,
    served: ServedPort,
    key: VirtualServerKey,
    wanted: WantedTable<EndpointServer>['realServers'],
  ): Iterable<readonly [RealServerKey, RealServerNames]> {
    for (const [realServer, { endpoint }] of wanted)
      yield [
        realServer,
        { ...placeOf(endpoint, service.key), state: endpoint.ready ? 'ready' : 'last-resort' },
      ];
    if (this.parts.desired.ownerOf(key) === service.key) yield* this.#drainingOf(service, served, key);
  }

  *#drainingOf(
    service: Service,
    served: ServedPort,
    key: VirtualServerKey,
  ): Iterable<readonly [RealServerKey, RealServerNames]> {
    let verdicts: ReadonlyMap<RealServerKey, EndpointVerdicts> | undefined;
    for (const [realServer, { address }] of this.#unwantedOf(key)) {
      const endpoint = this.parts.desired.formerEndpoint(key, realServer);
      verdicts ??= this.#verdictsOf(service, served, familyOf(address));
      const drain = this.#drainOf(service, served, key, realServer, verdicts.get(realServer));
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

  /** What becomes of the endpoints behind a virtual server, all of which are of its family. */
  #verdictsOf(
    service: Service,
    { port }: ServedPort,
    family: Family,
  ): ReadonlyMap<RealServerKey, EndpointVerdicts> {
    const { store, node } = this.parts;
    const endpoints = endpointsByPort(store.slicesOf(service.key))(family, port);
    return new Map(endpointVerdicts(endpoints, node()).map((verdicts) => [verdicts.of.key, verdicts]));
  }

  #drainOf(
    service: Service,
    served: ServedPort,
    key: VirtualServerKey,
    realServer: RealServerKey,
    verdicts: EndpointVerdicts | undefined,
  ): DrainAnswer | undefined {
    const span = this.#spanOf(key, realServer, this.parts.desired.virtualServer(key));
    if (span === undefined) return undefined;
    const verdict = policyOf(service, served) === 'Local' ? verdicts?.local : verdicts?.cluster;
    return { ...span, reason: verdict?.used === false ? verdict.reason : 'gone' };
  }
}
