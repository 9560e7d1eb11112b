import type { DriftCounters } from '../../apply/counters/drift-counters.js';
import type { DummyInterface } from '../../apply/addresses/dummy-interface.js';
import type { EngineState } from '../../apply/state/engine-state.js';
import type { PacketRules } from '../../apply/packet-rules/packet-rules.js';
import type { Reconciler } from '../../apply/reconciler.js';
import type { Resync } from '../../apply/mirror/resync.js';
import type { StaleFlows } from '../../apply/conntrack/stale-flows.js';
import type { TakeOver } from '../../apply/ownership/take-over.js';
import type { IpAddress } from '../../base/ip.js';
import type { Logger } from '../../base/log.js';
import type { OrphanedVirtualServers } from '../../plan/drain/orphaned-virtual-servers.js';
import type { ClusterStore } from '../../watch/store/cluster-store.js';
import type { SyncObserver } from './sync-observer.js';
import type { SyncRetryDelays } from './failure-state.js';
import type { DesiredStateUpdater } from './desired-state-updater.js';

/** What the sync loop works with. */
export interface SyncLoopParts {
  readonly store: ClusterStore;
  readonly desiredStateUpdater: DesiredStateUpdater;
  readonly observed: EngineState;
  /** What Services ask for, with the virtual servers that stay for their open connections. */
  readonly orphaned: OrphanedVirtualServers;
  readonly reconciler: Reconciler;
  readonly resync: Resync;
  /** Whether kube-ipvs0 is to have the address. */
  readonly isAddressDesired: (address: IpAddress) => boolean;
  /** Looks whether somebody changed the kernel's settings. */
  readonly checkKernelSettings: () => void;
  readonly dummy: DummyInterface;
  readonly packetRules: Pick<PacketRules, 'declare' | 'invalidate' | 'read' | 'inForce'>;
  readonly takeOver: Pick<TakeOver, 'end'>;
  readonly staleFlows: Pick<StaleFlows, 'clean'>;
  /** To be called before the kernel's table is read for the first time, and after each failure: IPVS may be another one. */
  readonly ensureIpvs: () => Promise<void>;
  /** Reads all links and addresses into `nodeAddresses`; true where the node's own changed. */
  readonly readAddresses: () => Promise<boolean>;
  /** Milliseconds, as they are to be now. */
  readonly minSyncPeriod: () => number;
  /** Milliseconds, as they are to be now. */
  readonly syncPeriod: () => number;
  readonly observers: readonly SyncObserver[];
  readonly drift: DriftCounters;
  readonly log: Logger;
  readonly syncRetryDelays?: SyncRetryDelays;
}
