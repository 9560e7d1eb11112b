import { CounterMap } from '../../base/collections/counter-map.js';
import type { IpAddress } from '../../base/ip.js';
import type { VirtualServerKey } from '../../model/virtual-server.js';
import type { ElementKey, SetElement } from '../../nftables/declarations.js';
import { dirtyKeys, type DirtyKeys } from '../../plan/operations/diff.js';
import type { Orphan } from '../../plan/drain/orphan.js';
import type { Orphans } from '../../plan/drain/orphaned-virtual-servers.js';
import { vipElement } from '../../plan/packet-rules/packet-elements.js';

/** The orphaned virtual servers of all entries, and the addresses and elements retained for them. */
export class OrphanIndex implements Orphans {
  readonly #orphans = new Map<VirtualServerKey, Orphan>();
  readonly #elements = new Map<ElementKey, SetElement>();
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

  #add(key: VirtualServerKey, orphan: Orphan): void {
    this.#orphans.set(key, orphan);
    this.#elements.set(orphan.element.key, orphan.element);
    if (!orphan.isBound || orphan.address === undefined) return;
    this.#boundAddresses.add(orphan.address, 1);
    const vip = vipElement(orphan.address);
    this.#elements.set(vip.key, vip);
  }

  #remove(key: VirtualServerKey, { element, address, isBound }: Orphan): void {
    this.#orphans.delete(key);
    this.#elements.delete(element.key);
    if (!isBound || address === undefined) return;
    this.#boundAddresses.add(address, -1);
    if (!this.#boundAddresses.has(address)) this.#elements.delete(vipElement(address).key);
  }
}
