import type { Family } from '../../base/ip.js';
import type { Rule, SetDeclaration, SetElement, TableDeclaration } from '../../nftables/declarations.js';
import type { ChainId, RuleId } from './object-ids.js';

export interface ElementsChange {
  readonly kind: 'add-elements' | 'delete-elements';
  readonly family: Family;
  readonly table: string;
  readonly set: SetDeclaration;
  readonly elements: readonly SetElement[];
}

/** One step of a transaction. */
export type NftablesChange =
  /** Adds what is missing of the table, its sets and chains; replaces all rules of the table by the declared ones. */
  | { readonly kind: 'declare-table'; readonly declaration: TableDeclaration }
  /** With all its contents. Before a `declare-table` of the same transaction: replaces the table. */
  | { readonly kind: 'delete-table'; readonly family: Family; readonly name: string }
  | ElementsChange
  /** As the first rule of the chain. */
  | { readonly kind: 'insert-rule'; readonly chain: ChainId; readonly rule: Rule }
  | { readonly kind: 'delete-rule'; readonly rule: RuleId }
  /** All rules of the chain. */
  | { readonly kind: 'flush-chain'; readonly chain: ChainId }
  /** The kernel refuses while the chain has rules or another rule jumps to it (EBUSY). */
  | { readonly kind: 'delete-chain'; readonly chain: ChainId };
