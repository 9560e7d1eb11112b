import type { NetfilterFamily } from '../nfnetlink.js';

/** The families whose tables see IPv4 or IPv6 packets. */
export type TableFamily = 'ip' | 'ip6' | 'inet';

export const isTableFamily = (family: NetfilterFamily | undefined): family is TableFamily =>
  family === 'ip' || family === 'ip6' || family === 'inet';

export interface TableId {
  readonly family: TableFamily;
  readonly table: string;
}

export interface ChainId extends TableId {
  readonly chain: string;
}

export interface RuleId extends ChainId {
  /** The kernel's number of the rule, unique within its table. */
  readonly handle: bigint;
}

/** As nft writes it: `table ip filter`. */
export const formatTable = ({ family, table }: TableId): string => `table ${family} ${table}`;

/** `chain FORWARD of table ip filter`. */
export const formatChain = (id: ChainId): string => `chain ${id.chain} of ${formatTable(id)}`;
