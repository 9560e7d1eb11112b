import { CounterMap } from '../../base/collections/counter-map.js';
import type { IpAddress } from '../../base/ip.js';
import { operationIdentity, type IpvsOperation, type Outcome } from '../../model/operation.js';
import {
  addressOfServer,
  virtualServerKey,
  type RealServer,
  type VirtualServer,
  type VirtualServerIdentity,
  type VirtualServerKey,
} from '../../model/virtual-server.js';
import type { ElementKey } from '../../nftables/declarations.js';
import type { DrainingServers } from '../../plan/drain/drain-step.js';
import { orphanKeys, type Orphan } from '../../plan/drain/orphan.js';
import type { VirtualServerOwners } from '../../plan/ownership/foreign-virtual-servers.js';
import { vipElement } from '../../plan/packet-rules/packet-elements.js';
import type { DirtyKeySet } from './dirty-key-set.js';
import { DrainIndex } from './drain-index.js';
import { ObservedServer, type ObservedVirtualServer } from './observed-server.js';
import { OrphanIndex } from './orphan-index.js';
import {
  nextStatus,
  unknownToUs,
  type VirtualServerEvent,
  type VirtualServerStatus,
} from './virtual-server-status.js';

/** Everything known about one virtual server, except what Services define. */
interface Entry {
  readonly key: VirtualServerKey;
  readonly identity: VirtualServerIdentity;
  status: VirtualServerStatus;
  /** Undefined if the kernel does not have the virtual server or kube-ipvs does not own it. */
  observed: ObservedServer | undefined;
  orphan: Orphan | undefined;
  /** Ownership markers that stay until the virtual server is deleted. */
  markers: Set<ElementKey> | undefined;
  /** Counts observations. An observation that started before the latest one is stale. */
  revision: number;
}

type Services = Pick<VirtualServerOwners, 'ownerOf' | 'elementsOf'>;

/** Whether the kernel may have a virtual server that kube-ipvs owns. */
const mayHold = ({ kind }: VirtualServerStatus): boolean =>
  kind === 'in-sync' || kind === 'unconfirmed' || kind === 'unreadable';

const isContended = (status: VirtualServerStatus): boolean => status.kind === 'unconfirmed' && status.exists;

/** The event that an outcome other than success represents. */
const eventOf = (operation: IpvsOperation, outcome: Outcome): VirtualServerEvent => {
  const isCreation = operation.kind === 'add-virtual-server';
  if (outcome.status !== 'failed') return { kind: isCreation ? 'creation-unanswered' : 'unanswered' };
  return { kind: isCreation && outcome.errno === 'EEXIST' ? 'exists' : 'refused' };
};

/**
 * The virtual servers of the kernel and their status. Each entry has everything known about one virtual
 * server, and the indexes derive from the entries. A change of an entry adds the keys whose desired state it
 * affects to the dirty keys.
 */
export class VirtualServerEntries {
  readonly #entries = new Map<VirtualServerKey, Entry>();
  /** The entries with a rare status, by status. */
  readonly #byStatus = {
    unconfirmed: new Map<VirtualServerKey, VirtualServerIdentity>(),
    unreadable: new Map<VirtualServerKey, VirtualServerIdentity>(),
    foreign: new Map<VirtualServerKey, VirtualServerIdentity>(),
  };
  /** Addresses with an unreadable virtual server, and with one whose creation failed with EEXIST. */
  readonly #unreadableAddresses = new CounterMap<IpAddress>();
  readonly #contendedAddresses = new CounterMap<IpAddress>();
  readonly orphans = new OrphanIndex();
  readonly drains = new DrainIndex((key) => this.#byStatus.unreadable.has(key));
  /** The entries with held ownership markers. */
  readonly #withMarkers = new Set<VirtualServerKey>();
  #observedCount = 0;
  /** Caches the last key, because consecutive operations usually share their virtual server. */
  #lastKey: { readonly identity: VirtualServerIdentity; readonly key: VirtualServerKey } | undefined;

  constructor(
    private readonly dirty: DirtyKeySet,
    private readonly services: Services,
  ) {}

  // ---- queries

  observed(key: VirtualServerKey): ObservedVirtualServer | undefined {
    return this.#entries.get(key)?.observed;
  }

  status(key: VirtualServerKey): VirtualServerStatus {
    return this.#entries.get(key)?.status ?? unknownToUs;
  }

  /** The current revision. Take it before an observation starts and pass it to `read`. */
  revision(key: VirtualServerKey): number {
    return this.#entries.get(key)?.revision ?? 0;
  }

  /** The number of owned virtual servers in the kernel. */
  get observedCount(): number {
    return this.#observedCount;
  }

  /** The keys of the owned virtual servers in the kernel. */
  *observedKeys(): Iterable<VirtualServerKey> {
    for (const { key, observed } of this.#entries.values()) if (observed !== undefined) yield key;
  }

  *observedServers(): Iterable<ObservedVirtualServer> {
    for (const { observed } of this.#entries.values()) if (observed !== undefined) yield observed;
  }

  /** Virtual servers that must be read before the next operation on them. */
  get unconfirmed(): ReadonlyMap<VirtualServerKey, VirtualServerIdentity> {
    return this.#byStatus.unconfirmed;
  }

  get foreign(): ReadonlyMap<VirtualServerKey, VirtualServerIdentity> {
    return this.#byStatus.foreign;
  }

  /** Whether the address has an unreadable virtual server, which may have connections. */
  hasUnreadable(address: IpAddress): boolean {
    return this.#unreadableAddresses.has(address);
  }

  /** Whether the kernel rejected its creation because it exists, and it was not read since. */
  isContended(key: VirtualServerKey): boolean {
    return isContended(this.status(key));
  }

  hasContended(address: IpAddress): boolean {
    return this.#contendedAddresses.has(address);
  }

  /** Whether an unanswered request of kube-ipvs may have created the virtual server. */
  mayBeOurs(key: VirtualServerKey): boolean {
    const status = this.status(key);
    return 'mayBeOurs' in status && status.mayBeOurs;
  }

  // ---- changes

  record(operation: IpvsOperation, outcome: Outcome): void {
    const identity = operationIdentity(operation);
    const entry = this.#entryOf(identity);
    entry.revision += 1;
    if (outcome.status === 'applied') this.#recordApplied(entry, operation);
    else this.#moveTo(entry, eventOf(operation, outcome));
    this.#dropIfEmpty(entry);
  }

  #recordApplied(entry: Entry, operation: IpvsOperation): void {
    switch (operation.kind) {
      case 'add-virtual-server':
        this.#setObserved(entry, new ObservedServer(operation.server));
        return this.#moveTo(entry, { kind: 'created' });
      case 'update-virtual-server':
        if (entry.observed !== undefined) entry.observed.server = operation.server;
        return this.#moveTo(entry, { kind: 'changed' });
      case 'delete-virtual-server':
        this.#setObserved(entry, undefined);
        return this.#moveTo(entry, { kind: 'deleted' });
      case 'add-real-server':
      case 'update-real-server':
        entry.observed?.setRealServer(operation.server);
        return undefined;
      case 'delete-real-server':
        entry.observed?.deleteRealServer(operation.server.key);
        return undefined;
    }
  }

  /** Records the result of a read; undefined if it is absent. Ignores a stale observation. */
  read(
    identity: VirtualServerIdentity,
    found: { readonly server: VirtualServer; readonly realServers: Iterable<RealServer> } | undefined,
    { isAdopted, revision }: { readonly isAdopted: boolean; readonly revision: number },
  ): void {
    const entry = this.#entryOf(identity);
    if (entry.revision !== revision) return;
    this.#moveTo(entry, found === undefined ? { kind: 'read-absent' } : { kind: 'read-present', isAdopted });
    if (found !== undefined && mayHold(entry.status))
      this.#setObserved(entry, new ObservedServer(found.server, found.realServers));
    this.#dropIfEmpty(entry);
  }

  /** Records a virtual server that a full dump listed, without its real servers. */
  list(server: VirtualServer): void {
    const entry = this.#entryOf(server.identity);
    this.#setObserved(entry, new ObservedServer(server, entry.observed?.realServers.values()));
    this.#moveTo(entry, { kind: 'listed-ours' });
  }

  apply(identity: VirtualServerIdentity, event: VirtualServerEvent): void {
    const entry = this.#entryOf(identity);
    this.#moveTo(entry, event);
    this.#dropIfEmpty(entry);
  }

  /** Records the foreign virtual servers of a full dump. Unlisted foreign ones are absent. */
  setForeign(listed: ReadonlyMap<VirtualServerKey, VirtualServerIdentity>): void {
    for (const [key, identity] of this.#byStatus.foreign)
      if (!listed.has(key)) this.apply(identity, { kind: 'not-listed' });
    for (const identity of listed.values()) this.apply(identity, { kind: 'listed-foreign' });
  }

  /** Records that unconfirmed virtual servers which a full dump does not list are absent. */
  endDoubt(isListed: (key: VirtualServerKey) => boolean): void {
    for (const [key, identity] of this.#byStatus.unconfirmed)
      if (!isListed(key) && this.observed(key) === undefined) this.apply(identity, { kind: 'read-absent' });
  }

  /** Schedules a read of the unreadable virtual servers among these keys that are not refused in this run. */
  retryUnreadable(keys: Iterable<VirtualServerKey>, isRefused: (key: VirtualServerKey) => boolean): void {
    if (this.#byStatus.unreadable.size === 0) return;
    for (const key of keys) {
      const identity = this.#byStatus.unreadable.get(key);
      if (identity !== undefined && !isRefused(key)) this.apply(identity, { kind: 'retry-due' });
    }
  }

  setOrphan(key: VirtualServerKey, orphan: Orphan | undefined): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.orphans.replace(key, entry.orphan, orphan);
    for (const each of [entry.orphan, orphan]) if (each !== undefined) this.#addDirty(orphanKeys(each));
    entry.orphan = orphan;
    this.#dropIfEmpty(entry);
  }

  /** A Service may have taken these frontends, or given them up: where one leads to an orphan depends on that. */
  recheckLeadingElements(frontends: Iterable<VirtualServerKey>): void {
    for (const frontend of frontends) {
      const element = this.orphans.leadingElement(frontend);
      if (element !== undefined) this.dirty.addElement(element);
    }
  }

  setDraining(key: VirtualServerKey, servers: DrainingServers): void {
    for (const record of this.drains.replace(key, servers)) this.dirty.addElement(record);
  }

  /** Keeps the ownership marker; without it the next process would take the virtual server for foreign. */
  holdMarker(key: VirtualServerKey, marker: ElementKey): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    (entry.markers ??= new Set()).add(marker);
    this.#withMarkers.add(key);
  }

  /** Adds the held ownership markers of these virtual servers to the dirty keys. */
  releaseMarkers(keys: Iterable<VirtualServerKey>): void {
    if (this.#withMarkers.size === 0) return;
    for (const key of keys) this.#releaseMarkers(this.#entries.get(key));
  }

  // ---- entries and indexes

  #entryOf(identity: VirtualServerIdentity): Entry {
    if (this.#lastKey?.identity !== identity) this.#lastKey = { identity, key: virtualServerKey(identity) };
    const { key } = this.#lastKey;
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      const [observed, orphan, markers] = [undefined, undefined, undefined];
      entry = { key, identity, status: unknownToUs, observed, orphan, markers, revision: 0 };
      this.#entries.set(key, entry);
    }
    return entry;
  }

  #setObserved(entry: Entry, observed: Entry['observed']): void {
    this.#observedCount += Number(observed !== undefined) - Number(entry.observed !== undefined);
    if (entry.observed !== undefined) entry.observed.page = undefined;
    entry.observed = observed;
    entry.revision += 1;
    if (observed === undefined) this.#releaseMarkers(entry);
  }

  #releaseMarkers(entry: Entry | undefined): void {
    if (entry?.markers === undefined) return;
    for (const marker of entry.markers) this.dirty.addElement(marker);
    entry.markers = undefined;
    this.#withMarkers.delete(entry.key);
  }

  #moveTo(entry: Entry, event: VirtualServerEvent): void {
    const before = entry.status;
    const after = nextStatus(before, event);
    if (before === after) return;
    entry.status = after;
    this.#index(entry, before, -1);
    this.#index(entry, after, 1);
    if (!mayHold(after)) this.#setObserved(entry, undefined);
    if ((before.kind === 'foreign') !== (after.kind === 'foreign')) this.#addDirtyOwned(entry);
    if (before.kind === 'unreadable' && after.kind !== 'unreadable') this.#endUnreadable(entry);
    if (isContended(before) && !isContended(after)) this.#addDirtyAddress(entry);
  }

  #index({ key, identity }: Entry, status: VirtualServerStatus, difference: 1 | -1): void {
    if (status.kind === 'absent' || status.kind === 'in-sync' || status.kind === 'missing') return;
    const index = this.#byStatus[status.kind];
    if (difference > 0) index.set(key, identity);
    else index.delete(key);
    const address = addressOfServer(identity);
    if (address === undefined) return;
    if (status.kind === 'unreadable') this.#unreadableAddresses.add(address, difference);
    if (isContended(status)) this.#contendedAddresses.add(address, difference);
  }

  /** The address was not unbound while it had an unreadable virtual server. */
  #endUnreadable(entry: Entry): void {
    this.drains.restoreDeadlines(entry.key);
    this.#addDirtyAddress(entry);
  }

  /** Operations on the address may have waited for the virtual server. */
  #addDirtyAddress({ identity }: Entry): void {
    const address = addressOfServer(identity);
    if (address === undefined) return;
    this.dirty.addAddress(address);
    this.dirty.addElement(vipElement(address).key);
  }

  /** The desired state of a Service depends on whether its virtual server is foreign. */
  #addDirtyOwned({ key, identity }: Entry): void {
    if (this.services.ownerOf(key) === undefined) return;
    this.dirty.addVirtualServer(key);
    const address = addressOfServer(identity);
    if (address !== undefined) {
      this.dirty.addAddress(address);
      this.dirty.addElement(vipElement(address).key);
    }
    for (const element of this.services.elementsOf(key)) this.dirty.addElement(element.key);
  }

  #addDirty({ virtualServers, addresses, elements }: ReturnType<typeof orphanKeys>): void {
    for (const key of virtualServers) this.dirty.addVirtualServer(key);
    for (const address of addresses) this.dirty.addAddress(address);
    for (const key of elements) this.dirty.addElement(key);
  }

  #dropIfEmpty({ key, status, observed, orphan }: Entry): void {
    if (status.kind === 'absent' && observed === undefined && orphan === undefined) this.#entries.delete(key);
  }
}
