import { parseIp, type IpAddress } from '../../base/ip.js';
import type { EndpointSlice } from '../../model/endpoint.js';
import { serviceKey, type Service } from '../../model/service.js';

export const apiServerService = serviceKey('default', 'kubernetes');

export interface ReservedAddressesInput {
  readonly gateways: Iterable<IpAddress>;
  /** The Service `apiServerService`, if it exists. */
  readonly service: Service | undefined;
  readonly slices: readonly EndpointSlice[];
  /**
   * The host name or address at which the daemon reaches the API server, IPv6 with or without brackets;
   * undefined if no API server is used.
   */
  readonly apiServerHost: string | undefined;
}

/**
 * The addresses of other machines that must not become local, with the role of each. Bound to kube-ipvs0,
 * they would be unreachable from this node.
 */
export const reservedAddresses = (input: ReservedAddressesInput): ReadonlyMap<IpAddress, string> => {
  const reserved = new Map<IpAddress, string>();
  for (const gateway of input.gateways) reserved.set(gateway, 'a gateway of this node');
  for (const { endpoints } of input.slices)
    for (const { address } of endpoints) reserved.set(address, 'an endpoint of the API server');
  const host = parseIp((input.apiServerHost ?? '').replace(/^\[|\]$/g, ''));
  // In a pod the host is the ClusterIP, which kube-ipvs serves.
  if (host !== undefined && !Object.values(input.service?.clusterIps ?? {}).includes(host))
    reserved.set(host, 'the address of the API server');
  return reserved;
};

export const sameReservedAddresses = (
  a: ReadonlyMap<IpAddress, string>,
  b: ReadonlyMap<IpAddress, string>,
): boolean => a.size === b.size && [...a].every(([address, reason]) => b.get(address) === reason);
