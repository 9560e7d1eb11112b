import { readFileSync } from 'node:fs';
import type { ForeignRule, ForwardFilter } from '../../model/forward-filter.js';
import { viewOf } from '../../netlink/bytes.js';
import { hostIsLittleEndian } from '../../netlink/constants.js';
import { NetlinkError } from '../../netlink/errors.js';
import { queryRawSocket } from '../../netlink/raw-socket.js';
import { readEntries, type Entry } from './entries.js';

/** include/linux/socket.h, include/uapi/linux/in.h, in6.h */
const sockets = {
  ip: { domain: 2, level: 0, tables: '/proc/net/ip_tables_names' },
  ip6: { domain: 10, level: 41, tables: '/proc/net/ip6_tables_names' },
} as const;

/** IPT_SO_GET_INFO, IPT_SO_GET_ENTRIES; of ip6_tables the same */
const option = { info: 64, entries: 65 } as const;

const tableName = 'filter';
const forwardChain = 'FORWARD';
/** NF_INET_FORWARD, NF_IP_PRI_FILTER */
const forwardHook = 2;
const filterPriority = 0;

/** struct ipt_getinfo */
const infoLayout = { hookEntry: 36, underflow: 56, size: 80, length: 84 } as const;
/** struct ipt_get_entries */
const entriesLayout = { size: 32, table: 40 } as const;

const query = (family: 'ip' | 'ip6', name: number, bytes: Uint8Array): void => {
  bytes.set(new TextEncoder().encode(tableName));
  const { domain, level } = sockets[family];
  queryRawSocket(`read table ${tableName} of ${family}_tables`, { domain, level, name }, bytes);
};

/** Tables that exist already. Asking for another one would make the kernel load it. */
const hasTable = (family: 'ip' | 'ip6'): boolean => {
  try {
    return readFileSync(sockets[family].tables, 'utf8').split('\n').includes(tableName);
  } catch (error) {
    // No ip_tables in this kernel; the list of its tables is for root alone.
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
    throw error;
  }
};

/**
 * The chain of the hook, with the chains that its rules may lead to. Chains lie one after the other; a jump names the place
 * where its chain begins, which is behind the entry that names the chain.
 */
const chainsOf = (entries: readonly Entry[], first: number, policyAt: number): ForwardFilter['chains'] => {
  const chains = new Map<string, ForeignRule[]>();
  let rules: ForeignRule[] = [];
  let isHead = true;
  for (const { offset, rule } of entries) {
    if (isHead || offset === first)
      chains.set(offset === first ? forwardChain : String(offset), (rules = []));
    isHead = rule === undefined;
    if (offset === policyAt) rules = [];
    else if (rule !== undefined) rules.push(rule);
  }
  return chains;
};

interface TableInfo {
  /** Offsets into the table. */
  readonly forwardFirst: number;
  readonly forwardPolicy: number;
  /** Bytes. */
  readonly size: number;
}

const readInfo = (family: 'ip' | 'ip6'): TableInfo => {
  const info = new Uint8Array(infoLayout.length);
  query(family, option.info, info);
  const word = (offset: number): number => viewOf(info).getUint32(offset, hostIsLittleEndian);
  return {
    forwardFirst: word(infoLayout.hookEntry + 4 * forwardHook),
    forwardPolicy: word(infoLayout.underflow + 4 * forwardHook),
    size: word(infoLayout.size),
  };
};

const readTable = (family: 'ip' | 'ip6', { size }: TableInfo): Uint8Array => {
  const answer = new Uint8Array(entriesLayout.table + size);
  viewOf(answer).setUint32(entriesLayout.size, size, hostIsLittleEndian);
  query(family, option.entries, answer);
  return answer.subarray(entriesLayout.table);
};

/** Somebody may change the table between the question for its size and the one for the rest; the kernel then answers EAGAIN. */
const attempts = 5;

const readWhole = (
  family: 'ip' | 'ip6',
  attempt = 1,
): { readonly info: TableInfo; readonly table: Uint8Array } => {
  const info = readInfo(family);
  try {
    return { info, table: readTable(family, info) };
  } catch (error) {
    if (attempt < attempts && error instanceof NetlinkError && error.errno === 'EAGAIN')
      return readWhole(family, attempt + 1);
    throw error;
  }
};

/**
 * The chain FORWARD of iptables' own table filter (x_tables, "legacy"), if there is one. Undefined where nobody uses it; then
 * nothing is loaded by asking. Throws where we may not look: EACCES for another user than root, a NetlinkError without CAP_NET_RAW
 * and CAP_NET_ADMIN.
 */
export const legacyForwardFilter = (family: 'ip' | 'ip6'): ForwardFilter | undefined => {
  if (!hasTable(family)) return undefined;
  const { info, table } = readWhole(family);
  const entries = readEntries(family, table);
  const policy = entries.find(({ offset }) => offset === info.forwardPolicy)?.rule;
  return {
    by: 'iptables-legacy',
    family,
    table: tableName,
    chain: forwardChain,
    priority: filterPriority,
    policy: policy?.action.verdict === 'drop' ? 'drop' : 'accept',
    chains: chainsOf(entries, info.forwardFirst, info.forwardPolicy),
  };
};

/** Both families' chain FORWARD of iptables-legacy, where there is one. As legacyForwardFilter. */
export const legacyForwardFilters = async (): Promise<readonly ForwardFilter[]> =>
  (['ip', 'ip6'] as const).flatMap((family) => legacyForwardFilter(family) ?? []);
