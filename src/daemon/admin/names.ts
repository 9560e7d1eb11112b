import type { Drains } from '../../apply/drains.js';
import type { Observed } from '../../apply/observed.js';
import type { Endpoint } from '../../model/endpoint.js';
import type { NodeFacts } from '../../model/node.js';
import type { Service, ServiceKey } from '../../model/service.js';
import type { RealServerKey, VirtualServerKey } from '../../model/virtual-server.js';
import type {
  DrainAnswer,
  FrontendKind,
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
import { familyOf } from '../../base/ip.js';
import type { ClusterStore } from '../../watch/cluster-store.js';

export interface NamesParts {
  readonly store: Pick<ClusterStore, 'service' | 'slicesOf'>;
  readonly desired: Desired;
  readonly observed: Pick<Observed, 'virtualServer'>;
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
  service: ServiceKey,
): Pick<RealServerNames, 'pod' | 'node' | 'zone'> => {
  const { pod, nodeName, zone = '' } = endpoint ?? {};
  return {
    ...(pod === undefined ? {} : { pod: `${service.split('/', 1)[0]}/${pod}` }),
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

  /** Undefined where the virtual server is no Service's. */
  of(key: VirtualServerKey): VirtualServerNames | undefined {
    const { desired, store } = this.parts;
    const owner = desired.ownerOf(key);
    const service = owner && store.service(owner);
    return service && this.in(service, key);
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
    const { desired, observed } = this.parts;
    const wanted = desired.virtualServer(key)?.realServers;
    for (const [realServer, { weight, address }] of observed.virtualServer(key)?.realServers ?? [])
      if (weight === 0 && wanted?.has(realServer) !== true) {
        const endpoint = desired.formerEndpoint(key, realServer);
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

  #drainOf(
    service: Service,
    served: ServedPort,
    key: VirtualServerKey,
    realServer: RealServerKey,
    family: ReturnType<typeof familyOf>,
  ): DrainAnswer | undefined {
    const { desired, drains, drainSettings, store, node, now } = this.parts;
    const since = drains.draining.get(key)?.get(realServer)?.since;
    const table = desired.virtualServer(key);
    if (since === undefined || table === undefined) return undefined;
    const seconds = Math.max(0, now() - since) / 1_000;
    const endpoints = endpointsByPort(store.slicesOf(service.key))(family, served.port);
    const verdicts = endpointVerdicts(endpoints, node()).find(({ of }) => of.key === realServer);
    const verdict = policyOf(service, served) === 'Local' ? verdicts?.local : verdicts?.cluster;
    return {
      seconds,
      secondsLeft: Math.max(0, drainDeadline(table, drainSettings()) / 1_000 - seconds),
      reason: verdict?.used === false ? verdict.reason : 'gone',
    };
  }
}
