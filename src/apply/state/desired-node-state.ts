import type { IpAddress } from '../../base/ip.js';
import type { DesiredVirtualServer, VirtualServerKey } from '../../model/virtual-server.js';
import type { VipBindings } from '../../model/settings/vip-binding.js';
import type { ElementKey, SetElement } from '../../nftables/declarations.js';
import type { DesiredView } from '../../plan/operations/diff.js';
import type { Urgency } from '../../plan/operations/phases.js';
import {
  OrphanedVirtualServers,
  type OrphanedVirtualServersParts,
} from '../../plan/drain/orphaned-virtual-servers.js';
import { PacedVirtualServers } from '../../plan/pace/paced-virtual-servers.js';
import { ExcludedByCidr } from '../../plan/ownership/excluded-by-cidr.js';
import {
  ForeignVirtualServers,
  type VirtualServerOwners,
} from '../../plan/ownership/foreign-virtual-servers.js';
import type { EngineState } from './engine-state.js';

export interface DesiredNodeStateParts {
  /** The state that the Services define. */
  readonly services: OrphanedVirtualServersParts['desired'] & VirtualServerOwners;
  readonly state: EngineState;
  /** Whether an interface of this node other than kube-ipvs0 has the address. */
  readonly isOnInterface: (address: IpAddress) => boolean;
  /** Whether the address is in ipvs.excludeCIDRs. */
  readonly isExcluded: (address: IpAddress) => boolean;
}

/**
 * The desired state of the kernel on this node: what Services define and orphaned virtual servers retain,
 * everything in ipvs.excludeCIDRs unchanged, nothing for foreign virtual servers, and the drain records.
 * Computed from the engine's state on every call; nothing is stored.
 */
export class DesiredNodeState implements DesiredView {
  readonly orphaned: OrphanedVirtualServers;
  /** With full weights. */
  readonly foreign: ForeignVirtualServers;
  /** With the weights of this time. */
  readonly paced: PacedVirtualServers;
  readonly #state: EngineState;

  constructor({ services, state, isOnInterface, isExcluded }: DesiredNodeStateParts) {
    const { orphans, foreign } = state.virtualServers;
    this.#state = state;
    this.orphaned = new OrphanedVirtualServers({ desired: services, orphans, isOnInterface });
    const desired = new ExcludedByCidr({ desired: this.orphaned, observed: state, isExcluded });
    this.foreign = new ForeignVirtualServers({ desired, services, foreign, observed: state });
    this.paced = new PacedVirtualServers({ desired: this.foreign, paces: state.paces });
  }

  get urgency(): Urgency {
    return this.foreign.urgency;
  }

  virtualServer(key: VirtualServerKey): DesiredVirtualServer | undefined {
    return this.paced.virtualServer(key);
  }

  bindings(address: IpAddress): VipBindings {
    return this.foreign.bindings(address);
  }

  element(key: ElementKey): SetElement | undefined {
    return this.#drainRecord(key) ?? this.foreign.element(key);
  }

  /**
   * A record with another comment must be deleted before it is added. Its deletion makes the key dirty again.
   */
  #drainRecord(key: ElementKey): SetElement | undefined {
    const record = this.#state.drainRecord(key);
    if (record === undefined) return undefined;
    const observed = this.#state.element(key);
    return observed === undefined || observed.comment === record.comment ? record : undefined;
  }
}
