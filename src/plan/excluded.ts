import type { IpAddress } from '../base/ip.js';
import type { ElementKey, SetElement } from '../model/nftables.js';
import type { VirtualServerKey, WantedTable } from '../model/virtual-server.js';
import type { Observed, Wanted } from './diff.js';
import type { Urgency } from './order.js';
import { virtualServerOf } from './packet-elements.js';

export interface LeftAloneParts {
  /** What Services want. */
  readonly wanted: Wanted & { readonly urgency: Urgency };
  readonly observed: Observed;
  /** Whether the address is inside of ipvs.excludeCIDRs. */
  readonly isExcluded: (address: IpAddress) => boolean;
}

/**
 * What Services want, and what the kernel holds inside of ipvs.excludeCIDRs for which no Service asks: the virtual server with its
 * real servers, its address and its packet-rule elements are wanted just as they are, so that nothing is done to them. What a
 * Service asks for there is served as anywhere.
 */
export class LeftAlone implements Wanted {
  constructor(private readonly parts: LeftAloneParts) {}

  get urgency(): Urgency {
    return this.parts.wanted.urgency;
  }

  virtualServer(key: VirtualServerKey): WantedTable | undefined {
    const { wanted, observed, isExcluded } = this.parts;
    const asked = wanted.virtualServer(key);
    if (asked !== undefined) return asked;
    const held = observed.virtualServer(key);
    const identity = held?.server.identity;
    return identity?.by === 'address' && isExcluded(identity.address) ? held : undefined;
  }

  wantsAddress(address: IpAddress): boolean {
    const { wanted, observed, isExcluded } = this.parts;
    return wanted.wantsAddress(address) || (isExcluded(address) && observed.hasAddress(address));
  }

  element(key: ElementKey): SetElement | undefined {
    const { wanted, observed } = this.parts;
    const asked = wanted.element(key);
    if (asked !== undefined) return asked;
    const held = observed.element(key);
    return held !== undefined && this.#belongsToLeftAlone(held) ? held : undefined;
  }

  /** Elements of what a Service asks for change with it. */
  #belongsToLeftAlone(element: SetElement): boolean {
    const { wanted, observed, isExcluded } = this.parts;
    const address = element.fields[0] as IpAddress;
    if (element.set === 'vips')
      return isExcluded(address) && !wanted.wantsAddress(address) && observed.hasAddress(address);
    const key = virtualServerOf(element);
    if (key === undefined || !isExcluded(address)) return false;
    return wanted.virtualServer(key) === undefined && observed.virtualServer(key) !== undefined;
  }
}
