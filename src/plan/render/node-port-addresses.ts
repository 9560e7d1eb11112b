import {
  cidrContains,
  cidrFamily,
  familyOf,
  isIpv6LinkLocal,
  isLoopback,
  type Cidr,
  type Family,
  type IpAddress,
} from '../../base/ip.js';
import type { NodeFacts } from '../../model/node.js';

/** The networks that filter the addresses of a family; undefined if all addresses are used. */
const filterOf = (family: Family, cidrs: readonly Cidr[]): readonly Cidr[] | undefined => {
  const ofFamily = cidrs.filter((cidr) => cidrFamily(cidr) === family);
  return ofFamily.length === 0 ? undefined : ofFamily;
};

/**
 * The addresses of this node that serve NodePorts, sorted: those in the given networks of the family, or all
 * if none is given, except loopback and IPv6 link-local addresses. The node's facts exclude the addresses of
 * kube-ipvs0.
 */
export const nodePortAddresses = (
  family: Family,
  node: NodeFacts,
  cidrs: readonly Cidr[],
): readonly IpAddress[] => {
  const filter = filterOf(family, cidrs);
  const chosen = node.addresses
    .map(({ address }) => address)
    .filter((address) => familyOf(address) === family && !isLoopback(address) && !isIpv6LinkLocal(address))
    .filter((address) => filter === undefined || filter.some((cidr) => cidrContains(cidr, address)));
  return [...new Set(chosen)].toSorted();
};
