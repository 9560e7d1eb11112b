import type { IpAddress } from '../../base/ip.js';
import type { Paces } from '../../model/pace.js';
import type { DesiredVirtualServer, VirtualServerKey } from '../../model/virtual-server.js';
import type { VipBindings } from '../../model/settings/vip-binding.js';
import type { ElementKey, SetElement } from '../../nftables/declarations.js';
import type { DesiredView } from '../operations/diff.js';
import { withEffectiveWeights } from './effective-weight.js';

export interface PacedVirtualServersParts {
  /** With full weights. */
  readonly desired: DesiredView;
  readonly paces: { of(key: VirtualServerKey): Paces | undefined };
}

/** The desired state, with the weights that real servers have at this time. */
export class PacedVirtualServers implements DesiredView {
  constructor(private readonly parts: PacedVirtualServersParts) {}

  virtualServer(key: VirtualServerKey): DesiredVirtualServer | undefined {
    const { desired, paces } = this.parts;
    const full = desired.virtualServer(key);
    return full?.pace === undefined ? full : withEffectiveWeights(full, paces.of(key));
  }

  bindings(address: IpAddress): VipBindings {
    return this.parts.desired.bindings(address);
  }

  element(key: ElementKey): SetElement | undefined {
    return this.parts.desired.element(key);
  }
}
