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

/** The reply of a Service's health check port on this node to load balancers. */
export interface ServiceHealthCheck {
  readonly port: number;
  /** The number of distinct addresses of ready endpoints on this node, for each family of the Service. */
  readonly localEndpoints: Readonly<Partial<Record<Family, number>>>;
}

/** The local addresses of a family that serve health check ports. */
export type HealthCheckAddresses = 'all' | readonly IpAddress[];

/**
 * The health check of a Service; undefined if the Service has none. Terminating endpoints do not count even
 * if they still serve, so that load balancers choose other nodes (kube-proxy-ipvs §7.2).
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

/** Whether two health checks of one Service give the same reply. */
export const sameHealthCheck = (
  a: ServiceHealthCheck | undefined,
  b: ServiceHealthCheck | undefined,
): boolean =>
  a?.port === b?.port && families.every((family) => a?.localEndpoints[family] === b?.localEndpoints[family]);

/**
 * The addresses that serve the health check ports of a family: those that serve NodePorts, plus loopback if a
 * network includes it. All addresses if no network of the family is given or one includes every address.
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
