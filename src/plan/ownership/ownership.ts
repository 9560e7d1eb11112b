import { familyOf, type Family, type IpAddress } from '../../base/ip.js';
import {
  virtualServerKey,
  type VirtualServerIdentity,
  type VirtualServerKey,
} from '../../model/virtual-server.js';
import type { PortRange } from '../packet-rules/rule-expressions.js';

/** The API server's default --service-node-port-range. */
const nodePortRange: PortRange = { first: 30_000, last: 32_767 };

/** The facts that decide whether kube-ipvs owns a virtual server. */
export interface OwnershipFacts {
  /** Whether it has an ownership marker: kube-ipvs created or adopted it. */
  hasMarker(identity: VirtualServerIdentity): boolean;
  /**
   * Whether the kernel supports ownership markers for the family. Without nftables, only bound VIPs show the
   * ownership.
   */
  canHaveMarker(family: Family): boolean;
  /**
   * Whether a take-over is in progress: the first sync of kube-ipvs on this node, after another service proxy
   * that used kube-ipvs0 and left no ownership markers.
   */
  isTakingOver(family: Family): boolean;
  /** Whether a Service defines it. */
  isDesired(key: VirtualServerKey): boolean;
  /** Whether the Service that defines it adopts it even if another program created it. */
  adoptForeign(key: VirtualServerKey): boolean;
  /** Whether the address is on kube-ipvs0 or has a local route of ours. */
  isBoundVip(address: IpAddress): boolean;
  /** Whether another interface of this node has the address. */
  hasNodeAddress(address: IpAddress): boolean;
  /**
   * Whether the address is in ipvs.excludeCIDRs. Only virtual servers that a Service defines are adopted
   * there.
   */
  isExcluded(address: IpAddress): boolean;
}

export type Ownership = 'ours' | 'foreign';

/** Whether the virtual server looks like one that the previous service proxy created. */
const isLeftByPreviousProxy = (
  identity: VirtualServerIdentity & { by: 'address' },
  facts: OwnershipFacts,
): boolean => {
  const { address, port } = identity;
  const isNodePort = port >= nodePortRange.first && port <= nodePortRange.last;
  return facts.isBoundVip(address) || (isNodePort && facts.hasNodeAddress(address));
};

/**
 * Whether kube-ipvs owns a virtual server that it does not know yet. It owns marked ones, adopted ones, those
 * that the previous proxy left during a take-over, and, where markers are impossible, those on VIPs that are
 * bound. A bound VIP is otherwise no evidence, because it may serve another port.
 */
export const ownershipOf = (identity: VirtualServerIdentity, facts: OwnershipFacts): Ownership => {
  if (facts.hasMarker(identity)) return 'ours';
  const key = virtualServerKey(identity);
  if (identity.by === 'fwmark') return facts.isDesired(key) && facts.adoptForeign(key) ? 'ours' : 'foreign';
  const family = familyOf(identity.address);
  const isTakingOver = facts.isTakingOver(family);
  if (facts.isDesired(key) && (isTakingOver || facts.adoptForeign(key))) return 'ours';
  if (facts.isExcluded(identity.address)) return 'foreign';
  if (isTakingOver && isLeftByPreviousProxy(identity, facts)) return 'ours';
  return !facts.canHaveMarker(family) && facts.isBoundVip(identity.address) ? 'ours' : 'foreign';
};
