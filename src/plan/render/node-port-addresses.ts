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

/** The networks that choose among the addresses of a family; undefined: every address is chosen. */
const filterOf = (family: Family, cidrs: readonly Cidr[]): readonly Cidr[] | undefined => {
  const ofFamily = cidrs.filter((cidr) => cidrFamily(cidr) === family);
  return ofFamily.length === 0 ? undefined : ofFamily;
};

/**
 * The addresses of this node on which NodePorts are served, sorted: those of the family in the given networks (all, where no
 * network of the family is given), but never loopback and IPv6 link-local ones; whatever is on
 * kube-ipvs0 is no part of the node's facts.
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
