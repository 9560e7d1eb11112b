import { cidrContains, type Cidr, type IpAddress } from '../base/ip.js';
import type { VirtualServerIdentity } from '../model/virtual-server.js';

export interface PortRange {
  readonly first: number;
  /** Inclusive. */
  readonly last: number;
}

/** The API server's default --service-node-port-range. */
export const defaultNodePortRange: PortRange = { first: 30_000, last: 32_767 };

/** What the kernel itself says about what is ours. */
export interface OwnershipFacts {
  /** Whether kube-ipvs0 has the address. */
  hasDummyAddress(address: IpAddress): boolean;
  /** Whether another interface of this node has the address. */
  hasNodeAddress(address: IpAddress): boolean;
  /** ipvs.excludeCIDRs: what is inside is never ours. */
  readonly excludeCidrs: readonly Cidr[];
  readonly nodePortRange: PortRange;
}

/** `excluded`: foreign because the configuration says so. */
export type Ownership = 'ours' | 'excluded' | 'foreign';

/**
 * Whose a virtual server of the kernel is that no Service asks for. Ours, and so to be deleted, is one on an address of
 * kube-ipvs0, or on an address of this node with a node port. A virtual server that a Service asks for is adopted instead,
 * whoever made it.
 */
export const ownershipOf = (identity: VirtualServerIdentity, facts: OwnershipFacts): Ownership => {
  if (identity.by === 'fwmark') return 'foreign';
  const { address, port } = identity;
  if (facts.excludeCidrs.some((cidr) => cidrContains(cidr, address))) return 'excluded';
  if (facts.hasDummyAddress(address)) return 'ours';
  const isNodePort = port >= facts.nodePortRange.first && port <= facts.nodePortRange.last;
  return isNodePort && facts.hasNodeAddress(address) ? 'ours' : 'foreign';
};
