import {
  families,
  familyOf,
  hostPrefixLength,
  type Cidr,
  type Family,
  type IpAddress,
} from '../../base/ip.js';
import type { EndpointSlice } from '../../model/endpoint.js';
import type { NodeFacts } from '../../model/node.js';
import type { PaceSettings } from '../../model/pace.js';
import type { Service, ServicePort } from '../../model/service.js';
import type { VipBinding } from '../../model/vip-binding.js';
import {
  virtualServerKey,
  type DesiredRealServer,
  type RealServerKey,
  type VirtualServerFlag,
  type VirtualServerIdentity,
  type VirtualServerKey,
  type DesiredVirtualServer,
} from '../../model/virtual-server.js';
import {
  clusterEndpoints,
  endpointsByPort,
  localEndpoints,
  type PortEndpoint,
  type PortEndpoints,
} from '../endpoints/endpoints.js';
import type { UnreadyEndpoints } from '../endpoints/former-endpoints.js';
import type { Fragment, Problem } from './fragment.js';
import {
  frontendFields,
  frontendsOf,
  nodePortFrontends,
  type Frontend,
  type FrontendContext,
} from './frontends.js';
import type { ElementKey, SetElement } from '../../nftables/declarations.js';
import type { LocalEndpointShortage } from '../endpoints/local-endpoint-shortages.js';
import { nodePortAddresses } from './node-port-addresses.js';
import {
  hairpinElements,
  healthCheckElement,
  sourceRangesOf,
  packetClassElement,
  sourceRangeElements,
  vipElement,
} from '../packet-rules/packet-elements.js';
import type { PacketClass } from '../packet-rules/packet-sets.js';
import { fullWeight } from '../pace/effective-weight.js';
import { withFallback } from './pace-check.js';
import { checkService, type CheckedService } from './service-check.js';
import { serviceHealthCheck, type ServiceHealthCheck } from './service-health-check.js';

export interface RenderSettings {
  /** The scheduler of Services that set none, as the kernel names it. */
  readonly scheduler: string;
  /** How weights change over time in Services that set nothing; not at all by default. */
  readonly pace?: PaceSettings;
  /** The networks of the node addresses that serve NodePorts; [] for all addresses. */
  readonly nodePortAddresses: readonly Cidr[];
  /** The feature gate AllowServiceExternalIPs. */
  readonly externalIpsAllowed: boolean;
  /** How VIPs become local; `address` by default. */
  readonly vipBinding?: VipBinding;
  /** The families that this node can serve; both by default. */
  readonly families?: readonly Family[];
}

/**
 * The input of rendering besides the Service and its slices. Includes results that depend only on the node
 * and the settings.
 */
export interface RenderContext extends FrontendContext {
  readonly node: NodeFacts;
  readonly settings: RenderSettings;
  readonly nodePortFrontends: Readonly<Record<Family, readonly Frontend[]>>;
}

/** Create a new context whenever a node fact or a setting changes, and render every Service again. */
export const renderContext = (node: NodeFacts, settings: RenderSettings): RenderContext => {
  const context: FrontendContext = {
    interfaceAddresses: new Map(node.addresses.map(({ address, interfaceName }) => [address, interfaceName])),
    reserved: node.reserved,
    nodePortAddresses: {
      IPv4: nodePortAddresses('IPv4', node, settings.nodePortAddresses),
      IPv6: nodePortAddresses('IPv6', node, settings.nodePortAddresses),
    },
    externalIpsAllowed: settings.externalIpsAllowed,
  };
  return {
    ...context,
    node,
    settings,
    nodePortFrontends: {
      IPv4: nodePortFrontends('IPv4', context),
      IPv6: nodePortFrontends('IPv6', context),
    },
  };
};

const toRealServer = ({ key, endpoint, port }: PortEndpoint, weight: number): DesiredRealServer => ({
  key,
  address: endpoint.address,
  port,
  weight,
  forwarding: 'masquerade',
  upperThreshold: 0,
  lowerThreshold: 0,
  endpoint,
});

type RealServers = ReadonlyMap<RealServerKey, DesiredRealServer>;

const toRealServers = (endpoints: PortEndpoints, pace: PaceSettings | undefined): RealServers => {
  const realServers = new Map<RealServerKey, DesiredRealServer>();
  const weight = fullWeight(1, pace);
  for (const endpoint of endpoints) realServers.set(endpoint.key, toRealServer(endpoint, weight));
  return realServers;
};

interface Backends {
  readonly internal: RealServers;
  readonly external: RealServers;
  /** The packet class of external frontends with real servers. */
  readonly externalClass: PacketClass;
  /** The policies `Local` without a local endpoint although other nodes have endpoints. */
  readonly policiesWithoutLocal: readonly LocalEndpointShortage['policy'][];
}

const noPolicies: Backends['policiesWithoutLocal'] = [];

/**
 * Without a local endpoint, internalTrafficPolicy Local serves nothing, and externalTrafficPolicy Local uses
 * the cluster's endpoints for requests of this node and its pods.
 */
const backendsOf = (service: CheckedService, endpoints: PortEndpoints, node: NodeFacts): Backends => {
  const cluster = toRealServers(clusterEndpoints(endpoints, node), service.pace);
  if (service.internalTrafficPolicy === 'Cluster' && service.externalTrafficPolicy === 'Cluster')
    return {
      internal: cluster,
      external: cluster,
      externalClass: 'external',
      policiesWithoutLocal: noPolicies,
    };
  const local = toRealServers(localEndpoints(endpoints, node), service.pace);
  return {
    internal: service.internalTrafficPolicy === 'Local' ? local : cluster,
    ...externalBackends(service, cluster, local),
    policiesWithoutLocal: local.size > 0 || cluster.size === 0 ? noPolicies : localPolicies(service),
  };
};

const localPolicies = (service: Service): Backends['policiesWithoutLocal'] => [
  ...(service.internalTrafficPolicy === 'Local' ? (['internal'] as const) : []),
  ...(service.externalTrafficPolicy === 'Local' ? (['external'] as const) : []),
];

const externalBackends = (
  service: Service,
  cluster: RealServers,
  local: RealServers,
): Pick<Backends, 'external' | 'externalClass'> => {
  if (service.externalTrafficPolicy === 'Cluster') return { external: cluster, externalClass: 'external' };
  return local.size > 0
    ? { external: local, externalClass: 'local' }
    : { external: cluster, externalClass: 'local-elsewhere' };
};

const portHashFlags: readonly VirtualServerFlag[] = ['mh-port'];
const noFlags: readonly VirtualServerFlag[] = [];

/** Like kube-proxy, hashes the port only with mh, not with sh. */
const flagsOf = (scheduler: string): readonly VirtualServerFlag[] =>
  scheduler === 'mh' ? portHashFlags : noFlags;

type ByAddress = Extract<VirtualServerIdentity, { by: 'address' }>;

const toDesiredVirtualServer = (
  service: CheckedService,
  identity: ByAddress,
  realServers: RealServers,
): DesiredVirtualServer<DesiredRealServer> => {
  const seconds = service.affinitySeconds;
  return {
    server: {
      key: virtualServerKey(identity),
      identity,
      scheduler: service.scheduler,
      persistence:
        seconds === undefined
          ? undefined
          : { seconds, prefixLength: hostPrefixLength(familyOf(identity.address)) },
      flags: withFallback(flagsOf(service.scheduler), service),
    },
    realServers,
    drainMilliseconds: service.drainMilliseconds,
    pace: service.pace,
  };
};

const noneUnready: UnreadyEndpoints = new Map();

/** Collects what one Service defines. Of two frontends with the same address and port, the first one wins. */
class FragmentBuilder {
  readonly #virtualServers = new Map<VirtualServerKey, DesiredVirtualServer<DesiredRealServer>>();
  readonly #addresses = new Set<IpAddress>();
  readonly #setElements = new Map<VirtualServerKey, readonly SetElement[]>();
  readonly #sharedElements = new Map<ElementKey, SetElement>();
  readonly #problems: Problem[] = [];
  readonly #shortages: LocalEndpointShortage[] = [];
  readonly #portsOnNode = new Set<number>();
  #unready = noneUnready;

  constructor(
    private readonly service: CheckedService,
    private readonly node: NodeFacts,
    private readonly vipBinding: VipBinding,
  ) {}

  addFrontend(
    frontend: Frontend,
    { protocol }: ServicePort,
    port: number,
    { internal, external, externalClass }: Backends,
  ): void {
    const isInternal = frontend.kind === 'cluster-ip';
    const realServers = isInternal ? internal : external;
    const identity = { by: 'address', protocol, address: frontend.address, port } as const;
    if (frontend.bind) {
      this.#addresses.add(frontend.address);
      this.addSharedElements([vipElement(frontend.address)]);
    } else this.#portsOnNode.add(port);
    const entry = toDesiredVirtualServer(this.service, identity, realServers);
    const { key } = entry.server;
    const earlier = this.#virtualServers.get(key);
    if (earlier !== undefined) return this.#reportDuplicate(earlier, entry, frontend);
    this.#virtualServers.set(key, entry);
    const withEndpoints = isInternal ? 'cluster-ip' : externalClass;
    this.#setElements.set(key, [
      packetClassElement(identity, realServers.size === 0 ? 'no-endpoints' : withEndpoints),
      ...sourceRangeElements(identity, sourceRangesOf(this.service, frontend), this.node, this.vipBinding),
    ]);
  }

  addLocalShortages(policies: Backends['policiesWithoutLocal'], family: Family): void {
    for (const policy of policies)
      if (!this.#shortages.some((known) => known.policy === policy && known.family === family))
        this.#shortages.push({ policy, family });
  }

  addHealthCheckPort(family: Family, port: number): void {
    this.#portsOnNode.add(port);
    this.addSharedElements([healthCheckElement(family, port)]);
  }

  addSharedElements(elements: readonly SetElement[]): void {
    for (const element of elements) this.#sharedElements.set(element.key, element);
  }

  addUnready(endpoints: PortEndpoints): void {
    const unready = endpoints.filter(({ endpoint }) => !endpoint.ready);
    if (unready.length === 0) return;
    this.#unready = new Map([
      ...this.#unready,
      ...unready.map(({ key, endpoint }) => [key, endpoint] as const),
    ]);
  }

  build(healthCheck: ServiceHealthCheck | undefined, problems: readonly Problem[]): Fragment {
    return {
      service: this.service.key,
      createdAt: this.service.createdAt,
      virtualServers: this.#virtualServers,
      unreadyEndpoints: this.#unready,
      addresses: this.#addresses,
      setElements: this.#setElements,
      sharedElements: this.#sharedElements,
      portsOnNode: [
        ...new Set([...this.service.ports.flatMap(({ nodePort }) => nodePort ?? []), ...this.#portsOnNode]),
      ],
      adoptForeign: this.service.takesOverForeign,
      healthCheck,
      localShortages: this.#shortages,
      problems: [...problems, ...this.#problems],
    };
  }

  #reportDuplicate(
    earlier: DesiredVirtualServer<DesiredRealServer>,
    entry: DesiredVirtualServer<DesiredRealServer>,
    frontend: Frontend,
  ): void {
    if (earlier.realServers === entry.realServers) return;
    this.#problems.push({
      service: this.service.key,
      reason: 'DuplicateAddress',
      message: `${this.service.key}: ${frontendFields[frontend.kind]}: ${entry.server.key} is defined twice; the later definition is ignored`,
    });
  }
}

/**
 * What a Service with its slices defines for this node, independent of the order of the input. Never throws.
 */
export const render = (
  service: Service,
  slices: readonly EndpointSlice[],
  context: RenderContext,
): Fragment => {
  const {
    checked,
    problems,
    slices: checkedSlices,
  } = checkService(service, slices, context.settings.scheduler, context.settings.pace);
  const endpointsOf = endpointsByPort(checkedSlices);
  const frontends = frontendsOf(checked, context);
  const builder = new FragmentBuilder(checked, context.node, context.settings.vipBinding ?? 'address');
  const served = context.settings.families ?? families;
  for (const family of served) {
    if (checked.clusterIps[family] === undefined) continue;
    if (checked.healthCheckNodePort !== undefined)
      builder.addHealthCheckPort(family, checked.healthCheckNodePort);
    for (const port of checked.ports) {
      const endpoints = endpointsOf(family, port);
      const backends = backendsOf(checked, endpoints, context.node);
      builder.addUnready(endpoints);
      builder.addLocalShortages(backends.policiesWithoutLocal, family);
      builder.addSharedElements(hairpinElements(endpoints, port.protocol, context.node));
      for (const frontend of frontends.byFamily[family])
        builder.addFrontend(frontend, port, port.port, backends);
      if (port.nodePort === undefined) continue;
      for (const frontend of context.nodePortFrontends[family])
        builder.addFrontend(frontend, port, port.nodePort, backends);
    }
  }
  const healthCheck = serviceHealthCheck(checked, served, endpointsOf, context.node);
  return builder.build(healthCheck, [...problems, ...frontends.problems]);
};
