import {
  cidrFamily,
  cidrContains,
  families,
  familyOf,
  type Cidr,
  type Family,
  type IpAddress,
} from '../../base/ip.js';
import type { NodeFacts } from '../../model/node.js';
import type { Service, ServicePort } from '../../model/service.js';
import type { PortEndpoints } from '../endpoints/endpoints.js';

/** What the health check port of a Service tells load balancers of this node. */
export interface ServiceHealthCheck {
  readonly port: number;
  /** Distinct addresses of ready endpoints on this node, in each family that the Service has. */
  readonly localEndpoints: Readonly<Partial<Record<Family, number>>>;
}

/** The local addresses of a family on which health check ports are served. */
export type HealthCheckAddresses = 'all' | readonly IpAddress[];

/**
 * The health check of a Service; undefined where it has none. An endpoint that terminates does not count, even while it
 * serves: load balancers are to go elsewhere (kube-proxy-ipvs §7.2).
 */
export const serviceHealthCheck = (
  service: Service,
  served: readonly Family[],
  endpointsOf: (family: Family, port: ServicePort) => PortEndpoints,
  node: NodeFacts,
): ServiceHealthCheck | undefined => {
  const { healthCheckNodePort: port } = service;
  if (port === undefined) return undefined;
  const localEndpoints: Partial<Record<Family, number>> = {};
  for (const family of served) {
    if (service.clusterIps[family] === undefined) continue;
    const local = service.ports
      .flatMap((servicePort) => endpointsOf(family, servicePort))
      .filter(({ endpoint }) => endpoint.ready && node.name !== '' && endpoint.nodeName === node.name);
    localEndpoints[family] = new Set(local.map(({ endpoint }) => endpoint.address)).size;
  }
  return { port, localEndpoints };
};

/** Whether two say the same of one Service. */
export const sameHealthCheck = (
  a: ServiceHealthCheck | undefined,
  b: ServiceHealthCheck | undefined,
): boolean =>
  a?.port === b?.port && families.every((family) => a?.localEndpoints[family] === b?.localEndpoints[family]);

/**
 * Where the health check ports of a family are served: the addresses that serve NodePorts, loopback too where a network has it.
 * `cidrs` as for NodePorts; none of the family, or one that holds every address, means all.
 */
export const healthCheckAddresses = (
  family: Family,
  node: NodeFacts,
  cidrs: readonly Cidr[],
): HealthCheckAddresses => {
  const ofFamily = cidrs.filter((cidr) => cidrFamily(cidr) === family);
  if (ofFamily.length === 0 || ofFamily.some(({ prefixLength }) => prefixLength === 0)) return 'all';
  const chosen = node.addresses
    .map(({ address }) => address)
    .filter(
      (address) => familyOf(address) === family && ofFamily.some((cidr) => cidrContains(cidr, address)),
    );
  return [...new Set(chosen)].toSorted();
};
