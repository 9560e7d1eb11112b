import type { Family } from '../../base/ip.js';
import type { TransactionOutcome } from '../../kernel/nftables/transaction-outcome.js';
import type { NftablesChange } from '../../kernel/nftables/changes.js';
import type { SetDeclaration, SetElement, TableDeclaration } from '../../nftables/declarations.js';

/** The part of the nftables client that `PacketRules` needs. */
export interface PacketRulesClient {
  /** A number that every transaction of any program raises. */
  generation(): Promise<number>;
  table(family: Family, name: string): Promise<TableDeclaration | undefined>;
  elements(family: Family, table: string, set: SetDeclaration): Promise<readonly SetElement[]>;
  transaction(changes: readonly NftablesChange[]): Promise<TransactionOutcome>;
}
