import type { IpAddress } from '../../base/ip.js';
import type { ElementKey, SetElement } from '../../nftables/declarations.js';
import { isBound, type VipBindings } from '../../model/settings/vip-binding.js';
import type { VirtualServerKey, DesiredVirtualServer } from '../../model/virtual-server.js';
import type { ObservedView, DesiredView } from '../operations/diff.js';
import type { Urgency } from '../operations/phases.js';
import { virtualServerOf } from '../packet-rules/packet-elements.js';

export interface ExcludedByCidrParts {
  /** The state that the Services define. */
  readonly desired: DesiredView & { readonly urgency: Urgency };
  readonly observed: ObservedView;
  /** Whether the address is in ipvs.excludeCIDRs. */
  readonly isExcluded: (address: IpAddress) => boolean;
}

/**
 * The state that the Services define, plus everything in ipvs.excludeCIDRs that the kernel has and no Service
 * defines. The latter is desired exactly as observed, so no operation changes it.
 */
export class ExcludedByCidr implements DesiredView {
  constructor(private readonly parts: ExcludedByCidrParts) {}

  get urgency(): Urgency {
    return this.parts.desired.urgency;
  }

  virtualServer(key: VirtualServerKey): DesiredVirtualServer | undefined {
    const { desired, observed, isExcluded } = this.parts;
    const desiredServer = desired.virtualServer(key);
    if (desiredServer !== undefined) return desiredServer;
    const observedServer = observed.virtualServer(key);
    const identity = observedServer?.server.identity;
    return identity?.by === 'address' && isExcluded(identity.address) ? observedServer : undefined;
  }

  bindings(address: IpAddress): VipBindings {
    const { desired, observed, isExcluded } = this.parts;
    const desiredBindings = desired.bindings(address);
    return desiredBindings.length === 0 && isExcluded(address) ? observed.bindings(address) : desiredBindings;
  }

  element(key: ElementKey): SetElement | undefined {
    const { desired, observed } = this.parts;
    const desiredElement = desired.element(key);
    if (desiredElement !== undefined) return desiredElement;
    const observedElement = observed.element(key);
    return observedElement !== undefined && this.#belongsToExcluded(observedElement)
      ? observedElement
      : undefined;
  }

  /** Elements of a virtual server that a Service defines are not excluded. */
  #belongsToExcluded(element: SetElement): boolean {
    const { desired, observed, isExcluded } = this.parts;
    const address = element.fields[0] as IpAddress;
    if (element.set === 'vips')
      return isExcluded(address) && !isBound(desired, address) && isBound(observed, address);
    const key = virtualServerOf(element);
    if (key === undefined || !isExcluded(address)) return false;
    return desired.virtualServer(key) === undefined && observed.virtualServer(key) !== undefined;
  }
}
