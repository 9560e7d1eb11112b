import { isIpv6LinkLocal, type IpAddress } from '../../base/ip.js';
import type { LinkAddress } from '../../kernel/rtnetlink/convert.js';
import { isServiceProxyInterface } from '../../model/instance-names.js';
import type { InterfaceAddress } from '../../model/node.js';

interface NamedLink {
  readonly index: number;
  readonly name: string;
}

const keyOf = (entry: LinkAddress): string =>
  `${entry.interfaceIndex} ${entry.address}/${entry.prefixLength}`;

/** The node's own addresses (all except those of service proxies) by interface, updated by events. */
export class NodeAddresses {
  readonly #entries = new Map<string, LinkAddress>();
  readonly #names = new Map<number, string>();

  /** Replaces everything with a full dump. Returns whether the addresses changed. */
  replace(links: Iterable<NamedLink>, entries: Iterable<LinkAddress>): boolean {
    const before = this.#signature();
    this.#names.clear();
    for (const link of links) this.#names.set(link.index, link.name);
    this.#entries.clear();
    for (const entry of entries) if (this.#isRelevant(entry)) this.#entries.set(keyOf(entry), entry);
    return before !== this.#signature();
  }

  linkChanged(link: NamedLink): void {
    this.#names.set(link.index, link.name);
  }

  /** Removes the link and its addresses. Returns whether it had any. */
  linkRemoved(index: number): boolean {
    this.#names.delete(index);
    const removed = [...this.#entries].filter(([, entry]) => entry.interfaceIndex === index);
    for (const [key] of removed) this.#entries.delete(key);
    return removed.length > 0;
  }

  /** Records one address. Returns whether the addresses changed. */
  addressChanged(entry: LinkAddress, present: boolean): boolean {
    const key = keyOf(entry);
    if (!this.#isRelevant(entry) || this.#entries.has(key) === present) return false;
    if (present) this.#entries.set(key, entry);
    else this.#entries.delete(key);
    return true;
  }

  has(address: IpAddress): boolean {
    for (const entry of this.#entries.values()) if (entry.address === address) return true;
    return false;
  }

  all(): readonly InterfaceAddress[] {
    return [...this.#entries.values()].map(({ address, prefixLength, interfaceIndex }) => ({
      address,
      prefixLength,
      interfaceName: this.#names.get(interfaceIndex) ?? '',
    }));
  }

  // Every veth interface has an IPv6 link-local address, and no frontend uses one.
  #isRelevant({ address, interfaceIndex }: LinkAddress): boolean {
    return !isIpv6LinkLocal(address) && !isServiceProxyInterface(this.#names.get(interfaceIndex) ?? '');
  }

  #signature(): string {
    return this.all()
      .map((entry) => `${entry.interfaceName} ${entry.address}/${entry.prefixLength}`)
      .toSorted()
      .join('\n');
  }
}
