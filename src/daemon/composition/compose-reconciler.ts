import { Resync } from '../../apply/mirror/resync.js';
import { DesiredNodeState } from '../../apply/state/desired-node-state.js';
import type { EngineState } from '../../apply/state/engine-state.js';
import { Reconciler, type ReconcilerParts } from '../../apply/reconciler.js';
import type { IpAddress } from '../../base/ip.js';
import type { TableFile } from '../../kernel/ipvs/table-file/table-file.js';
import type { BoundVips } from '../../model/settings/vip-binding.js';
import type { VirtualServerIdentity } from '../../model/virtual-server.js';
import type { DesiredState } from '../../plan/desired-state.js';
import type { OrphanedVirtualServers } from '../../plan/drain/orphaned-virtual-servers.js';
import type { ForeignVirtualServers } from '../../plan/ownership/foreign-virtual-servers.js';

/** Makes the kernel hold the desired state, and finds what other programs changed. */
export interface ReconcilerGraph {
  /** What the kernel of this node is to hold. */
  readonly desiredNodeState: DesiredNodeState;
  /** Virtual servers that no Service asks for and that have open connections. */
  readonly orphaned: OrphanedVirtualServers;
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
    | 'onQuarantined'
    | 'runsOnce'
    | 'isOnInterface'
    | 'counters'
    | 'recorder'
    | 'log'
    | 'now'
    | 'retryDelays'
  > {
  readonly observed: EngineState;
  readonly desired: DesiredState;
  readonly tableFile?: TableFile | undefined;
  /** The VIPs that are bound now. */
  readonly boundVips: () => Promise<BoundVips>;
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
  const { ipvs, observed, desired, isOnInterface, ownership } = parts;
  const desiredNodeState = new DesiredNodeState({
    services: desired,
    state: observed,
    isOnInterface,
    isExcluded: (address) => ownership.isExcluded(address),
  });
  const reconciler = new Reconciler({
    ...parts,
    state: observed,
    desired: desiredNodeState,
    services: desired,
    formerVirtualServer: (key) => desired.formerEndpoints.virtualServer(key),
    adoptForeign: (identity) => ownership.adoptForeign(identity),
    endpoints: desired,
    marked: desired,
    isEndpointReady: (of, realServer) =>
      desired.virtualServer(of)?.realServers.get(realServer)?.endpoint.ready === true,
  });
  const resync = new Resync({
    ipvs,
    tableFile: parts.tableFile,
    log: parts.log,
    state: observed,
    boundVips: parts.boundVips,
    isOurs: (identity) => ownership.isOurs(identity),
    isDesired: (key) => desired.ownerOf(key) !== undefined,
    desiredRealServers: (key) => {
      const server = desired.virtualServer(key);
      return server && [...server.realServers.values()];
    },
    onUnreadable: reconciler.onUnreadable,
  });
  const { foreign: foreignVirtualServers, orphaned } = desiredNodeState;
  return { desiredNodeState, foreignVirtualServers, orphaned, reconciler, resync };
};
