import { readFileSync } from 'node:fs';
import { codeOf } from '../../base/errors.js';
import { viewOf } from '../../netlink/codec/bytes.js';
import { hostIsLittleEndian } from '../../netlink/constants.js';
import { NetlinkError } from '../../netlink/errors.js';
import { querySocketOption } from '../../netlink/socket-option.js';

/** include/linux/socket.h, include/uapi/linux/in.h, in6.h */
const sockets = {
  ip: { domain: 2, level: 0, tables: '/proc/net/ip_tables_names' },
  ip6: { domain: 10, level: 41, tables: '/proc/net/ip6_tables_names' },
} as const;

/** IPT_SO_GET_INFO, IPT_SO_GET_ENTRIES; of ip6_tables the same */
const option = { info: 64, entries: 65 } as const;

/** struct ipt_getinfo */
const infoLayout = { hookEntry: 36, underflow: 56, size: 80, length: 84 } as const;
/** struct ipt_get_entries */
const entriesLayout = { size: 32, table: 40 } as const;

/** NF_INET_LOCAL_IN, NF_INET_FORWARD */
const hookNumber = { INPUT: 1, FORWARD: 2 } as const;

export interface TableName {
  readonly family: 'ip' | 'ip6';
  readonly table: 'filter' | 'nat' | 'mangle';
}

const query = ({ family, table }: TableName, name: number, bytes: Uint8Array): void => {
  bytes.set(new TextEncoder().encode(table));
  const { domain, level } = sockets[family];
  querySocketOption(`read table ${table} of ${family}_tables`, { domain, level, name }, bytes);
};

/** Whether the table exists. A query for a missing table would make the kernel create it. */
export const hasTable = ({ family, table }: TableName): boolean => {
  try {
    return readFileSync(sockets[family].tables, 'utf8').split('\n').includes(table);
  } catch (error) {
    // The kernel has no ip_tables. Only user root and group root may read the list of its tables.
    if (codeOf(error) === 'ENOENT') return false;
    throw error;
  }
};

/** Offsets into the table of a hook's chain and of its policy. */
interface BuiltInChain {
  readonly first: number;
  readonly policy: number;
}

interface TableInfo {
  readonly chains: Readonly<Record<keyof typeof hookNumber, BuiltInChain>>;
  /** Bytes. */
  readonly size: number;
}

const readInfo = (name: TableName): TableInfo => {
  const info = new Uint8Array(infoLayout.length);
  query(name, option.info, info);
  const word = (offset: number): number => viewOf(info).getUint32(offset, hostIsLittleEndian);
  const chain = (hook: number): BuiltInChain => ({
    first: word(infoLayout.hookEntry + 4 * hook),
    policy: word(infoLayout.underflow + 4 * hook),
  });
  return {
    chains: { INPUT: chain(hookNumber.INPUT), FORWARD: chain(hookNumber.FORWARD) },
    size: word(infoLayout.size),
  };
};

const readEntries = (name: TableName, { size }: TableInfo): Uint8Array => {
  const reply = new Uint8Array(entriesLayout.table + size);
  viewOf(reply).setUint32(entriesLayout.size, size, hostIsLittleEndian);
  query(name, option.entries, reply);
  return reply.subarray(entriesLayout.table);
};

/** Another program may change the table between the query for its size and the one for its entries; the kernel then answers EAGAIN. */
const maxAttempts = 5;

/** Reads a table. Throws a NetlinkError without CAP_NET_ADMIN. */
export const readTable = (
  name: TableName,
  attempt = 1,
): { readonly info: TableInfo; readonly bytes: Uint8Array } => {
  const info = readInfo(name);
  try {
    return { info, bytes: readEntries(name, info) };
  } catch (error) {
    if (attempt < maxAttempts && error instanceof NetlinkError && error.errno === 'EAGAIN')
      return readTable(name, attempt + 1);
    throw error;
  }
};
