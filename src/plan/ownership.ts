import { cidrContains, type Cidr, type IpAddress } from '../base/ip.js';
import type { VirtualServerIdentity } from '../model/virtual-server.js';
import type { PortRange } from './packet-steps.js';

/** The API server's default --service-node-port-range. */
const nodePortRange: PortRange = { first: 30_000, last: 32_767 };

/** What the kernel itself says about what is ours. */
export interface OwnershipFacts {
  /** Whether kube-ipvs0 has the address. */
  hasDummyAddress(address: IpAddress): boolean;
  /** Whether a set of our packet rules names it: we made it. */
  isNamed(identity: VirtualServerIdentity): boolean;
  /**
   * Whether this is the first sync of the first kube-ipvs here, after another proxy that used kube-ipvs0: it also takes over
   * what stands on node addresses with node ports.
   */
  readonly takesOver: boolean;
  /** Whether another interface of this node has the address. */
  hasNodeAddress(address: IpAddress): boolean;
  /** ipvs.excludeCIDRs: what is inside is never ours. */
  readonly excludeCidrs: readonly Cidr[];
}

/** `excluded`: foreign because the configuration says so. */
export type Ownership = 'ours' | 'excluded' | 'foreign';

/**
 * Whose a virtual server of the kernel is that no Service asks for. Ours, and so to be deleted, is one that our
 * packet rules name, or that stands on an address of kube-ipvs0. A virtual server that a Service asks for is adopted instead,
 * whoever made it.
 */
export const ownershipOf = (identity: VirtualServerIdentity, facts: OwnershipFacts): Ownership => {
  if (identity.by === 'fwmark') return 'foreign';
  const { address, port } = identity;
  if (facts.excludeCidrs.some((cidr) => cidrContains(cidr, address))) return 'excluded';
  if (facts.isNamed(identity) || facts.hasDummyAddress(address)) return 'ours';
  const isNodePort = port >= nodePortRange.first && port <= nodePortRange.last;
  return facts.takesOver && isNodePort && facts.hasNodeAddress(address) ? 'ours' : 'foreign';
};
