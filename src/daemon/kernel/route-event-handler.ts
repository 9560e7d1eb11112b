import { isVip, type DummyInterface } from '../../apply/addresses/dummy-interface.js';
import type { NodeAddresses } from '../../apply/addresses/node-addresses.js';
import type { EngineState } from '../../apply/state/engine-state.js';
import type { IpAddress } from '../../base/ip.js';
import type { Link, LinkAddress } from '../../kernel/rtnetlink/convert.js';
import type { VipBinding } from '../../model/settings/vip-binding.js';
import type { RtnetlinkEvent } from '../../kernel/rtnetlink/events.js';

export interface RouteEventHandlerParts {
  readonly dummy: DummyInterface;
  readonly observed: EngineState;
  readonly nodeAddresses: NodeAddresses;
  /** An address of a node interface was added or removed. */
  readonly nodeChanged: () => void;
  /** Another program changed the bindings of these VIPs. */
  readonly vipsChanged: (addresses: Iterable<IpAddress>) => void;
  /** The addresses may belong to other interfaces now: all of them must be read again. */
  readonly rereadAddresses: () => void;
}

/** Applies link, address and route events: kube-ipvs0 is ours, every other interface is the node's. */
export class RouteEventHandler {
  constructor(private readonly parts: RouteEventHandlerParts) {}

  handle(event: RtnetlinkEvent): void {
    switch (event.kind) {
      case 'link':
        return this.#linkChanged(event.link);
      case 'link-gone':
        return this.#linkGone(event.link.index);
      case 'address':
        return this.#addressChanged(event.address, true);
      case 'address-gone':
        return this.#addressChanged(event.address, false);
      case 'route':
        return this.#vipChanged(event.vip, 'route', true);
      case 'route-gone':
        return this.#vipChanged(event.vip, 'route', false);
    }
  }

  /** Another program may rename our interface, or give its name to another one: then their addresses change owners too. */
  #linkChanged(link: Link): void {
    const { dummy, nodeAddresses, rereadAddresses } = this.parts;
    nodeAddresses.linkChanged(link);
    const isNamedAsOurs = link.name === dummy.name;
    if (isNamedAsOurs === (link.index === dummy.index)) return;
    dummy.forget();
    this.dummyReplaced();
    rereadAddresses();
  }

  #linkGone(index: number): void {
    const { dummy, nodeAddresses } = this.parts;
    if (index !== dummy.index) {
      if (nodeAddresses.linkRemoved(index)) this.parts.nodeChanged();
      return;
    }
    dummy.forget();
    this.dummyReplaced();
  }

  /** kube-ipvs0 was deleted or replaced: its addresses must be bound again. Local routes do not need it. */
  dummyReplaced(): void {
    const { observed, vipsChanged } = this.parts;
    const isRoute = (address: IpAddress): boolean => observed.bindings(address).includes('route');
    vipsChanged(observed.setAddresses({ address: [], route: [...observed.addresses()].filter(isRoute) }));
  }

  #addressChanged(entry: LinkAddress, present: boolean): void {
    const { dummy, nodeAddresses } = this.parts;
    if (entry.interfaceIndex !== dummy.index) {
      if (nodeAddresses.addressChanged(entry, present)) this.parts.nodeChanged();
      return;
    }
    if (isVip(entry)) this.#vipChanged(entry.address, 'address', present);
  }

  /** Our own operations on IPv6 addresses also cause events. */
  #vipChanged(vip: IpAddress, binding: VipBinding, present: boolean): void {
    if (this.parts.observed.notifyAddress(vip, binding, present)) this.parts.vipsChanged([vip]);
  }
}
