import type { NodeFacts } from '../../model/node.js';
import type { Service } from '../../model/service.js';
import type { DesiredRealServer, RealServerKey } from '../../model/virtual-server.js';
import {
  clusterEndpoints,
  localEndpoints,
  type PortEndpoint,
  type PortEndpoints,
} from '../endpoints/endpoints.js';
import type { LocalEndpointShortage } from '../endpoints/local-endpoint-shortages.js';
import type { PacketClass } from '../packet-rules/packet-sets.js';
import type { InClusterEndpoints } from '../../model/in-cluster-endpoints.js';

export type RealServers = ReadonlyMap<RealServerKey, DesiredRealServer>;

/** The real servers of a Service port in one family. */
export interface Backends {
  readonly internal: RealServers;
  readonly external: RealServers;
  /** The packet class of external frontends with real servers. */
  readonly externalClass: PacketClass;
  /** Those of requests from the cluster to external frontends, where they differ from `external`. */
  readonly inCluster?: RealServers | undefined;
  /** The policies `Local` without a local endpoint although other nodes have endpoints. */
  readonly policiesWithoutLocal: readonly LocalEndpointShortage['policy'][];
}

const toRealServer = ({ key, endpoint, port }: PortEndpoint): DesiredRealServer => ({
  key,
  address: endpoint.address,
  port,
  weight: 1,
  forwarding: 'masquerade',
  upperThreshold: 0,
  lowerThreshold: 0,
  endpoint,
});

const toRealServers = (endpoints: PortEndpoints): RealServers => {
  const realServers = new Map<RealServerKey, DesiredRealServer>();
  for (const endpoint of endpoints) realServers.set(endpoint.key, toRealServer(endpoint));
  return realServers;
};

const noPolicies: Backends['policiesWithoutLocal'] = [];

const localPolicies = (service: Service): Backends['policiesWithoutLocal'] => [
  ...(service.internalTrafficPolicy === 'Local' ? (['internal'] as const) : []),
  ...(service.externalTrafficPolicy === 'Local' ? (['external'] as const) : []),
];

const sameKeys = (some: RealServers, others: RealServers): boolean => {
  for (const key of some.keys()) if (!others.has(key)) return false;
  return some.size === others.size;
};

const externalBackends = (
  service: Service,
  cluster: RealServers,
  local: RealServers,
  inClusterEndpoints: InClusterEndpoints,
): Pick<Backends, 'external' | 'externalClass' | 'inCluster'> => {
  if (service.externalTrafficPolicy === 'Cluster') return { external: cluster, externalClass: 'external' };
  if (local.size === 0) return { external: cluster, externalClass: 'local-elsewhere' };
  const differs = inClusterEndpoints === 'all' && !sameKeys(cluster, local);
  return { external: local, externalClass: 'local', inCluster: differs ? cluster : undefined };
};

/**
 * Without a local endpoint, internalTrafficPolicy Local serves nothing, and externalTrafficPolicy Local uses
 * the cluster's endpoints for requests of this node and its pods.
 */
export const backendsOf = (
  service: Service,
  endpoints: PortEndpoints,
  node: NodeFacts,
  inClusterEndpoints: InClusterEndpoints,
): Backends => {
  const cluster = toRealServers(clusterEndpoints(endpoints, node));
  if (service.internalTrafficPolicy === 'Cluster' && service.externalTrafficPolicy === 'Cluster')
    return {
      internal: cluster,
      external: cluster,
      externalClass: 'external',
      policiesWithoutLocal: noPolicies,
    };
  const local = toRealServers(localEndpoints(endpoints, node));
  return {
    internal: service.internalTrafficPolicy === 'Local' ? local : cluster,
    ...externalBackends(service, cluster, local, inClusterEndpoints),
    policiesWithoutLocal: local.size > 0 || cluster.size === 0 ? noPolicies : localPolicies(service),
  };
};
