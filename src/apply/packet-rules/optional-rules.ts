import type { Family } from '../../base/ip.js';
import { nodePortOfMark } from '../../model/firewall-mark.js';
import type { SetElement } from '../../nftables/declarations.js';
import {
  firewallMarkSets,
  inClusterMap,
  isNodePortSet,
  sourceRangePrefixLength,
} from '../../plan/packet-rules/packet-sets.js';
import type { PacketTableSettings } from '../../plan/packet-rules/packet-table.js';

/** The settings of rules that a table has only where it needs them, now or before. */
export type OptionalRuleSettings = Required<
  Pick<PacketTableSettings, 'sourceLengths' | 'hasInClusterMarks' | 'hasNodePortMarks'>
>;

/**
 * Remembers the sets that tables have only where needed. They stay declared, because elements may be added to them
 * again.
 */
export class OptionalRules {
  readonly #sourceLengths: Readonly<Record<Family, Set<number>>> = { IPv4: new Set(), IPv6: new Set() };
  readonly #inClusterMarks = new Set<Family>();
  readonly #nodePortMarks = new Set<Family>();

  /** Records the set of a table. */
  recordSet(family: Family, set: string): void {
    if (set === inClusterMap) this.#inClusterMarks.add(family);
    if (isNodePortSet(set)) this.#nodePortMarks.add(family);
    const length = sourceRangePrefixLength(set);
    if (length !== undefined) this.#sourceLengths[family].add(length);
  }

  /** Records the set of an element; a mark shows which rules it needs. */
  recordElement({ family, set, fields: [first] }: SetElement): void {
    this.recordSet(family, set);
    if (!firewallMarkSets.some(({ name }) => name === set)) return;
    if (nodePortOfMark(Number(first)) === undefined) this.#inClusterMarks.add(family);
    else this.#nodePortMarks.add(family);
  }

  of(family: Family): OptionalRuleSettings {
    return {
      sourceLengths: [...this.#sourceLengths[family]],
      hasInClusterMarks: this.#inClusterMarks.has(family),
      hasNodePortMarks: this.#nodePortMarks.has(family),
    };
  }
}
