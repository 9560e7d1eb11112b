import { familyOf, type Family, type IpAddress } from '../../base/ip.js';
import {
  virtualServerKey,
  type VirtualServerIdentity,
  type VirtualServerKey,
} from '../../model/virtual-server.js';
import type { PortRange } from '../packet-rules/rule-expressions.js';

/** The API server's default --service-node-port-range. */
const nodePortRange: PortRange = { first: 30_000, last: 32_767 };

/** What the kernel itself and the Services say about what is ours. */
export interface OwnershipFacts {
  /** Whether a set of our packet rules names it: we made it, or took it over. */
  hasMarker(identity: VirtualServerIdentity): boolean;
  /** Whether packet rules of ours can name it: where this kernel has no nftables for the family, kube-ipvs0 is the only record. */
  canHaveMarker(family: Family): boolean;
  /**
   * Whether a take-over is under way: the first sync of the first kube-ipvs here, after another proxy that used kube-ipvs0 and
   * left no record of what it made.
   */
  isTakingOver(family: Family): boolean;
  /** Whether a Service asks for it. */
  isDesired(key: VirtualServerKey): boolean;
  /** Whether the Service that asks for it says that it is to be ours, whoever made it. */
  adoptForeign(key: VirtualServerKey): boolean;
  /** Whether kube-ipvs0 has the address. */
  hasDummyAddress(address: IpAddress): boolean;
  /** Whether another interface of this node has the address. */
  hasNodeAddress(address: IpAddress): boolean;
  /** Whether it is inside of ipvs.excludeCIDRs: what is there is taken over only where a Service asks for it. */
  isExcluded(address: IpAddress): boolean;
}

export type Ownership = 'ours' | 'foreign';

/** What the proxy before us has left for us. */
const isLeftByPreviousProxy = (
  identity: VirtualServerIdentity & { by: 'address' },
  facts: OwnershipFacts,
): boolean => {
  const { address, port } = identity;
  const isNodePort = port >= nodePortRange.first && port <= nodePortRange.last;
  return facts.hasDummyAddress(address) || (isNodePort && facts.hasNodeAddress(address));
};

/**
 * Whose a virtual server of the kernel is that we know nothing of yet. Ours is what our packet rules name. In a take-over, and
 * where nothing can name it, it is also what stands as another proxy of this kind would have made it; and what a Service asks
 * for and says to be ours. A VIP on kube-ipvs0 says nothing else: it may be there for another port.
 */
export const ownershipOf = (identity: VirtualServerIdentity, facts: OwnershipFacts): Ownership => {
  if (identity.by === 'fwmark') return 'foreign';
  if (facts.hasMarker(identity)) return 'ours';
  const key = virtualServerKey(identity);
  const family = familyOf(identity.address);
  const isTakingOver = facts.isTakingOver(family);
  if (facts.isDesired(key) && (isTakingOver || facts.adoptForeign(key))) return 'ours';
  if (facts.isExcluded(identity.address)) return 'foreign';
  if (isTakingOver && isLeftByPreviousProxy(identity, facts)) return 'ours';
  return !facts.canHaveMarker(family) && facts.hasDummyAddress(identity.address) ? 'ours' : 'foreign';
};
