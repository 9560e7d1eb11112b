import { syncDaemonFrom, type syncDaemonAttributes } from '../../../src/kernel/ipvs/sync-daemons.js';
import { syncRoles, type SyncDaemon, type SyncRole } from '../../../src/model/sync-daemon.js';
import type { Decoded } from '../../../src/netlink/codec/attributes.js';
import { Refusal } from './answer.js';

export type SyncDaemonRecord = Decoded<typeof syncDaemonAttributes>;

/** The daemons of net/netfilter/ipvs/ip_vs_sync.c: one of each role, on an interface that exists. */
export class FakeSyncDaemons {
  readonly #running = new Map<SyncRole, SyncDaemonRecord>();

  /** The interfaces that daemons can use. */
  readonly interfaces = new Set(['eth0']);

  /** In the order of a dump. */
  records(): readonly SyncDaemonRecord[] {
    return syncRoles.flatMap((role) => this.#running.get(role) ?? []);
  }

  daemons(): readonly SyncDaemon[] {
    return this.records().map(syncDaemonFrom);
  }

  start(record: SyncDaemonRecord | undefined): void {
    const { role, interface: name } = record ?? {};
    if (record === undefined || name === undefined || (role !== 'master' && role !== 'backup'))
      throw new Refusal('EINVAL');
    if (!this.interfaces.has(name)) throw new Refusal('ENODEV');
    if (this.#running.has(role)) throw new Refusal('EEXIST');
    this.#running.set(role, record);
  }

  stop(record: SyncDaemonRecord | undefined): void {
    const { role } = record ?? {};
    if (role !== 'master' && role !== 'backup') throw new Refusal('EINVAL');
    if (!this.#running.delete(role)) throw new Refusal('ESRCH');
  }
}
