import { families, type Family, type IpAddress } from '../../base/ip.js';
import type { Protocol } from '../../base/protocol.js';
import type { EndpointSlice } from '../../model/endpoint.js';
import type { NodeFacts } from '../../model/node.js';
import { noAnnotations, type ServiceAnnotations } from '../../model/settings/service-annotations.js';
import type { Service, ServicePort } from '../../model/service.js';
import type { VipBinding } from '../../model/settings/vip-binding.js';
import {
  familyOfServer,
  virtualServerKey,
  type VirtualServerIdentity,
  type VirtualServerKey,
} from '../../model/virtual-server.js';
import { endpointWeight } from '../endpoints/endpoint-weight.js';
import {
  clusterEndpoints,
  endpointsByPort,
  localEndpoints,
  type PortEndpoints,
} from '../endpoints/endpoints.js';
import type { UnreadyEndpoints } from '../endpoints/former-endpoints.js';
import { KeyedValues } from '../../base/collections/keyed-values.js';
import type { DefinedVirtualServer, Fragment, Problem } from './fragment.js';
import { frontendFields, frontendsOf, type Frontend } from './frontends.js';
import type { ElementKey, SetElement } from '../../nftables/declarations.js';
import type { LocalEndpointShortage } from '../endpoints/local-endpoint-shortages.js';
import {
  firewallMarkElement,
  hairpinElements,
  healthCheckElement,
  inClusterElement,
  sourceRangesOf,
  packetClassElement,
  sourceRangeElements,
  vipElement,
} from '../packet-rules/packet-elements.js';
import type { PacketClass } from '../packet-rules/packet-sets.js';
import { withNeededFlags } from './effective-flags.js';
import { inClusterOf, InClusterServers } from './in-cluster-servers.js';
import { toRealServers, type RealServers, type RealServerSettings } from './real-servers.js';
import type { RenderContext } from './render-context.js';
import { checkService, type CheckedService, type ServiceCheckResult } from './service-check.js';
import { serviceHealthCheck, type ServiceHealthCheck } from './service-health-check.js';

const realServerSettingsOf = (
  { namespace, settings: { scheduler, pace, thresholds, weightBy } }: CheckedService,
  { weightFacts, start }: RenderContext,
): RealServerSettings => ({
  scheduler,
  pace,
  thresholds,
  start,
  weightOf:
    weightBy === 'none'
      ? undefined
      : ({ endpoint }) => endpointWeight(weightBy, endpoint, namespace, weightFacts)?.weight ?? 1,
});

interface Backends {
  readonly internal: RealServers;
  readonly external: RealServers;
  /** The packet class of external frontends with real servers. */
  readonly externalClass: PacketClass;
  /** Those of requests from the cluster to external frontends, where they may differ from `external`. */
  readonly inCluster?: RealServers | undefined;
  /** The policies `Local` without a local endpoint although other nodes have endpoints. */
  readonly policiesWithoutLocal: readonly LocalEndpointShortage['policy'][];
}

const noPolicies: Backends['policiesWithoutLocal'] = [];

/**
 * Without a local endpoint, internalTrafficPolicy Local serves nothing, and externalTrafficPolicy Local uses
 * the cluster's endpoints for requests of this node and its pods.
 */
const backendsOf = (
  service: Service,
  endpoints: PortEndpoints,
  node: NodeFacts,
  settings: RealServerSettings,
): Backends => {
  const cluster = toRealServers(clusterEndpoints(endpoints, node), settings);
  if (service.internalTrafficPolicy === 'Cluster' && service.externalTrafficPolicy === 'Cluster')
    return {
      internal: cluster,
      external: cluster,
      externalClass: 'external',
      policiesWithoutLocal: noPolicies,
    };
  const local = toRealServers(localEndpoints(endpoints, node), settings);
  return {
    internal: service.internalTrafficPolicy === 'Local' ? local : cluster,
    ...externalBackends(service, cluster, local),
    policiesWithoutLocal:
      local.byKey.size > 0 || cluster.byKey.size === 0 ? noPolicies : localPolicies(service),
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
): Pick<Backends, 'external' | 'externalClass' | 'inCluster'> => {
  if (service.externalTrafficPolicy === 'Cluster') return { external: cluster, externalClass: 'external' };
  return local.byKey.size > 0
    ? { external: local, externalClass: 'local', inCluster: inClusterOf(cluster, local) }
    : { external: cluster, externalClass: 'local-elsewhere' };
};

const toVirtualServer = (
  { settings }: CheckedService,
  identity: VirtualServerIdentity,
  protocol: Protocol,
  realServers: RealServers,
  setElements: readonly SetElement[],
): DefinedVirtualServer => {
  const { flagsOf, persistence, drainMilliseconds, pace } = settings;
  const key = virtualServerKey(identity);
  return {
    key,
    server: {
      key,
      identity,
      scheduler: realServers.scheduler,
      persistence: persistence[familyOfServer(identity)],
      flags: withNeededFlags(flagsOf(protocol), realServers.neededFlags),
    },
    realServers: realServers.byKey,
    drainMilliseconds,
    pace,
    setElements,
  };
};

const noneUnready: UnreadyEndpoints = new Map();

const none: readonly never[] = [];
/** Most Services have none: they share one list. */
const orNone = <Item>(items: readonly Item[]): readonly Item[] => (items.length === 0 ? none : items);

/** Collects what one Service defines. Of two frontends with the same address and port, the first one wins. */
class FragmentBuilder {
  readonly #virtualServers = new KeyedValues<VirtualServerKey, DefinedVirtualServer>();
  readonly #addresses = new Set<IpAddress>();
  readonly #sharedElements = new KeyedValues<ElementKey, SetElement>();
  readonly #problems: Problem[] = [];
  readonly #shortages: LocalEndpointShortage[] = [];
  readonly #portsOnNode = new Set<number>();
  #unready = noneUnready;

  constructor(
    private readonly service: CheckedService,
    private readonly node: NodeFacts,
    private readonly vipBinding: VipBinding,
    private readonly inClusterServers: InClusterServers,
  ) {}

  addFrontend(
    frontend: Frontend,
    servicePort: ServicePort,
    port: number,
    { internal, external, externalClass, inCluster }: Backends,
  ): void {
    const isInternal = frontend.kind === 'cluster-ip';
    const realServers = isInternal ? internal : external;
    const { protocol } = servicePort;
    const identity = { by: 'address', protocol, address: frontend.address, port } as const;
    if (frontend.bind) {
      this.#addresses.add(frontend.address);
      this.addSharedElements([vipElement(frontend.address)]);
    } else this.#portsOnNode.add(port);
    const earlier = this.#virtualServers.get(virtualServerKey(identity));
    if (earlier !== undefined) return this.#reportDuplicate(earlier, realServers, frontend);
    const mark = isInternal ? undefined : this.inClusterServers.identityFor(identity, servicePort);
    const withEndpoints = isInternal ? 'cluster-ip' : externalClass;
    const elements = [
      packetClassElement(identity, realServers.isOpen ? withEndpoints : 'no-endpoints'),
      ...sourceRangeElements(identity, sourceRangesOf(this.service, frontend), this.node, this.vipBinding),
    ];
    if (mark === undefined || inCluster === undefined)
      return this.#addVirtualServer(identity, protocol, realServers, elements);
    // The last element leads requests from the cluster to the virtual server on the firewall mark.
    elements.push(inClusterElement(identity, mark.fwmark));
    this.#addVirtualServer(identity, protocol, realServers, elements);
    this.#addVirtualServer(mark, protocol, inCluster, [firewallMarkElement(mark)]);
  }

  #addVirtualServer(
    identity: VirtualServerIdentity,
    protocol: Protocol,
    realServers: RealServers,
    setElements: readonly SetElement[],
  ): void {
    this.#virtualServers.set(toVirtualServer(this.service, identity, protocol, realServers, setElements));
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
    for (const element of elements) this.#sharedElements.set(element);
  }

  addUnready(endpoints: PortEndpoints): void {
    const unready = endpoints.filter(({ endpoint }) => !endpoint.ready);
    if (unready.length === 0) return;
    this.#unready = new Map([
      ...this.#unready,
      ...unready.map(({ key, endpoint }) => [key, endpoint] as const),
    ]);
  }

  build(
    healthCheck: ServiceHealthCheck | undefined,
    { problems, validAnnotations }: Pick<ServiceCheckResult, 'problems' | 'validAnnotations'>,
  ): Fragment {
    return {
      service: this.service.key,
      createdAt: this.service.createdAt,
      virtualServers: this.#virtualServers,
      unreadyEndpoints: this.#unready,
      addresses: [...this.#addresses],
      inClusterServers: this.inClusterServers.byFrontend,
      sharedElements: this.#sharedElements,
      portsOnNode: orNone([
        ...new Set([...this.service.ports.flatMap(({ nodePort }) => nodePort ?? []), ...this.#portsOnNode]),
      ]),
      adoptForeign: this.service.settings.takesOverForeign,
      healthCheck,
      localShortages: orNone(this.#shortages),
      problems: orNone([...problems, ...this.#problems]),
      validAnnotations,
    };
  }

  #reportDuplicate(earlier: DefinedVirtualServer, realServers: RealServers, frontend: Frontend): void {
    if (earlier.realServers === realServers.byKey) return;
    this.#problems.push({
      service: this.service.key,
      reason: 'DuplicateAddress',
      message: `${this.service.key}: ${frontendFields[frontend.kind]}: ${earlier.key} is defined twice; the later definition is ignored`,
    });
  }
}

/** The annotations that stay in force; none for a Service that was created anew under the same name. */
const lastValidOf = (service: Service, before: EarlierFragment | undefined): ServiceAnnotations =>
  before !== undefined && before.createdAt === service.createdAt ? before.validAnnotations : noAnnotations;

/** What the Service defined before. */
export type EarlierFragment = Pick<Fragment, 'createdAt' | 'validAnnotations'>;

/**
 * What a Service with its slices defines for this node, independent of the order of the input. Never throws.
 * Of an annotation with a wrong value, the value of the earlier fragment stays in force.
 */
export const render = (
  service: Service,
  slices: readonly EndpointSlice[],
  context: RenderContext,
  before?: EarlierFragment,
): Fragment => {
  const result = checkService(service, slices, context.settings, lastValidOf(service, before));
  const { checked } = result;
  const realServerSettings = realServerSettingsOf(checked, context);
  const { weightOf } = realServerSettings;
  const endpointsOf = endpointsByPort(result.slices);
  const frontends = frontendsOf(checked, context);
  const { vipBinding = 'address', inClusterEndpoints } = context.settings;
  const inCluster = new InClusterServers(checked, inClusterEndpoints);
  const builder = new FragmentBuilder(checked, context.node, vipBinding, inCluster);
  const served = context.settings.families ?? families;
  for (const family of served) {
    if (checked.clusterIps[family] === undefined) continue;
    if (checked.healthCheckNodePort !== undefined)
      builder.addHealthCheckPort(family, checked.healthCheckNodePort);
    for (const port of checked.ports) {
      const endpoints = endpointsOf(family, port);
      const backends = backendsOf(checked, endpoints, context.node, realServerSettings);
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
  const openEndpointsOf: typeof endpointsOf = (family, port) =>
    endpointsOf(family, port).filter((endpoint) => weightOf?.(endpoint) !== 0);
  const healthCheck = serviceHealthCheck(checked, served, openEndpointsOf, context.node);
  return builder.build(healthCheck, { ...result, problems: [...result.problems, ...frontends.problems] });
};
