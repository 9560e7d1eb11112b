import type { EngineState } from '../../apply/state/engine-state.js';
import type { Family } from '../../base/ip.js';
import { isBound } from '../../model/settings/vip-binding.js';
import type { VirtualServerIdentity } from '../../model/virtual-server.js';
import { ownershipOf, type OwnershipFacts } from '../../plan/ownership/ownership.js';
import { hasOwnershipMarker } from '../../plan/packet-rules/packet-elements.js';

export interface OwnVirtualServersParts
  extends Omit<OwnershipFacts, 'hasMarker' | 'canHaveMarker' | 'isBoundVip'> {
  readonly observed: Pick<EngineState, 'element' | 'bindings'>;
  /** The families for which this kernel has nftables. */
  readonly packetFamilies: readonly Family[];
}

/** Returns whether a virtual server that the kernel has is ours, as the observed state is at the time. */
export const ownVirtualServers = (
  parts: OwnVirtualServersParts,
): ((identity: VirtualServerIdentity) => boolean) => {
  const { observed, packetFamilies } = parts;
  const facts: OwnershipFacts = {
    ...parts,
    hasMarker: (named) => hasOwnershipMarker(named, (key) => observed.element(key) !== undefined),
    canHaveMarker: (family) => packetFamilies.includes(family),
    isBoundVip: (address) => isBound(observed, address),
  };
  return (identity) => ownershipOf(identity, facts) === 'ours';
};
