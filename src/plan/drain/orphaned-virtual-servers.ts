import type { IpAddress } from '../../base/ip.js';
import type { ServiceKey } from '../../model/service.js';
import { onlyBinding, type VipBinding, type VipBindings } from '../../model/settings/vip-binding.js';
import type { DesiredVirtualServer, VirtualServerKey } from '../../model/virtual-server.js';
import type { ElementKey, SetElement } from '../../nftables/declarations.js';
import type { DesiredView, DirtyKeys } from '../operations/diff.js';
import type { Urgency } from '../operations/phases.js';
import { virtualServerOf } from '../packet-rules/packet-elements.js';
import type { Orphan } from './orphan.js';

/** The current orphans, and the addresses and elements retained for them. */
export interface Orphans {
  readonly size: number;
  get(key: VirtualServerKey): Orphan | undefined;
  virtualServers(): Iterable<VirtualServerKey>;
  element(key: ElementKey): SetElement | undefined;
  retainsAddress(address: IpAddress): boolean;
  keys(): DirtyKeys;
}

export interface OrphanedVirtualServersParts {
  /** The state that the Services define. */
  readonly desired: DesiredView & { readonly urgency: Urgency; readonly vipBinding: VipBinding };
  readonly orphans: Orphans;
  /** Whether an interface of this node other than kube-ipvs0 has the address. */
  readonly isOnInterface: (address: IpAddress) => boolean;
}

/**
 * The state that the Services define, plus the orphaned virtual servers with their addresses and elements.
 */
export class OrphanedVirtualServers implements DesiredView {
  constructor(private readonly parts: OrphanedVirtualServersParts) {}

  get size(): number {
    return this.parts.orphans.size;
  }

  get urgency(): Urgency {
    return this.parts.desired.urgency;
  }

  has(key: VirtualServerKey): boolean {
    return this.parts.orphans.get(key) !== undefined;
  }

  /** The Service that owned the orphan; undefined if only an earlier process knew. */
  formerOwner(key: VirtualServerKey): ServiceKey | undefined {
    return this.parts.orphans.get(key)?.service;
  }

  /** The keys of all orphaned virtual servers. */
  virtualServers(): Iterable<VirtualServerKey> {
    return this.parts.orphans.virtualServers();
  }

  virtualServer(key: VirtualServerKey): DesiredVirtualServer | undefined {
    return this.parts.desired.virtualServer(key) ?? this.parts.orphans.get(key)?.desired;
  }

  bindings(address: IpAddress): VipBindings {
    const { desired } = this.parts;
    return this.#retainsAddress(address) ? onlyBinding(desired.vipBinding) : desired.bindings(address);
  }

  element(key: ElementKey): SetElement | undefined {
    const desired = this.parts.desired.element(key);
    if (desired !== undefined) return desired;
    const element = this.parts.orphans.element(key);
    const isLeft = element?.set === 'vips' && !this.#retainsAddress(element.fields[0] as IpAddress);
    return isLeft || (element !== undefined && this.#leadsAstray(element)) ? undefined : element;
  }

  /** Whether the element leads requests of a frontend that a Service has to an orphan. */
  #leadsAstray(element: SetElement): boolean {
    const frontend = element.mark === undefined ? undefined : virtualServerOf(element);
    return frontend !== undefined && this.parts.desired.virtualServer(frontend) !== undefined;
  }

  /** The keys of everything that is retained for orphaned virtual servers. */
  keys(): DirtyKeys {
    return this.parts.orphans.keys();
  }

  /** An address that another interface has is not retained. */
  #retainsAddress(address: IpAddress): boolean {
    return this.parts.orphans.retainsAddress(address) && !this.parts.isOnInterface(address);
  }
}
