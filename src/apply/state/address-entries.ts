import type { IpAddress } from '../../base/ip.js';
import type { AddressOperation, Outcome } from '../../model/operation.js';
import {
  vipBindingNames,
  vipBindings,
  type BoundVips,
  type VipBinding,
  type VipBindings,
} from '../../model/settings/vip-binding.js';
import {
  isExpected,
  isInKernel,
  nextAddressStatus,
  type AddressEvent,
  type AddressStatus,
} from './address-status.js';

type Statuses = Map<IpAddress, AddressStatus>;

/** The VIPs and the status of each of their bindings. An absent binding has no entry. */
export class AddressEntries {
  readonly #entries: Readonly<Record<VipBinding, Statuses>> = { address: new Map(), route: new Map() };

  bindings(address: IpAddress): VipBindings {
    return vipBindings({
      address: isInKernel(this.#status('address', address)),
      route: isInKernel(this.#status('route', address)),
    });
  }

  /** The VIPs that have a binding. */
  *present(): Iterable<IpAddress> {
    const { address: byAddress, route: byRoute } = this.#entries;
    for (const [address, status] of byAddress) if (isInKernel(status)) yield address;
    for (const [address, status] of byRoute)
      if (isInKernel(status) && !isInKernel(this.#status('address', address))) yield address;
  }

  /** The number of VIPs. */
  get size(): number {
    const { address: byAddress, route: byRoute } = this.#entries;
    let shared = 0;
    if (byAddress.size > 0) for (const address of byRoute.keys()) if (byAddress.has(address)) shared += 1;
    return byAddress.size + byRoute.size - shared;
  }

  send(operations: readonly AddressOperation[]): void {
    for (const { kind, address, binding } of operations)
      this.#apply(binding, address, kind === 'bind-address' ? 'bind-sent' : 'unbind-sent');
  }

  record({ address, binding }: AddressOperation, outcome: Outcome): void {
    this.#apply(binding, address, outcome.status === 'applied' ? 'applied' : 'refused');
  }

  /**
   * Records a notification. Returns whether it differs from the result that kube-ipvs's own operations lead
   * to.
   */
  notify(address: IpAddress, binding: VipBinding, present: boolean): boolean {
    const isUnexpected = isExpected(this.#status(binding, address)) !== present;
    this.#apply(binding, address, present ? 'notified-present' : 'notified-absent');
    return isUnexpected;
  }

  /** Records a dump of all VIPs. Returns those whose bindings changed. */
  read(bound: BoundVips): ReadonlySet<IpAddress> {
    const changed = new Set<IpAddress>();
    for (const binding of vipBindingNames) this.#read(binding, bound[binding], changed);
    return changed;
  }

  #read(binding: VipBinding, addresses: readonly IpAddress[], changed: Set<IpAddress>): void {
    const statuses = this.#entries[binding];
    for (const address of addresses) {
      const status = statuses.get(address);
      // As almost all of them are.
      if (status === 'bound') continue;
      if (!isInKernel(status ?? 'absent')) changed.add(address);
      this.#apply(binding, address, 'read-present');
    }
    const listed = new Set(addresses);
    // Every listed address has an entry now.
    if (statuses.size === listed.size) return;
    for (const address of statuses.keys()) {
      if (listed.has(address)) continue;
      changed.add(address);
      this.#apply(binding, address, 'read-absent');
    }
  }

  #status(binding: VipBinding, address: IpAddress): AddressStatus {
    return this.#entries[binding].get(address) ?? 'absent';
  }

  #apply(binding: VipBinding, address: IpAddress, event: AddressEvent): void {
    const before = this.#status(binding, address);
    const status = nextAddressStatus(before, event);
    if (status === 'absent') this.#entries[binding].delete(address);
    else if (status !== before) this.#entries[binding].set(address, status);
  }
}
