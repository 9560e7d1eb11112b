import type { OperationCounters } from '../../apply/counters/operation-counters.js';
import type { Family } from '../../base/ip.js';
import type { Logger } from '../../base/log.js';
import type { PacketRules } from '../../apply/packet-rules/packet-rules.js';
import type { ForeignVirtualServers } from '../../plan/ownership/foreign-virtual-servers.js';
import { LastSync } from '../admin/last-sync.js';
import type { ChangeLog } from '../history/change-log.js';
import type { LiveSettings } from '../config/live-settings.js';
import type { EventRecorder, RecordedEvent } from '../events/event-recorder.js';
import { ForeignVirtualServerReporter } from '../ownership/foreign-virtual-server-reporter.js';
import { ownershipChanges } from '../ownership/ownership-changes.js';
import { OwnershipConflictReporter } from '../ownership/ownership-conflict-reporter.js';
import { SyncHealth } from '../serving/sync-health.js';
import { SyncListeners, type SyncObserver, type SyncObservers } from '../sync/sync-observer.js';
import type { Cluster } from './compose-cluster.js';

/** What other programs and people learn about the syncs. */
export interface Serving {
  readonly health: SyncHealth;
  readonly lastSync: LastSync;
  /** Adds a listener that is called after each sync that succeeded. */
  readonly onSynced: (listener: () => void) => void;
  /** The Events of the problems that Services have now. */
  readonly problemEvents: () => Iterable<RecordedEvent>;
}

export interface ServingComposition {
  readonly families: readonly Family[];
  readonly packetRules: Pick<PacketRules, 'hasFailed'>;
  readonly settings: LiveSettings;
  readonly counters: Pick<OperationCounters, 'counts' | 'totals'>;
  readonly cluster: Cluster;
  readonly foreignVirtualServers: ForeignVirtualServers;
  readonly metrics: SyncObserver;
  /** Where the parts that observe the sync loop are added. */
  readonly observer: SyncObservers;
  readonly events: EventRecorder;
  readonly changeLog: Pick<ChangeLog, 'note'>;
  readonly log: Logger;
}

export const composeServing = (parts: ServingComposition): Serving => {
  const { cluster, settings, packetRules, foreignVirtualServers, events, log } = parts;
  const health = new SyncHealth({
    families: parts.families,
    hasFailed: (family) => packetRules.hasFailed(family),
    timeout: () => 2 * settings.now.syncPeriod,
  });
  const listeners = new SyncListeners();
  const lastSync = new LastSync(parts.counters);
  const conflictReporter = new OwnershipConflictReporter({
    foreignVirtualServers,
    uidOf: (service) => cluster.store.service(service)?.uid,
    events,
    note: parts.changeLog.note,
    log,
  });
  const foreignReporter = new ForeignVirtualServerReporter(foreignVirtualServers, log);
  const changes = ownershipChanges(() => foreignVirtualServers.keys());
  listeners.add(() => {
    const changed = changes();
    conflictReporter.report(changed);
    foreignReporter.report(changed);
  });
  parts.observer.add(health, listeners, parts.metrics, lastSync);
  return {
    health,
    lastSync,
    onSynced: (listener) => listeners.add(listener),
    *problemEvents() {
      yield* cluster.desiredStateUpdater.problemEvents();
      yield* conflictReporter.problemEvents();
    },
  };
};
