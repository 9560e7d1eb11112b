import type { IpAddress } from '../../base/ip.js';
import type { VirtualServerKey } from '../../model/virtual-server.js';
import type { ElementKey } from '../../nftables/declarations.js';
import { dirtyKeys, type DirtyKeys } from '../../plan/operations/diff.js';

export class DirtyKeySet {
  #virtualServers = new Set<VirtualServerKey>();
  #addresses = new Set<IpAddress>();
  #elements = new Set<ElementKey>();

  addVirtualServer(key: VirtualServerKey): void {
    this.#virtualServers.add(key);
  }

  addAddress(address: IpAddress): void {
    this.#addresses.add(address);
  }

  addElement(key: ElementKey): void {
    this.#elements.add(key);
  }

  take(): DirtyKeys {
    if (this.#virtualServers.size + this.#addresses.size + this.#elements.size === 0) return dirtyKeys();
    const taken = dirtyKeys({
      virtualServers: this.#virtualServers,
      addresses: this.#addresses,
      elements: this.#elements,
    });
    this.#virtualServers = new Set();
    this.#addresses = new Set();
    this.#elements = new Set();
    return taken;
  }
}
