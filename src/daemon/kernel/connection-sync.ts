import type { DriftCounters } from '../../apply/counters/drift-counters.js';
import { Backoff, type BackoffOptions } from '../../base/async.js';
import { messageOf } from '../../base/errors.js';
import type { IpAddress } from '../../base/ip.js';
import type { Logger } from '../../base/log.js';
import { StateLog } from '../../base/state-log.js';
import type { ConnectionSyncSettings } from '../../config/kube-ipvs/connection-sync.js';
import type { Settings } from '../../config/settings.js';
import type { IpvsClient } from '../../kernel/ipvs/client.js';
import {
  formatSyncDaemon,
  isOwnSyncDaemon,
  syncAddresses,
  syncRoles,
  type SyncDaemon,
  type SyncRole,
} from '../../model/sync-daemon.js';
import { NetlinkError } from '../../netlink/errors.js';
import { planSyncDaemons, type SyncDaemonPlan } from '../../plan/sync-daemons.js';
import type { LiveSettings } from '../config/live-settings.js';

export type SyncDaemonClient = Pick<IpvsClient, 'syncDaemons' | 'startSyncDaemon' | 'stopSyncDaemon'>;

export interface ConnectionSyncParts {
  readonly ipvs: SyncDaemonClient;
  readonly settings: LiveSettings;
  /** How many threads of the backup receive the messages to the address on the interface. */
  readonly receivers: (interfaceName: string, address: IpAddress) => number;
  readonly drift: Pick<DriftCounters, 'count'>;
  readonly log: Logger;
  readonly delays?: BackoffOptions;
  /** A monotonic clock in milliseconds. */
  readonly now?: () => number;
}

export interface SyncDaemonStatus {
  /** `foreign`: another program runs the daemon of this role, and so kube-ipvs cannot. */
  readonly status: 'running' | 'stopped' | 'foreign';
  /** The one that runs. */
  readonly daemon?: SyncDaemon;
  /** Why the desired one does not run. */
  readonly problem?: string;
}

const defaultDelays: BackoffOptions = { firstMilliseconds: 1_000, maximumMilliseconds: 60_000 };

/** The daemons that the settings ask for. */
const desiredDaemons = ({
  connectionSync,
  names,
}: Pick<Settings, 'connectionSync' | 'names'>): readonly SyncDaemon[] => {
  if (connectionSync === undefined) return [];
  const { interface: name, group, ipFamily, port, ttl } = connectionSync;
  const address = syncAddresses(names.serviceProxyName)[ipFamily];
  return syncRoles.map((role) => ({ role, interface: name, syncId: group, address, port, ttl }));
};

/** Whether the threads of running daemons must be replaced. The kernel reads the size of a buffer only at their start. */
const needsOtherSockets = (next: ConnectionSyncSettings | undefined, before: typeof next): boolean =>
  next !== undefined && before !== undefined && next.socketBufferSize !== before.socketBufferSize;

const foreignProblem = (daemon: SyncDaemon): string =>
  `another program runs the daemon (${formatSyncDaemon(daemon)}), and the kernel has one of each role. ` +
  `Stop it if no program needs it: ipvsadm --stop-daemon ${daemon.role}`;

/** What is known of each role after a check. */
const statesOf = (
  desired: readonly SyncDaemon[],
  foreign: readonly SyncDaemon[],
  problems: ReadonlyMap<SyncRole, string>,
): ReadonlyMap<SyncRole, SyncDaemonStatus> => {
  const states = new Map<SyncRole, SyncDaemonStatus>();
  for (const daemon of desired) {
    const problem = problems.get(daemon.role);
    states.set(
      daemon.role,
      problem === undefined ? { status: 'running', daemon } : { status: 'stopped', problem },
    );
  }
  for (const daemon of foreign) {
    const problem = states.has(daemon.role) ? { problem: foreignProblem(daemon) } : {};
    states.set(daemon.role, { status: 'foreign', daemon, ...problem });
  }
  return states;
};

/** Keeps the kernel's two daemons that synchronize connections as the settings have them. Daemons of other programs are never touched. */
export class ConnectionSync {
  readonly #failures = new StateLog<SyncRole>();
  readonly #backoff: Backoff;
  readonly #now: () => number;
  #states: ReadonlyMap<SyncRole, SyncDaemonStatus> = new Map();
  #isDue = true;
  #mustRestart = false;
  #retryAt: number | undefined;
  #failedStarts = 0;
  #receivers: number | undefined;

  constructor(private readonly parts: ConnectionSyncParts) {
    this.#backoff = new Backoff(parts.delays ?? defaultDelays);
    this.#now = parts.now ?? (() => performance.now());
    parts.settings.onChange((next, before) => {
      if (JSON.stringify(next.connectionSync) === JSON.stringify(before.connectionSync)) return;
      this.invalidate();
      this.#mustRestart ||= needsOtherSockets(next.connectionSync, before.connectionSync);
      this.#backoff.reset();
    });
  }

  /** By role; empty where connections are not synchronized and no daemon runs. */
  get states(): ReadonlyMap<SyncRole, SyncDaemonStatus> {
    return this.#states;
  }

  /** How often the kernel refused to start a daemon. */
  get failedStarts(): number {
    return this.#failedStarts;
  }

  /** Milliseconds until `check` should run again; undefined: not before the next resync. */
  get retryDelay(): number | undefined {
    return this.#retryAt === undefined ? undefined : Math.max(0, this.#retryAt - this.#now());
  }

  /** The kernel may have other daemons than before, or none. */
  invalidate(): void {
    this.#isDue = true;
    this.#receivers = undefined;
  }

  /** Checks after the start and after changes of the settings. */
  async checkIfDue(): Promise<void> {
    if (this.#isDue) await this.check();
  }

  /** Starts and stops daemons as the settings have them. Rejects only if IPVS is gone. */
  async check(): Promise<void> {
    const { settings, ipvs } = this.parts;
    const desired = desiredDaemons(settings.now);
    if (!this.#isDue && desired.length === 0 && this.#states.size === 0) return;
    this.#retryAt = undefined;
    try {
      const plan = this.#plan(desired, await ipvs.syncDaemons());
      const problems = await this.#carryOut(plan);
      this.#report(statesOf(desired, plan.foreign, problems));
      this.#receivers = this.#countReceivers();
      this.#isDue = desired.length === 0 && problems.size > 0;
      this.#mustRestart = false;
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      this.#report(statesOf(desired, [], new Map(syncRoles.map((role) => [role, messageOf(error)]))));
    }
  }

  #plan(desired: readonly SyncDaemon[], observed: readonly SyncDaemon[]): SyncDaemonPlan {
    const { connectionSync, names } = this.parts.settings.now;
    const own = syncAddresses(names.serviceProxyName);
    const backup = observed.find((daemon) => daemon.role === 'backup' && isOwnSyncDaemon(daemon, own));
    const receivers = backup && this.parts.receivers(backup.interface, backup.address);
    const isReceiving =
      receivers === undefined || receivers === connectionSync?.threads || receivers === this.#receivers;
    return planSyncDaemons({ desired, observed, own, isIntact: isReceiving && !this.#mustRestart });
  }

  /** Of the backup as it was started: the kernel may run fewer threads than configured, which a restart does not change. */
  #countReceivers(): number | undefined {
    const { status, daemon } = this.#states.get('backup') ?? {};
    return status === 'running' && daemon !== undefined
      ? this.parts.receivers(daemon.interface, daemon.address)
      : undefined;
  }

  /** Resolves to what the kernel refused, by role. */
  async #carryOut({ stop, start }: SyncDaemonPlan): Promise<ReadonlyMap<SyncRole, string>> {
    const { ipvs, log } = this.parts;
    const problems = new Map<SyncRole, string>();
    for (const role of stop) {
      const reason = await ipvs.stopSyncDaemon(role);
      if (reason !== undefined) problems.set(role, reason);
      else if (!start.some((daemon) => daemon.role === role))
        log.info({ event: 'connection-sync-stopped', role }, 'Connection synchronization stopped');
    }
    for (const daemon of start) {
      const reason = problems.get(daemon.role) ?? (await ipvs.startSyncDaemon(daemon));
      if (reason === undefined) this.#noteStart(daemon, stop.includes(daemon.role));
      else {
        this.#failedStarts += 1;
        problems.set(daemon.role, reason);
      }
    }
    return problems;
  }

  #noteStart(daemon: SyncDaemon, isRestart: boolean): void {
    if (!this.#isDue && this.#states.get(daemon.role)?.status === 'running')
      this.parts.drift.count('sync-daemon', isRestart ? 'differs' : 'missing');
    this.parts.log.info(
      { event: 'connection-sync-started', ...daemon },
      isRestart ? 'Connection synchronization started again' : 'Connection synchronization started',
    );
  }

  /** Keeps the states, logs problems that are new, and schedules the next attempt. */
  #report(states: ReadonlyMap<SyncRole, SyncDaemonStatus>): void {
    this.#states = states;
    const problems = new Map<SyncRole, string>();
    for (const [role, { problem }] of states) if (problem !== undefined) problems.set(role, problem);
    this.#failures.endOthers(problems);
    for (const [role, problem] of problems)
      this.#failures.begin(role, problem, () =>
        this.parts.log.warn(
          { event: 'connection-sync-failed', role, problem },
          'Connections not synchronized; trying again',
        ),
      );
    if (problems.size === 0) this.#backoff.reset();
    else this.#retryAt = this.#now() + this.#backoff.next();
  }
}
