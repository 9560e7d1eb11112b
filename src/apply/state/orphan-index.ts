import { CounterMap } from '../../base/collections/counter-map.js';
import type { IpAddress } from '../../base/ip.js';
import type { VirtualServerKey } from '../../model/virtual-server.js';
import type { ElementKey, SetElement } from '../../nftables/declarations.js';
import { dirtyKeys, type DirtyKeys } from '../../plan/operations/diff.js';
import type { Orphan } from '../../plan/drain/orphan.js';
import type { Orphans } from '../../plan/drain/orphaned-virtual-servers.js';
import { vipElement, virtualServerOf } from '../../plan/packet-rules/packet-elements.js';

/** The orphaned virtual servers of all entries, and the addresses and elements retained for them. */
export class OrphanIndex implements Orphans {
  readonly #orphans = new Map<VirtualServerKey, Orphan>();
  readonly #elements = new Map<ElementKey, SetElement>();
  /** The elements that lead to firewall marks, by frontend. */
  readonly #leading = new Map<VirtualServerKey, ElementKey>();
  readonly #boundAddresses = new CounterMap<IpAddress>();

  get size(): number {
    return this.#orphans.size;
  }

  get(key: VirtualServerKey): Orphan | undefined {
    return this.#orphans.get(key);
  }

  virtualServers(): Iterable<VirtualServerKey> {
    return this.#orphans.keys();
  }

  /** Whether the address stays bound for an orphaned virtual server. */
  retainsAddress(address: IpAddress): boolean {
    return this.#boundAddresses.has(address);
  }

  element(key: ElementKey): SetElement | undefined {
    return this.#elements.get(key);
  }

  /** The keys of everything that is retained for orphaned virtual servers. */
  keys(): DirtyKeys {
    return dirtyKeys({
      virtualServers: new Set(this.#orphans.keys()),
      addresses: new Set(this.#boundAddresses.keys()),
      elements: new Set(this.#elements.keys()),
    });
  }

  replace(key: VirtualServerKey, before: Orphan | undefined, after: Orphan | undefined): void {
    if (before !== undefined) this.#remove(key, before);
    if (after !== undefined) this.#add(key, after);
  }

  /** The element that leads requests of the frontend to an orphan. */
  leadingElement(frontend: VirtualServerKey): ElementKey | undefined {
    return this.#leading.get(frontend);
  }

  #add(key: VirtualServerKey, orphan: Orphan): void {
    this.#orphans.set(key, orphan);
    for (const element of orphan.elements) {
      this.#elements.set(element.key, element);
      const frontend = element.mark === undefined ? undefined : virtualServerOf(element);
      if (frontend !== undefined) this.#leading.set(frontend, element.key);
    }
    for (const address of orphan.boundAddresses) {
      this.#boundAddresses.add(address, 1);
      const vip = vipElement(address);
      this.#elements.set(vip.key, vip);
    }
  }

  #remove(key: VirtualServerKey, { elements, boundAddresses }: Orphan): void {
    this.#orphans.delete(key);
    for (const element of elements) this.#removeElement(element);
    for (const address of boundAddresses) {
      this.#boundAddresses.add(address, -1);
      if (!this.#boundAddresses.has(address)) this.#elements.delete(vipElement(address).key);
    }
  }

  /** A later orphan may have an element with the same key and another firewall mark. */
  #removeElement(element: SetElement): void {
    if (this.#elements.get(element.key)?.mark !== element.mark) return;
    this.#elements.delete(element.key);
    const frontend = element.mark === undefined ? undefined : virtualServerOf(element);
    if (frontend !== undefined) this.#leading.delete(frontend);
  }
}
