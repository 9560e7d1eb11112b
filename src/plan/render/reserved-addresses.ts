import { parseIp, type IpAddress } from '../../base/ip.js';
import type { EndpointSlice } from '../../model/endpoint.js';
import { serviceKey, type Service } from '../../model/service.js';

/** The Service of the API server itself. */
export const apiServerService = serviceKey('default', 'kubernetes');

export interface ReservedAddressesInput {
  readonly gateways: Iterable<IpAddress>;
  /** Of `apiServerService`. */
  readonly service: Service | undefined;
  readonly slices: readonly EndpointSlice[];
  /** The host by which we reach the API server: a name or an address, IPv6 with or without brackets; undefined where we need none. */
  readonly apiServerHost: string | undefined;
}

/** The addresses that must stay other machines', with what each is: bound to kube-ipvs0 they would be this node's own. */
export const reservedAddresses = (input: ReservedAddressesInput): ReadonlyMap<IpAddress, string> => {
  const reserved = new Map<IpAddress, string>();
  for (const gateway of input.gateways) reserved.set(gateway, 'a gateway of this node');
  for (const { endpoints } of input.slices)
    for (const { address } of endpoints) reserved.set(address, 'an endpoint of the API server');
  const host = parseIp((input.apiServerHost ?? '').replace(/^\[|\]$/g, ''));
  // In a pod it is the ClusterIP, which we serve ourselves.
  if (host !== undefined && !Object.values(input.service?.clusterIps ?? {}).includes(host))
    reserved.set(host, 'where this node reaches the API server');
  return reserved;
};

export const sameReservedAddresses = (
  a: ReadonlyMap<IpAddress, string>,
  b: ReadonlyMap<IpAddress, string>,
): boolean => a.size === b.size && [...a].every(([address, reason]) => b.get(address) === reason);
