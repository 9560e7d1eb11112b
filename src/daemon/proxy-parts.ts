import type { DriftCounters } from '../apply/drift-counters.js';
import type { DummyInterface } from '../apply/dummy-interface.js';
import type { Observed } from '../apply/observed.js';
import type { PacketRules } from '../apply/packet-rules.js';
import type { Reconciler } from '../apply/reconciler.js';
import type { Resync } from '../apply/resync.js';
import type { StaleFlows } from '../apply/stale-flows.js';
import type { TakeOver } from '../apply/take-over.js';
import type { IpAddress } from '../base/ip.js';
import type { Logger } from '../base/log.js';
import type { ClusterStore } from '../watch/cluster-store.js';
import type { SyncObserver } from './sync-observer.js';
import type { TroubleDelays } from './trouble.js';
import type { WantedState } from './wanted-state.js';

/** What the sync loop works with. */
export interface ProxyParts {
  readonly store: ClusterStore;
  readonly wanted: WantedState;
  readonly observed: Observed;
  readonly reconciler: Reconciler;
  readonly resync: Resync;
  /** Whether kube-ipvs0 is to have the address. */
  readonly wantsAddress: (address: IpAddress) => boolean;
  /** Looks whether somebody changed the kernel's settings. */
  readonly checkSettings: () => void;
  readonly dummy: DummyInterface;
  readonly packetRules: Pick<PacketRules, 'declare' | 'forget' | 'read' | 'inForce'>;
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
  readonly troubleDelays?: TroubleDelays;
}
