import { readEntries } from './entries.js';
import { hasTable, readTable, type TableName } from './table.js';

/** The user-defined chains of an iptables-legacy table, and the policy of its chain INPUT. */
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
 * The existing tables filter and nat of iptables-legacy, of both families; none is created. Throws without permission: EACCES for a
 * process of neither user nor group root, a NetlinkError without CAP_NET_ADMIN.
 */
export const legacyTables = (): readonly LegacyTable[] =>
  (['ip', 'ip6'] as const)
    .flatMap((family) => (['filter', 'nat'] as const).map((table) => ({ family, table })))
    .filter(hasTable)
    .map(readLegacyTable);
