import type { IpAddress } from '../../base/ip.js';
import type { ElementKey, SetElement } from '../../nftables/declarations.js';
import type { ServiceKey } from '../../model/service.js';
import type {
  VirtualServerIdentity,
  VirtualServerKey,
  DesiredVirtualServer,
} from '../../model/virtual-server.js';
import type { DesiredView } from '../operations/diff.js';
import type { Urgency } from '../operations/phases.js';
import { virtualServerOf } from '../packet-rules/packet-elements.js';

/** Which virtual servers and elements belong to which Service. */
export interface VirtualServerOwners {
  /** The Service that has the virtual server. */
  ownerOf(key: VirtualServerKey): ServiceKey | undefined;
  /** The packet-rule elements of the virtual server. */
  elementsOf(key: VirtualServerKey): readonly SetElement[];
  /** The virtual servers on an address that is to be bound. */
  virtualServersAt(address: IpAddress): Iterable<VirtualServerKey>;
}

/** A virtual server that a Service asks for and another program made. */
export interface OwnershipConflict {
  readonly key: VirtualServerKey;
  readonly identity: VirtualServerIdentity;
  readonly service: ServiceKey;
}

export interface ForeignVirtualServersParts {
  /** The virtual servers of the kernel that another program made. */
  readonly foreign: ReadonlyMap<VirtualServerKey, VirtualServerIdentity>;
  /** What is desired, whoever made it. */
  readonly desired: DesiredView & { readonly urgency: Urgency };
  readonly services: VirtualServerOwners;
  readonly observed: { hasAddress(address: IpAddress): boolean };
}

/**
 * What is desired without what another program made: a foreign virtual server is not desired, nor is anything for its sake, so
 * nothing touches it and no element of ours marks it. An address that has only foreign virtual servers stays as it is, bound or
 * not.
 */
export class ForeignVirtualServers implements DesiredView {
  constructor(private readonly parts: ForeignVirtualServersParts) {}

  /** How many foreign virtual servers the kernel has. */
  get size(): number {
    return this.parts.foreign.size;
  }

  get urgency(): Urgency {
    return this.parts.desired.urgency;
  }

  /** All foreign virtual servers, desired or not. */
  keys(): Iterable<VirtualServerKey> {
    return this.parts.foreign.keys();
  }

  /** The identities of all foreign virtual servers. */
  identities(): Iterable<VirtualServerIdentity> {
    return this.parts.foreign.values();
  }

  /** The virtual servers that Services ask for and do not get, because another program made them. */
  *conflicts(): Iterable<OwnershipConflict> {
    for (const key of this.parts.foreign.keys()) {
      const conflict = this.conflictAt(key);
      if (conflict !== undefined) yield conflict;
    }
  }

  /** The conflict over one virtual server. */
  conflictAt(key: VirtualServerKey): OwnershipConflict | undefined {
    const identity = this.parts.foreign.get(key);
    const service = identity && this.parts.services.ownerOf(key);
    return service && { key, identity, service };
  }

  virtualServer(key: VirtualServerKey): DesiredVirtualServer | undefined {
    return this.parts.foreign.has(key) ? undefined : this.parts.desired.virtualServer(key);
  }

  hasAddress(address: IpAddress): boolean {
    const { desired, observed } = this.parts;
    return this.#isForeignAddress(address) ? observed.hasAddress(address) : desired.hasAddress(address);
  }

  element(key: ElementKey): SetElement | undefined {
    const element = this.parts.desired.element(key);
    if (element === undefined || this.parts.foreign.size === 0) return element;
    const virtualServer = virtualServerOf(element);
    if (virtualServer !== undefined) return this.parts.foreign.has(virtualServer) ? undefined : element;
    return element.set === 'vips' && this.#isForeignAddress(element.fields[0] as IpAddress)
      ? undefined
      : element;
  }

  /** Whether every virtual server that the address is desired for is foreign. */
  #isForeignAddress(address: IpAddress): boolean {
    if (this.parts.foreign.size === 0) return false;
    let some = false;
    for (const key of this.parts.services.virtualServersAt(address)) {
      if (!this.parts.foreign.has(key)) return false;
      some = true;
    }
    return some;
  }
}
