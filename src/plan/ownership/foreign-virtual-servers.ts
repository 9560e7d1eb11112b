import type { IpAddress } from '../../base/ip.js';
import type { ElementKey, SetElement } from '../../nftables/declarations.js';
import type { ServiceKey } from '../../model/service.js';
import type { VipBindings } from '../../model/settings/vip-binding.js';
import type {
  VirtualServerIdentity,
  VirtualServerKey,
  DesiredVirtualServer,
} from '../../model/virtual-server.js';
import type { DesiredView } from '../operations/diff.js';
import type { Urgency } from '../operations/phases.js';
import { markedServerOf, virtualServerOf } from '../packet-rules/packet-elements.js';

/** The virtual servers and elements that each Service owns. */
export interface VirtualServerOwners {
  /** The Service that owns the virtual server. */
  ownerOf(key: VirtualServerKey): ServiceKey | undefined;
  /** The packet-rule elements of the virtual server. */
  elementsOf(key: VirtualServerKey): readonly SetElement[];
  /** The virtual servers that need the address bound. */
  virtualServersAt(address: IpAddress): Iterable<VirtualServerKey>;
}

/** A virtual server that a Service defines and another program created. */
export interface OwnershipConflict {
  readonly key: VirtualServerKey;
  readonly identity: VirtualServerIdentity;
  readonly service: ServiceKey;
}

export interface ForeignVirtualServersParts {
  /** The virtual servers in the kernel that another program created. */
  readonly foreign: ReadonlyMap<VirtualServerKey, VirtualServerIdentity>;
  /** The desired state, foreign virtual servers included. */
  readonly desired: DesiredView & { readonly urgency: Urgency };
  readonly services: VirtualServerOwners;
  readonly observed: { bindings(address: IpAddress): VipBindings };
}

/**
 * The desired state without foreign virtual servers and without addresses and elements that only they need,
 * so kube-ipvs neither modifies nor marks them. An address with only foreign virtual servers stays bound or
 * unbound.
 */
export class ForeignVirtualServers implements DesiredView {
  constructor(private readonly parts: ForeignVirtualServersParts) {}

  /** The number of foreign virtual servers in the kernel. */
  get size(): number {
    return this.parts.foreign.size;
  }

  get urgency(): Urgency {
    return this.parts.desired.urgency;
  }

  /** The keys of all foreign virtual servers, including those that no Service defines. */
  keys(): Iterable<VirtualServerKey> {
    return this.parts.foreign.keys();
  }

  /** The identities of all foreign virtual servers. */
  identities(): Iterable<VirtualServerIdentity> {
    return this.parts.foreign.values();
  }

  /** The virtual servers that Services define and do not get, because another program created them. */
  *conflicts(): Iterable<OwnershipConflict> {
    for (const key of this.parts.foreign.keys()) {
      const conflict = this.conflictAt(key);
      if (conflict !== undefined) yield conflict;
    }
  }

  /** The conflict at one virtual server. */
  conflictAt(key: VirtualServerKey): OwnershipConflict | undefined {
    const identity = this.parts.foreign.get(key);
    const service = identity && this.parts.services.ownerOf(key);
    return service && { key, identity, service };
  }

  virtualServer(key: VirtualServerKey): DesiredVirtualServer | undefined {
    return this.parts.foreign.has(key) ? undefined : this.parts.desired.virtualServer(key);
  }

  bindings(address: IpAddress): VipBindings {
    const { desired, observed } = this.parts;
    return this.#isForeignAddress(address) ? observed.bindings(address) : desired.bindings(address);
  }

  element(key: ElementKey): SetElement | undefined {
    const element = this.parts.desired.element(key);
    if (element === undefined || this.parts.foreign.size === 0) return element;
    const virtualServer = virtualServerOf(element);
    const inClusterServer = markedServerOf(element);
    if (inClusterServer !== undefined && this.parts.foreign.has(inClusterServer)) return undefined;
    if (virtualServer !== undefined) return this.parts.foreign.has(virtualServer) ? undefined : element;
    return element.set === 'vips' && this.#isForeignAddress(element.fields[0] as IpAddress)
      ? undefined
      : element;
  }

  /** Whether all virtual servers that need the address are foreign. */
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
