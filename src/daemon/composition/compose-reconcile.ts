import type { DriftCounters } from '../../apply/counters/drift-counters.js';
import type { OperationCounters } from '../../apply/counters/operation-counters.js';
import { servedFrontend } from '../../apply/conntrack/served-frontend.js';
import { StaleFlows, type StaleFlowsParts } from '../../apply/conntrack/stale-flows.js';
import type { TakeOver } from '../../apply/ownership/take-over.js';
import type { PacketRules } from '../../apply/packet-rules/packet-rules.js';
import type { ReconcilerParts } from '../../apply/reconciler.js';
import type { RetryDelays } from '../../apply/retry/retries.js';
import { cidrContains, familyOf, type Family } from '../../base/ip.js';
import type { Logger } from '../../base/log.js';
import { virtualServerKey } from '../../model/virtual-server.js';
import type { ChangeRecorder } from '../../apply/change-recorder.js';
import type { ChangeCauses } from '../history/change-causes.js';
import type { LiveSettings } from '../config/live-settings.js';
import type { EventRecorder } from '../events/event-recorder.js';
import { quarantineEvent } from '../events/quarantine-event.js';
import type { KernelUpkeep } from '../kernel/kernel-upkeep.js';
import { DeletedNodes } from '../nodes/deleted-nodes.js';
import type { NodeNetwork } from '../nodes/node-network.js';
import { ownVirtualServers } from '../ownership/own-virtual-servers.js';
import type { SyncRetryDelays } from '../sync/failure-state.js';
import type { ManagedRules } from '../sync/packet-rules-controller.js';
import { SyncLoop } from '../sync/sync-loop.js';
import type { SyncObserver } from '../sync/sync-observer.js';
import type { NotifySyncLoop } from '../sync/sync-trigger.js';
import type { Cluster } from './compose-cluster.js';
import type { KernelMirror } from './compose-kernel-mirror.js';
import {
  composeReconciler,
  type OwnershipPort,
  type ReconcilerGraph,
  type ReconcilerGraphParts,
} from './compose-reconciler.js';

/** Retry delays: of operations that the kernel refused, and of syncs that failed. */
export interface Delays {
  readonly retry: RetryDelays;
  readonly syncRetry: SyncRetryDelays;
}

/** The loop that keeps the kernel in step with the cluster, and its parts. */
export interface Reconcile extends ReconcilerGraph {
  readonly syncLoop: SyncLoop;
  readonly staleFlows: StaleFlows;
  /** Does nothing until it is started. */
  readonly deletedNodes: DeletedNodes;
}

/** What the loop needs of the kernel mirror. */
export interface MirrorPort extends Pick<KernelMirror, 'observed' | 'dummy' | 'readAddresses'> {
  readonly packetRules: ManagedRules & Pick<PacketRules, 'apply'>;
  readonly takeOver: Pick<TakeOver, 'isInProgress' | 'end'>;
}

export interface ReconcileComposition {
  readonly ipvs: ReconcilerParts['ipvs'];
  readonly tableFile?: ReconcilerGraphParts['tableFile'];
  readonly conntrack: StaleFlowsParts['conntrack'];
  /** The families for which this kernel has nftables. */
  readonly packetFamilies: readonly Family[];
  readonly cluster: Cluster;
  readonly mirror: MirrorPort;
  readonly network: Pick<NodeNetwork, 'addresses'>;
  readonly upkeep: KernelUpkeep;
  readonly settings: LiveSettings;
  readonly counters: OperationCounters;
  readonly recorder?: ChangeRecorder | undefined;
  readonly causes?: ChangeCauses | undefined;
  readonly drift: DriftCounters;
  readonly events: EventRecorder;
  readonly onFlowsCleaned: NonNullable<StaleFlowsParts['onCleaned']>;
  readonly observer: SyncObserver;
  readonly notify: NotifySyncLoop;
  readonly delays: Delays;
  readonly raise?: ((error: unknown) => void) | undefined;
  readonly log: Logger;
}

const ownershipPort = (parts: ReconcileComposition): OwnershipPort => {
  const { cluster, mirror, network, settings, packetFamilies } = parts;
  const { observed, takeOver } = mirror;
  const { desired } = cluster.desiredStateUpdater;
  const isExcluded: OwnershipPort['isExcluded'] = (address) =>
    settings.now.excludeCidrs.some((cidr) => cidrContains(cidr, address));
  return {
    isExcluded,
    isOurs: ownVirtualServers({
      observed,
      packetFamilies,
      isTakingOver: (family) => takeOver.isInProgress(family),
      // A take-over ends the virtual servers of node ports that now share one.
      isDesired: (key) => desired.ownerOf(key) !== undefined || desired.markedServerOf(key) !== undefined,
      adoptForeign: (key) => desired.adoptForeign(key),
      hasNodeAddress: (address) => network.addresses.has(address),
      isExcluded,
    }),
    adoptForeign: (identity) =>
      (identity.by === 'address' && takeOver.isInProgress(familyOf(identity.address))) ||
      desired.adoptForeign(virtualServerKey(identity)),
  };
};

const composeSyncLoop = (parts: ReconcileComposition, reconcile: Omit<Reconcile, 'syncLoop'>): SyncLoop => {
  const { cluster, mirror, settings, upkeep, drift, log } = parts;
  return new SyncLoop({
    ...cluster,
    ...mirror,
    ...reconcile,
    desiredBindings: (address) => reconcile.desiredNodeState.bindings(address),
    upkeep,
    periods: () => settings.now,
    observer: parts.observer,
    causes: parts.causes,
    syncRetryDelays: parts.delays.syncRetry,
    raise: parts.raise,
    drift,
    log,
  });
};

/** Ownership, the reconciler, the resync, stale flows, and the sync loop that drives them. */
export const composeReconcile = (parts: ReconcileComposition): Reconcile => {
  const { cluster, mirror, settings, notify, log } = parts;
  const { desired } = cluster.desiredStateUpdater;
  const staleFlows = new StaleFlows({
    frontendOf: (identity) => servedFrontend(identity, { observed: mirror.observed, marked: desired }),
    conntrack: parts.conntrack,
    onCleaned: parts.onFlowsCleaned,
    log,
  });
  const deletedNodes = new DeletedNodes({ deletionFound: () => notify({ kind: 'node-deleted' }), log });
  const reconciler = composeReconciler({
    ipvs: parts.ipvs,
    tableFile: parts.tableFile,
    addresses: mirror.dummy,
    packetRules: mirror.packetRules,
    staleFlows,
    observed: mirror.observed,
    desired,
    isOnInterface: (address) => cluster.desiredStateUpdater.isOnInterface(address),
    boundVips: () => mirror.dummy.boundVips(),
    ownership: ownershipPort(parts),
    drainSettings: () => ({ deadlines: settings.now.drainDeadlines }),
    isNodeDeleted: (name) => deletedNodes.isDeleted(name),
    runsOnce: settings.now.once,
    onQuarantined: (quarantine) => {
      const service = desired.ownerOf(quarantine.virtualServer);
      if (service !== undefined)
        parts.events.record(quarantineEvent(quarantine, service, cluster.store.service(service)?.uid));
    },
    counters: parts.counters,
    recorder: parts.recorder,
    retryDelays: parts.delays.retry,
    log,
  });
  const reconcile = { ...reconciler, staleFlows, deletedNodes };
  return { ...reconcile, syncLoop: composeSyncLoop(parts, reconcile) };
};
