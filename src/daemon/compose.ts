import { DriftCounters } from '../apply/counters/drift-counters.js';
import { OperationCounters } from '../apply/counters/operation-counters.js';
import { EngineState } from '../apply/state/engine-state.js';
import type { PacketRulesParts } from '../apply/packet-rules/packet-rules.js';
import { defaultRetryDelays } from '../apply/retry/retries.js';
import type { Family } from '../base/ip.js';
import { Listeners } from './sync/listeners.js';
import type { Logger } from '../base/log.js';
import { servedFamilies } from '../kernel/ip-families.js';
import { composeChangeLog } from './composition/compose-change-log.js';
import { composeCluster, type Cluster } from './composition/compose-cluster.js';
import {
  composeKernelMirror,
  type KernelMirror,
  type KernelMirrorParts,
} from './composition/compose-kernel-mirror.js';
import {
  composeReconcile,
  type Delays,
  type Reconcile,
  type ReconcileComposition,
} from './composition/compose-reconcile.js';
import { composeServing, type Serving } from './composition/compose-serving.js';
import type { LiveSettings } from './config/live-settings.js';
import type { ChangeLog } from './history/change-log.js';
import type { EventRecorder } from './events/event-recorder.js';
import type { ConnectionSync } from './kernel/connection-sync.js';
import { kernelUpkeep, type KernelUpkeepParts } from './kernel/kernel-upkeep.js';
import { DesiredState } from '../plan/desired-state.js';
import type { Metrics } from './metrics/registry.js';
import { NodeNetwork } from './nodes/node-network.js';
import { defaultSyncRetryDelays } from './sync/failure-state.js';
import { SyncObservers } from './sync/sync-observer.js';
import type { SyncTrigger } from './sync/sync-trigger.js';

/** The kernel, as the parts of the daemon use it. */
export type KernelPorts = Pick<KernelMirrorParts, 'route' | 'nftables' | 'packetFamilies'> &
  Pick<ReconcileComposition, 'conntrack' | 'tableFile'> & {
    readonly ipvs: ReconcileComposition['ipvs'] & KernelUpkeepParts['ipvs'];
    /** The families that the kernel serves; those of this machine by default. */
    readonly families?: readonly Family[];
    readonly parameters?: KernelUpkeepParts['parameters'];
  };

export interface Composition extends Cluster, KernelMirror, Reconcile, Serving {
  readonly counters: OperationCounters;
  readonly drift: DriftCounters;
  /** What was changed lately, and why. */
  readonly changeLog: ChangeLog;
  /** The families that this node serves. */
  readonly families: readonly Family[];
  readonly connectionSync: ConnectionSync;
}

const defaultDelays: Delays = { retry: defaultRetryDelays, syncRetry: defaultSyncRetryDelays };

const logMissingIpv6 = (families: readonly Family[], log: Logger): void => {
  if (!families.includes('IPv6'))
    log.info(
      { event: 'ipv6-unavailable' },
      'No IPv6 on this node; IPv6 addresses of Services are not served',
    );
};

const packetRuleEvents =
  (drift: DriftCounters, metrics: Metrics, changeLog: ChangeLog): NonNullable<PacketRulesParts['onEvent']> =>
  (what, family) => {
    if (what === 'refused') return metrics.packetRulesRefused(family);
    changeLog.note({ event: 'rules-declared', ...(what === 'mended' ? { cause: 'drift' } : {}), family });
    if (what === 'mended') drift.count('packet-rule', 'differs');
  };

/** kube-ipvs0 was created: after the first sync, because another program deleted it. */
const dummyCreated = (
  settings: LiveSettings,
  changeLog: ChangeLog,
  drift: DriftCounters,
  { synced }: Serving['lastSync'],
): void => {
  const { dummyInterface } = settings.now.names;
  changeLog.note({ event: 'interface-created', cause: synced ? 'drift' : 'start', key: dummyInterface });
  if (synced) drift.count('interface', 'missing');
};

/** Connects the parts of the daemon: sources fill the store; the sync loop follows it and the events of the kernel. */
export const compose = (
  settings: LiveSettings,
  kernel: KernelPorts,
  events: EventRecorder,
  metrics: Metrics,
  log: Logger,
  delays: Delays = defaultDelays,
): Composition => {
  const counters = new OperationCounters();
  const drift = new DriftCounters(counters);
  const { families = servedFamilies() } = kernel;
  logMissingIpv6(families, log);
  const triggers = new Listeners<[SyncTrigger]>();
  const observer = new SyncObservers();
  const desired = new DesiredState(() => settings.now.vipBinding);
  const observed = new EngineState(desired);
  const network = new NodeNetwork();
  const history = composeChangeLog({ desired, observed, settings, metrics });
  const { changeLog } = history;
  const own = { settings, families, counters, drift, observed, network, events, log };
  const shared = { ...kernel, ...history, ...own };
  const context = { ...shared, notify: triggers.notify };
  const cluster = composeCluster({ ...context, desired, storeObserver: metrics });
  const onPacketRuleEvent = packetRuleEvents(drift, metrics, changeLog);
  const mirror = composeKernelMirror({ ...context, cluster, onPacketRuleEvent });
  const upkeep = kernelUpkeep(shared);
  const onFlowsCleaned = metrics.conntrackReconciled.bind(metrics);
  const parts = { ...context, cluster, mirror, upkeep, delays, observer, onFlowsCleaned };
  const reconcile = composeReconcile(parts);
  const serving = composeServing({ ...shared, ...mirror, ...reconcile, cluster, metrics, observer });
  triggers.add((trigger) => reconcile.syncLoop.handle(trigger));
  serving.onSynced(() => reconcile.deletedNodes.checkSuspects());
  mirror.onDummyCreated(() => dummyCreated(settings, changeLog, drift, serving.lastSync));
  const { connectionSync } = upkeep;
  const facts = { counters, drift, changeLog, families, connectionSync };
  return { ...cluster, ...mirror, ...reconcile, ...serving, ...facts };
};
