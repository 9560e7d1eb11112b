import {
  isOwnSyncDaemon,
  isSameSyncDaemon,
  syncRoles,
  type SyncAddresses,
  type SyncDaemon,
  type SyncRole,
} from '../model/sync-daemon.js';

export interface SyncDaemonFacts {
  /** One of each role, or none. */
  readonly desired: readonly SyncDaemon[];
  readonly observed: readonly SyncDaemon[];
  /** The addresses of this instance. */
  readonly own: SyncAddresses;
  /** Whether the threads that run are those that are desired, and still belong to the interface. */
  readonly isIntact: boolean;
}

export interface SyncDaemonPlan {
  /** Before the others start. */
  readonly stop: readonly SyncRole[];
  readonly start: readonly SyncDaemon[];
  /** Daemons of other programs, which are never touched; the kernel runs one of each role. */
  readonly foreign: readonly SyncDaemon[];
}

/** Decides which daemons stop and start. The kernel restarts none: a daemon with other settings stops first. */
export const planSyncDaemons = ({ desired, observed, own, isIntact }: SyncDaemonFacts): SyncDaemonPlan => {
  const stop: SyncRole[] = [];
  const start: SyncDaemon[] = [];
  const foreign = observed.filter((daemon) => !isOwnSyncDaemon(daemon, own));
  for (const role of syncRoles) {
    if (foreign.some((daemon) => daemon.role === role)) continue;
    const before = observed.find((daemon) => daemon.role === role);
    const wanted = desired.find((daemon) => daemon.role === role);
    const stays =
      before !== undefined && wanted !== undefined && isSameSyncDaemon(before, wanted) && isIntact;
    if (stays) continue;
    if (before !== undefined) stop.push(role);
    if (wanted !== undefined) start.push(wanted);
  }
  return { stop, start, foreign };
};
