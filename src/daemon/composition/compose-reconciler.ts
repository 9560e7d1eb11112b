import { Resync } from '../../apply/mirror/resync.js';
import type { ObservedState } from '../../apply/mirror/observed-state.js';
import { OwnershipConflicts } from '../../apply/ownership/ownership-conflicts.js';
import { Reconciler, type ReconcilerParts } from '../../apply/reconciler.js';
import type { IpAddress } from '../../base/ip.js';
import { virtualServerKey, type VirtualServerIdentity } from '../../model/virtual-server.js';
import type { DesiredState } from '../../plan/desired-state.js';
import type { OrphanedVirtualServers } from '../../plan/drain/orphaned-virtual-servers.js';
import { ExcludedByCidr } from '../../plan/ownership/excluded-by-cidr.js';
import { ForeignVirtualServers } from '../../plan/ownership/foreign-virtual-servers.js';

/** Makes the kernel hold the desired state, and finds what other programs changed. */
export interface ReconcilerGraph {
  readonly foreignVirtualServers: ForeignVirtualServers;
  readonly reconciler: Reconciler;
  readonly resync: Resync;
}

export interface ReconcilerGraphParts
  extends Pick<
    ReconcilerParts,
    | 'ipvs'
    | 'addresses'
    | 'packetRules'
    | 'staleFlows'
    | 'drainSettings'
    | 'isNodeDeleted'
    | 'counters'
    | 'log'
    | 'now'
    | 'retryDelays'
  > {
  readonly observed: ObservedState;
  readonly desired: DesiredState;
  readonly orphaned: OrphanedVirtualServers;
  /** The addresses on kube-ipvs0 now. */
  readonly dummyAddresses: () => Promise<readonly IpAddress[]>;
  readonly ownership: OwnershipPort;
}

/** Who owns a virtual server that the daemon finds in the kernel. */
export interface OwnershipPort {
  /** Whether ipvs.excludeCIDRs contain the address. */
  isExcluded(address: IpAddress): boolean;
  isOurs(identity: VirtualServerIdentity): boolean;
  /** Whether the daemon takes over a virtual server that a Service asks for and another program made. */
  adoptForeign(identity: VirtualServerIdentity): boolean;
}

export const composeReconciler = (parts: ReconcilerGraphParts): ReconcilerGraph => {
  const { ipvs, observed, desired, orphaned, ownership } = parts;
  const foreignVirtualServers = new ForeignVirtualServers({
    desired: new ExcludedByCidr({
      desired: orphaned,
      observed,
      isExcluded: (address) => ownership.isExcluded(address),
    }),
    services: desired,
    observed,
  });
  const conflicts = new OwnershipConflicts({
    ipvs,
    observed,
    foreign: foreignVirtualServers,
    adoptForeign: (identity) => ownership.adoptForeign(identity),
  });
  const reconciler = new Reconciler({
    ...parts,
    desired: foreignVirtualServers,
    conflicts,
    orphans: orphaned,
    endpoints: desired,
  });
  const resync = new Resync({
    ipvs,
    observed,
    dummyAddresses: parts.dummyAddresses,
    isOurs: (identity) => conflicts.mayBeOurs(virtualServerKey(identity)) || ownership.isOurs(identity),
    isDesired: (key) => desired.ownerOf(key) !== undefined,
    onUnreadable: reconciler.onUnreadable,
    onMissing: (missing) => conflicts.setMissing(missing),
    foreign: foreignVirtualServers,
  });
  return { foreignVirtualServers, reconciler, resync };
};
