import type { ForeignRule, ForwardFilter } from '../../model/forward-filter.js';
import { readEntries, type Entry } from './entries.js';
import { hasTable, readTable } from './table.js';

const tableName = 'filter';
const forwardChain = 'FORWARD';
/** NF_IP_PRI_FILTER */
const filterPriority = 0;

/**
 * The chain of the hook, with the chains that its rules may jump to. Chains follow one another; a jump holds the offset of the first
 * rule of its chain, which follows the entry with the chain's name.
 */
const chainsOf = (entries: readonly Entry[], first: number, policyAt: number): ForwardFilter['chains'] => {
  const chains = new Map<string, ForeignRule[]>();
  let rules: ForeignRule[] = [];
  let startsChain = true;
  for (const { offset, rule } of entries) {
    if (startsChain || offset === first)
      chains.set(offset === first ? forwardChain : String(offset), (rules = []));
    startsChain = rule === undefined;
    if (offset === policyAt) rules = [];
    else if (rule !== undefined) rules.push(rule);
  }
  return chains;
};

/**
 * The chain FORWARD of the table filter of iptables-legacy (x_tables). Undefined where the table does not exist; it is not created.
 * Throws without permission: EACCES for a process of neither user nor group root, a NetlinkError without CAP_NET_ADMIN.
 */
export const legacyForwardFilter = (family: 'ip' | 'ip6'): ForwardFilter | undefined => {
  const name = { family, table: tableName } as const;
  if (!hasTable(name)) return undefined;
  const { info, bytes } = readTable(name);
  const entries = readEntries(family, bytes);
  const { first, policy: policyAt } = info.chains.FORWARD;
  const policy = entries.find(({ offset }) => offset === policyAt)?.rule;
  return {
    by: 'iptables-legacy',
    family,
    table: tableName,
    chain: forwardChain,
    priority: filterPriority,
    policy: policy?.action.verdict === 'drop' ? 'drop' : 'accept',
    chains: chainsOf(entries, first, policyAt),
  };
};

/** As legacyForwardFilter, for both families. */
export const legacyForwardFilters = async (): Promise<readonly ForwardFilter[]> =>
  (['ip', 'ip6'] as const).flatMap((family) => legacyForwardFilter(family) ?? []);
