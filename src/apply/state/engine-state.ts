import type { Family, IpAddress } from '../../base/ip.js';
import type {
  AddressOperation,
  DeferrableOutcome,
  ElementOperation,
  Operation,
  Outcome,
} from '../../model/operation.js';
import type { Paces, PaceSettings } from '../../model/pace.js';
import type { BoundVips, VipBinding, VipBindings } from '../../model/settings/vip-binding.js';
import type { VirtualServerKey } from '../../model/virtual-server.js';
import type { ElementKey, SetElement } from '../../nftables/declarations.js';
import { dirtyKeys, type DirtyKeys, type ObservedView } from '../../plan/operations/diff.js';
import type { VirtualServerOwners } from '../../plan/ownership/foreign-virtual-servers.js';
import { AddressEntries } from './address-entries.js';
import { DirtyKeySet } from './dirty-key-set.js';
import { ElementEntries } from './element-entries.js';
import type { ObservedVirtualServer } from './observed-server.js';
import { PaceIndex } from './pace-index.js';
import { VirtualServerEntries } from './virtual-server-entries.js';

const noServices: Pick<VirtualServerOwners, 'ownerOf' | 'elementsOf'> = {
  ownerOf: () => undefined,
  elementsOf: () => [],
};

/**
 * The state of the engine: the observed objects of the kernel, and the status of each virtual server, address
 * and element. It changes only with outcomes of operations, reads and notifications.
 */
export class EngineState implements ObservedView {
  readonly #dirty = new DirtyKeySet();
  readonly virtualServers: VirtualServerEntries;
  readonly paces = new PaceIndex();
  readonly #addresses = new AddressEntries();
  readonly #elements = new ElementEntries();

  constructor(services = noServices) {
    this.virtualServers = new VirtualServerEntries(this.#dirty, services);
  }

  virtualServer(key: VirtualServerKey): ObservedVirtualServer | undefined {
    return this.virtualServers.observed(key);
  }

  virtualServerKeys(): Iterable<VirtualServerKey> {
    return this.virtualServers.observedKeys();
  }

  bindings(address: IpAddress): VipBindings {
    return this.#addresses.bindings(address);
  }

  /** The VIPs that are bound. */
  addresses(): Iterable<IpAddress> {
    return this.#addresses.present();
  }

  element(key: ElementKey): SetElement | undefined {
    return this.#elements.get(key);
  }

  *elementsOf(family: Family): Iterable<SetElement> {
    for (const element of this.#elements.present()) if (element.family === family) yield element;
  }

  *elementKeys(): Iterable<ElementKey> {
    for (const { key } of this.#elements.present()) yield key;
  }

  /** The keys of all observed objects. */
  keys(): DirtyKeys {
    return dirtyKeys({
      virtualServers: new Set(this.virtualServerKeys()),
      addresses: new Set(this.addresses()),
      elements: new Set(this.elementKeys()),
    });
  }

  /** The number of objects in the kernel. Visits every virtual server. */
  sizes(): Readonly<Record<'virtualServers' | 'realServers' | 'addresses' | 'elements', number>> {
    let realServers = 0;
    for (const observed of this.virtualServers.observedServers()) realServers += observed.realServers.size;
    return {
      virtualServers: this.virtualServers.observedCount,
      realServers,
      addresses: this.#addresses.size,
      elements: this.#elements.size,
    };
  }

  /** The keys whose desired state changed since the last call because this state changed. */
  takeDirty(): DirtyKeys {
    return this.#dirty.take();
  }

  /** The desired record with this key, of a drain or of a quarantine. */
  drainRecord(key: ElementKey): SetElement | undefined {
    return this.virtualServers.drains.record(key) ?? this.paces.record(key);
  }

  /** Replaces the paces of a virtual server. `records` are the elements that record its quarantines. */
  setPaces(
    key: VirtualServerKey,
    paces: Paces,
    settings: PaceSettings,
    records: readonly SetElement[],
  ): void {
    for (const changed of this.paces.replace(key, paces, settings, records)) this.#dirty.addElement(changed);
  }

  deletePaces(key: VirtualServerKey): void {
    for (const removed of this.paces.delete(key)) this.#dirty.addElement(removed);
  }

  /** Records all elements of these families. Returns the keys to compare. */
  setElements(elements: readonly SetElement[], families?: readonly Family[]): ReadonlySet<ElementKey> {
    const hasRecords = this.virtualServers.drains.size + this.paces.counts.quarantined > 0;
    for (const { key, comment } of elements) {
      const record = hasRecords ? this.drainRecord(key) : undefined;
      if (record !== undefined && record.comment !== comment) this.#dirty.addElement(key);
    }
    return this.#elements.read(elements, families);
  }

  /** Records all VIPs that are bound. Returns those whose bindings changed. */
  setAddresses(bound: BoundVips): ReadonlySet<IpAddress> {
    return this.#addresses.read(bound);
  }

  /**
   * Records a notification about a binding of a VIP. Returns whether it differs from the result that
   * kube-ipvs's own operations lead to.
   */
  notifyAddress(address: IpAddress, binding: VipBinding, present: boolean): boolean {
    return this.#addresses.notify(address, binding, present);
  }

  /** Records that operations on addresses leave now: later notifications are newer than their outcomes. */
  sendAddresses(operations: readonly AddressOperation[]): void {
    this.#addresses.send(operations);
  }

  record(operation: Operation, outcome: Outcome): void {
    if ('address' in operation) this.#addresses.record(operation, outcome);
    else if ('element' in operation) this.recordElement(operation, outcome);
    else this.virtualServers.record(operation, outcome);
  }

  /**
   * A drain record with another comment is deleted first and then added again, so its deletion makes the key
   * dirty.
   */
  recordElement(operation: ElementOperation, outcome: DeferrableOutcome): void {
    this.#elements.record(operation, outcome);
    const { key } = operation.element;
    if (operation.kind === 'delete-element' && this.drainRecord(key) !== undefined)
      this.#dirty.addElement(key);
  }
}
