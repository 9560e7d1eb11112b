import { families, familyOf, type Family } from '../../base/ip.js';
import type { BoundVips } from '../../model/settings/vip-binding.js';
import type { SetElement } from '../../nftables/declarations.js';
import { takeOverElements } from '../../plan/packet-rules/packet-elements.js';
import type { PacketRules } from '../packet-rules/packet-rules.js';

export interface TakeOverParts {
  readonly packetRules: Pick<PacketRules, 'state' | 'apply' | 'hasFailed'>;
  /** The VIPs that are bound. */
  readonly boundVips: () => Promise<BoundVips>;
}

/**
 * The first sync after another service proxy that left virtual servers and VIPs. The packet rules carry a
 * take-over marker until that sync completes, so the next process continues an interrupted take-over.
 */
export class TakeOver {
  readonly #inProgress = new Set<Family>();
  /** Families whose take-over markers are still to be deleted. */
  readonly #marked = new Set<Family>();

  constructor(private readonly parts: TakeOverParts) {}

  /** Records the families that another proxy serves, by what the kernel has now. */
  async detect(): Promise<void> {
    const { packetRules, boundVips } = this.parts;
    const { address, route } = await boundVips();
    const familiesWithVips = new Set([...address, ...route].map(familyOf));
    for (const family of families) {
      const state = await packetRules.state(family);
      if (state === 'taking-over' || (state === 'none' && familiesWithVips.has(family)))
        this.#inProgress.add(family);
    }
  }

  isInProgress(family: Family): boolean {
    return this.#inProgress.has(family);
  }

  /** The take-over markers that a new table contains from the start. */
  markers(family: Family): readonly SetElement[] {
    return this.#inProgress.has(family) ? takeOverElements(family) : [];
  }

  /**
   * Ends the take-over after a completed sync: from now on, virtual servers that another program creates are
   * foreign.
   */
  async end(): Promise<void> {
    for (const family of this.#inProgress) this.#marked.add(family);
    this.#inProgress.clear();
    for (const family of this.#marked) {
      // The packet rules defer the operations of a failed family without deleting its markers.
      if (this.parts.packetRules.hasFailed(family)) continue;
      const operations = takeOverElements(family).map(
        (element) => ({ kind: 'delete-element', element }) as const,
      );
      const outcomes = await this.parts.packetRules.apply(operations);
      if (outcomes.every(({ status }) => status === 'applied')) this.#marked.delete(family);
    }
  }
}
