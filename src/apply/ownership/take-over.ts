import { families, familyOf, type Family, type IpAddress } from '../../base/ip.js';
import type { SetElement } from '../../nftables/declarations.js';
import { takeOverElements } from '../../plan/packet-rules/packet-elements.js';
import type { PacketRules } from '../packet-rules/packet-rules.js';

export interface TakeOverParts {
  readonly packetRules: Pick<PacketRules, 'state' | 'apply' | 'hasFailed'>;
  /** The VIPs on kube-ipvs0 now. */
  readonly dummyAddresses: () => Promise<readonly IpAddress[]>;
}

/**
 * The first sync of the first kube-ipvs after another proxy, which left virtual servers and VIPs but no packet rules of ours. Our
 * tables are marked from their first moment until that sync has come to its end, so that a process that follows one that was
 * killed before goes on with it.
 */
export class TakeOver {
  readonly #inProgress = new Set<Family>();
  /** Families whose tables are marked longer than they should be, as a deletion was refused. */
  readonly #marked = new Set<Family>();

  constructor(private readonly parts: TakeOverParts) {}

  /** To be called before anything is changed. */
  async detect(): Promise<void> {
    const { packetRules, dummyAddresses } = this.parts;
    const familiesWithVips = new Set((await dummyAddresses()).map(familyOf));
    for (const family of families) {
      const state = await packetRules.state(family);
      if (state === 'taking-over' || (state === 'none' && familiesWithVips.has(family)))
        this.#inProgress.add(family);
    }
  }

  isInProgress(family: Family): boolean {
    return this.#inProgress.has(family);
  }

  /** What a table that is made now is to hold, so that the next process knows. */
  markers(family: Family): readonly SetElement[] {
    return this.#inProgress.has(family) ? takeOverElements(family) : [];
  }

  /** A sync has come to its end: what others make from now on is theirs, and meant. */
  async end(): Promise<void> {
    for (const family of this.#inProgress) this.#marked.add(family);
    this.#inProgress.clear();
    for (const family of this.#marked) {
      // What is asked of a family in trouble is held to be done.
      if (this.parts.packetRules.hasFailed(family)) continue;
      const operations = takeOverElements(family).map(
        (element) => ({ kind: 'delete-element', element }) as const,
      );
      const outcomes = await this.parts.packetRules.apply(operations);
      if (outcomes.every(({ status }) => status === 'applied')) this.#marked.delete(family);
    }
  }
}
