import { readEntries } from './entries.js';
import { hasTable, readTable, type TableName } from './table.js';

/** The chains that somebody made in a table of iptables-legacy, and what its chain INPUT does with what no rule decides. */
export interface LegacyTable extends TableName {
  readonly chains: readonly string[];
  /** Undefined in a table without that chain. */
  readonly inputPolicy: 'accept' | 'drop' | undefined;
}

const endOfTable = 'ERROR';

const readLegacyTable = (name: TableName): LegacyTable => {
  const { info, bytes } = readTable(name);
  const entries = readEntries(name.family, bytes);
  const policy = entries.find(({ offset }) => offset === info.chains.INPUT.policy)?.rule?.action.verdict;
  const hasInput = name.table === 'filter';
  return {
    ...name,
    chains: entries.flatMap(({ head }) => (head === undefined || head === endOfTable ? [] : [head])),
    inputPolicy: hasInput ? (policy === 'drop' ? 'drop' : 'accept') : undefined,
  };
};

/**
 * The tables filter and nat of iptables-legacy, of both families, where somebody uses them; nothing is loaded by asking. Throws
 * where we may not look: EACCES for who is neither user nor group root, a NetlinkError without CAP_NET_ADMIN.
 */
export const legacyTables = (): readonly LegacyTable[] =>
  (['ip', 'ip6'] as const)
    .flatMap((family) => (['filter', 'nat'] as const).map((table) => ({ family, table })))
    .filter(hasTable)
    .map(readLegacyTable);
