import type { IpAddress } from '../../base/ip.js';
import type { AddressOperation, Outcome } from '../../model/operation.js';
import {
  isExpected,
  isOnDevice,
  nextAddressStatus,
  type AddressEvent,
  type AddressStatus,
} from './address-status.js';

/** The addresses of kube-ipvs0 and their status. An absent address has no entry. */
export class AddressEntries {
  readonly #entries = new Map<IpAddress, AddressStatus>();

  has(address: IpAddress): boolean {
    return isOnDevice(this.#status(address));
  }

  *present(): Iterable<IpAddress> {
    for (const [address, status] of this.#entries) if (isOnDevice(status)) yield address;
  }

  get size(): number {
    return this.#entries.size;
  }

  send(operations: readonly AddressOperation[]): void {
    for (const { kind, address } of operations)
      this.#apply(address, kind === 'bind-address' ? 'bind-sent' : 'unbind-sent');
  }

  record({ address }: AddressOperation, outcome: Outcome): void {
    this.#apply(address, outcome.status === 'applied' ? 'applied' : 'refused');
  }

  /**
   * Records a notification. Returns whether it differs from the result that kube-ipvs's own operations lead
   * to.
   */
  notify(address: IpAddress, present: boolean): boolean {
    const isUnexpected = isExpected(this.#status(address)) !== present;
    this.#apply(address, present ? 'notified-present' : 'notified-absent');
    return isUnexpected;
  }

  /** Records a dump of all addresses. Returns those that were added or removed. */
  read(addresses: Iterable<IpAddress>): ReadonlySet<IpAddress> {
    const found = new Set(addresses);
    const changed = new Set<IpAddress>();
    for (const address of this.#entries.keys())
      if (!found.has(address)) {
        changed.add(address);
        this.#apply(address, 'read-absent');
      }
    for (const address of found) {
      if (!this.has(address)) changed.add(address);
      this.#apply(address, 'read-present');
    }
    return changed;
  }

  #status(address: IpAddress): AddressStatus {
    return this.#entries.get(address) ?? 'absent';
  }

  #apply(address: IpAddress, event: AddressEvent): void {
    const status = nextAddressStatus(this.#status(address), event);
    if (status === 'absent') this.#entries.delete(address);
    else this.#entries.set(address, status);
  }
}
