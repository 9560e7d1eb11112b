import type { IpAddress } from '../../base/ip.js';
import type { ElementKey, SetElement } from '../../nftables/declarations.js';
import type { ServiceKey } from '../../model/service.js';
import type {
  VirtualServerIdentity,
  VirtualServerKey,
  DesiredVirtualServer,
} from '../../model/virtual-server.js';
import { dirtyKeys, type DirtyKeys, type DesiredView } from '../operations/diff.js';
import type { Urgency } from '../operations/phases.js';
import { vipElement, virtualServerOf } from '../packet-rules/packet-elements.js';

/** What is asked of what Services want. */
export interface VirtualServerOwners {
  /** The Service that has the virtual server. */
  ownerOf(key: VirtualServerKey): ServiceKey | undefined;
  /** The packet-rule elements of the virtual server. */
  elementsOf(key: VirtualServerKey): readonly SetElement[];
  /** The virtual servers on an address that is to be bound; of others it need not tell. */
  virtualServersAt(address: IpAddress): Iterable<VirtualServerKey>;
}

/** A virtual server that a Service asks for, but that somebody else has made. */
export interface OwnershipConflict {
  readonly key: VirtualServerKey;
  readonly identity: VirtualServerIdentity;
  readonly service: ServiceKey;
}

export interface ForeignVirtualServersParts {
  /** What is wanted, whoever has it. */
  readonly desired: DesiredView & { readonly urgency: Urgency };
  readonly services: VirtualServerOwners;
  readonly observed: { hasAddress(address: IpAddress): boolean };
}

/**
 * What is wanted without what somebody else has: a virtual server that we did not make is not wanted, and neither is anything
 * for its sake, so that nothing touches it and nothing of ours names it. An address that has only such virtual servers stays as
 * it is, bound or not.
 */
export class ForeignVirtualServers implements DesiredView {
  /** The virtual servers of the kernel that are not ours, wanted or not. */
  #foreign = new Map<VirtualServerKey, VirtualServerIdentity>();
  /** Those that came or went since the last `take`. */
  readonly #changed = new Map<VirtualServerKey, VirtualServerIdentity>();

  constructor(private readonly parts: ForeignVirtualServersParts) {}

  /** How many virtual servers of the kernel are not ours. */
  get size(): number {
    return this.#foreign.size;
  }

  get urgency(): Urgency {
    return this.parts.desired.urgency;
  }

  /** The virtual servers of the kernel that are not ours, wanted or not. */
  keys(): Iterable<VirtualServerKey> {
    return this.#foreign.keys();
  }

  /** The same, as they are asked for. */
  identities(): Iterable<VirtualServerIdentity> {
    return this.#foreign.values();
  }

  /** The virtual servers that Services ask for and do not get, as somebody else has made them. */
  *conflicts(): Iterable<OwnershipConflict> {
    for (const key of this.#foreign.keys()) {
      const conflict = this.conflictAt(key);
      if (conflict !== undefined) yield conflict;
    }
  }

  /** The same of one virtual server. */
  conflictAt(key: VirtualServerKey): OwnershipConflict | undefined {
    const identity = this.#foreign.get(key);
    const service = identity && this.parts.services.ownerOf(key);
    return service && { key, identity, service };
  }

  /** All that the kernel holds of others: what is not among them is there no more. */
  replace(foreign: ReadonlyMap<VirtualServerKey, VirtualServerIdentity>): void {
    const before = this.#foreign;
    this.#foreign = new Map(foreign);
    for (const [key, identity] of before) if (!foreign.has(key)) this.#changed.set(key, identity);
    for (const [key, identity] of foreign) if (!before.has(key)) this.#changed.set(key, identity);
  }

  /** Somebody else has made it. */
  add(key: VirtualServerKey, identity: VirtualServerIdentity): void {
    if (this.#foreign.has(key)) return;
    this.#foreign.set(key, identity);
    this.#changed.set(key, identity);
  }

  /** It is gone, or ours now. */
  delete(key: VirtualServerKey): void {
    const identity = this.#foreign.get(key);
    if (identity === undefined) return;
    this.#foreign.delete(key);
    this.#changed.set(key, identity);
  }

  /** What is wanted otherwise since the last call, as virtual servers of others came or went. */
  takeDirtyKeys(): DirtyKeys {
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
    return virtualServers.size === 0 ? dirtyKeys() : { virtualServers, addresses, elements };
  }

  virtualServer(key: VirtualServerKey): DesiredVirtualServer | undefined {
    return this.#foreign.has(key) ? undefined : this.parts.desired.virtualServer(key);
  }

  hasAddress(address: IpAddress): boolean {
    const { desired, observed } = this.parts;
    return this.#isForeignAddress(address) ? observed.hasAddress(address) : desired.hasAddress(address);
  }

  element(key: ElementKey): SetElement | undefined {
    const element = this.parts.desired.element(key);
    if (element === undefined || this.#foreign.size === 0) return element;
    const virtualServer = virtualServerOf(element);
    if (virtualServer !== undefined) return this.#foreign.has(virtualServer) ? undefined : element;
    return element.set === 'vips' && this.#isForeignAddress(element.fields[0] as IpAddress)
      ? undefined
      : element;
  }

  /** Whether every virtual server for whose sake the address is wanted is somebody else's. */
  #isForeignAddress(address: IpAddress): boolean {
    if (this.#foreign.size === 0) return false;
    let some = false;
    for (const key of this.parts.services.virtualServersAt(address)) {
      if (!this.#foreign.has(key)) return false;
      some = true;
    }
    return some;
  }
}
