import type { IpAddress } from '../base/ip.js';
import type { ElementKey, SetElement } from '../model/nftables.js';
import type { ServiceKey } from '../model/service.js';
import type { VirtualServerIdentity, VirtualServerKey, WantedTable } from '../model/virtual-server.js';
import { touch, type Touched, type Wanted } from './diff.js';
import type { Urgency } from './order.js';
import { vipElement, virtualServerOf } from './packet-elements.js';

/** What is asked of what Services want. */
export interface ServiceWishes {
  /** The Service that has the virtual server. */
  ownerOf(key: VirtualServerKey): ServiceKey | undefined;
  /** The packet-rule elements of the virtual server. */
  elementsOf(key: VirtualServerKey): readonly SetElement[];
  /** The virtual servers on an address that is to be bound; of others it need not tell. */
  virtualServersAt(address: IpAddress): Iterable<VirtualServerKey>;
}

/** A virtual server that a Service asks for, but that somebody else has made. */
export interface ContestedVirtualServer {
  readonly key: VirtualServerKey;
  readonly identity: VirtualServerIdentity;
  readonly service: ServiceKey;
}

export interface ContestedParts {
  /** What is wanted, whoever has it. */
  readonly wanted: Wanted & { readonly urgency: Urgency };
  readonly services: ServiceWishes;
  readonly observed: { hasAddress(address: IpAddress): boolean };
}

/**
 * What is wanted without what somebody else has: a virtual server that we did not make is not wanted, and neither is anything
 * for its sake, so that nothing touches it and nothing of ours names it. An address that has only such virtual servers stays as
 * it is, bound or not.
 */
export class Contested implements Wanted {
  /** The virtual servers of the kernel that are not ours, wanted or not. */
  #others = new Map<VirtualServerKey, VirtualServerIdentity>();
  /** Those that came or went since the last `take`. */
  readonly #changed = new Map<VirtualServerKey, VirtualServerIdentity>();

  constructor(private readonly parts: ContestedParts) {}

  /** How many virtual servers of the kernel are not ours. */
  get foreign(): number {
    return this.#others.size;
  }

  get urgency(): Urgency {
    return this.parts.wanted.urgency;
  }

  /** The virtual servers of the kernel that are not ours, wanted or not. */
  others(): Iterable<VirtualServerKey> {
    return this.#others.keys();
  }

  /** The same, as they are asked for. */
  identities(): Iterable<VirtualServerIdentity> {
    return this.#others.values();
  }

  /** The virtual servers that Services ask for and do not get, as somebody else has made them. */
  *all(): Iterable<ContestedVirtualServer> {
    for (const key of this.#others.keys()) {
      const contested = this.at(key);
      if (contested !== undefined) yield contested;
    }
  }

  /** The same of one virtual server. */
  at(key: VirtualServerKey): ContestedVirtualServer | undefined {
    const identity = this.#others.get(key);
    const service = identity && this.parts.services.ownerOf(key);
    return service && { key, identity, service };
  }

  /** All that the kernel holds of others: what is not among them is there no more. */
  replace(others: ReadonlyMap<VirtualServerKey, VirtualServerIdentity>): void {
    const before = this.#others;
    this.#others = new Map(others);
    for (const [key, identity] of before) if (!others.has(key)) this.#changed.set(key, identity);
    for (const [key, identity] of others) if (!before.has(key)) this.#changed.set(key, identity);
  }

  /** Somebody else has made it. */
  add(key: VirtualServerKey, identity: VirtualServerIdentity): void {
    if (this.#others.has(key)) return;
    this.#others.set(key, identity);
    this.#changed.set(key, identity);
  }

  /** It is gone, or ours now. */
  delete(key: VirtualServerKey): void {
    const identity = this.#others.get(key);
    if (identity === undefined) return;
    this.#others.delete(key);
    this.#changed.set(key, identity);
  }

  /** What is wanted otherwise since the last call, as virtual servers of others came or went. */
  take(): Touched {
    const virtualServers = new Set<VirtualServerKey>();
    const addresses = new Set<IpAddress>();
    const elements = new Set<ElementKey>();
    for (const [key, identity] of this.#changed) {
      if (identity.by !== 'address' || this.parts.services.ownerOf(key) === undefined) continue;
      virtualServers.add(key);
      addresses.add(identity.address);
      elements.add(vipElement(identity.address).key);
      for (const element of this.parts.services.elementsOf(key)) elements.add(element.key);
    }
    this.#changed.clear();
    return virtualServers.size === 0 ? touch() : { virtualServers, addresses, elements };
  }

  virtualServer(key: VirtualServerKey): WantedTable | undefined {
    return this.#others.has(key) ? undefined : this.parts.wanted.virtualServer(key);
  }

  wantsAddress(address: IpAddress): boolean {
    const { wanted, observed } = this.parts;
    return this.#isOfOthers(address) ? observed.hasAddress(address) : wanted.wantsAddress(address);
  }

  element(key: ElementKey): SetElement | undefined {
    const element = this.parts.wanted.element(key);
    if (element === undefined || this.#others.size === 0) return element;
    const virtualServer = virtualServerOf(element);
    if (virtualServer !== undefined) return this.#others.has(virtualServer) ? undefined : element;
    return element.set === 'vips' && this.#isOfOthers(element.fields[0] as IpAddress) ? undefined : element;
  }

  /** Whether every virtual server for whose sake the address is wanted is somebody else's. */
  #isOfOthers(address: IpAddress): boolean {
    if (this.#others.size === 0) return false;
    let some = false;
    for (const key of this.parts.services.virtualServersAt(address)) {
      if (!this.#others.has(key)) return false;
      some = true;
    }
    return some;
  }
}
