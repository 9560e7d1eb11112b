import type { ForeignRule, ForwardFilter } from '../../model/forward-filter.js';
import type { Verdict } from '../../nftables/declarations.js';
import { attributes, attr } from '../../netlink/codec/attributes.js';
import { viewOf } from '../../netlink/codec/bytes.js';
import type { Connection } from '../../netlink/connection.js';
import { hostIsLittleEndian } from '../../netlink/constants.js';
import { NetlinkError } from '../../netlink/errors.js';
import { MessageShape, type Request } from '../../netlink/message.js';
import { cstring } from '../../netlink/codec/scalars.js';
import { nfnetlinkHeader } from '../nfnetlink.js';
import {
  chainShape,
  elementsShape,
  NftablesMessage,
  ownerShape,
  ruleShape,
  tableIsDormant,
  tableShape,
} from './attributes.js';
import { withConnection, type OpenConnection } from './with-connection.js';
import { hookFrom } from './convert.js';
import { verdictFrom } from './expressions.js';
import { foreignRule, type StateSets } from './foreign-rules.js';

type TableId = Pick<ForwardFilter, 'family' | 'table'>;

/** NFTA_RULE_TABLE, NFTA_RULE_CHAIN */
const rulesQuery = new MessageShape(
  'rules-query',
  nfnetlinkHeader,
  attributes('rules-query', { table: attr(1, cstring), chain: attr(2, cstring) }),
);

const listRequest = (type: number, operation: string): Request => ({
  type,
  flags: 0,
  operation: () => operation,
  shape: ownerShape,
  write: (writer) => ownerShape.write(writer, { family: 'unspecified' }, {}),
});

const rulesRequest = ({ family, table }: TableId, chain: string): Request => ({
  type: NftablesMessage.getRule,
  flags: 0,
  operation: () => `list the rules of chain ${chain} of table ${family} ${table}`,
  shape: rulesQuery,
  write: (writer) => rulesQuery.write(writer, { family }, { table, chain }),
});

const elementsRequest = ({ family, table }: TableId, set: string): Request => ({
  type: NftablesMessage.getElements,
  flags: 0,
  operation: () => `list the elements of set ${set} of table ${family} ${table}`,
  shape: ownerShape,
  write: (writer) => ownerShape.write(writer, { family }, { table, set }),
});

/** What a set holds by connection state; a set of anything else is not asked for. */
const stateElements = (
  connection: Connection,
  tableId: TableId,
  set: string,
): ReadonlyMap<number, Verdict | undefined> =>
  new Map(
    connection
      .dump(elementsRequest(tableId, set))
      .flatMap((message) => elementsShape.read(message).attributes.elements ?? [])
      .flatMap(({ key, data }) =>
        key?.value?.length === 4
          ? [[viewOf(key.value).getUint32(0, hostIsLittleEndian), verdictFrom(data)] as const]
          : [],
      ),
  );

const stateSets = (connection: Connection, tableId: TableId): StateSets => {
  const sets = new Map<string, ReturnType<typeof stateElements>>();
  const elementsOf = (set: string): ReturnType<typeof stateElements> => {
    const known = sets.get(set) ?? stateElements(connection, tableId, set);
    sets.set(set, known);
    return known;
  };
  return {
    has: (set, state) => elementsOf(set).has(state),
    verdict: (set, state) => elementsOf(set).get(state),
  };
};

/** The rules of the chain and of those that they send every packet of an open connection to. */
const chainsFrom = (connection: Connection, tableId: TableId, first: string): ForwardFilter['chains'] => {
  const sets = stateSets(connection, tableId);
  const chains = new Map<string, readonly ForeignRule[]>();
  const pending = [first];
  for (let chain = pending.pop(); chain !== undefined; chain = pending.pop()) {
    if (chains.has(chain)) continue;
    const rules = connection
      .dump(rulesRequest(tableId, chain))
      .map((message) => ruleShape.read(message).attributes)
      .filter((rule) => rule.table === tableId.table && rule.chain === chain)
      .map(({ expressions = [] }) => foreignRule(expressions, sets));
    chains.set(chain, rules);
    for (const { scope, action } of rules)
      if (scope === 'all' && 'chain' in action) pending.push(action.chain);
  }
  return chains;
};

const isServed = (family: string): family is ForwardFilter['family'] =>
  family === 'ip' || family === 'ip6' || family === 'inet';

/** iptables-nft keeps the names that iptables has, and no longer understands its chains when nft adds to them. */
const isOfIptables = ({ family, table }: TableId, chain: string): boolean =>
  family !== 'inet' && table === 'filter' && chain === 'FORWARD';

const dormantTables = (connection: Connection): ReadonlySet<string> =>
  new Set(
    connection
      .dump(listRequest(NftablesMessage.getTable, 'list the tables of nftables'))
      .map((message) => tableShape.read(message))
      .filter(({ attributes: { flags = 0 } }) => (flags & tableIsDormant) !== 0)
      .map(({ header, attributes: { name } }) => `${header.family} ${name}`),
  );

const readFilters = (connection: Connection): readonly ForwardFilter[] => {
  const dormant = dormantTables(connection);
  return connection
    .dump(listRequest(NftablesMessage.getChain, 'list the chains of nftables'))
    .map((message) => {
      const { header, attributes: chain } = chainShape.read(message);
      return { family: header.family, table: chain.table, chain: chain.name, hook: hookFrom(chain) };
    })
    .flatMap(({ family, table, chain, hook }): readonly ForwardFilter[] => {
      if (hook?.hook !== 'forward' || family === undefined || !isServed(family)) return [];
      if (dormant.has(`${family} ${table}`)) return [];
      const tableId = { family, table };
      const { priority, policy } = hook;
      const by = isOfIptables(tableId, chain) ? 'iptables-nft' : 'nftables';
      return [{ by, ...tableId, chain, priority, policy, chains: chainsFrom(connection, tableId, chain) }];
    });
};

/** What a kernel without nftables answers. */
const unsupportedErrnos: readonly string[] = ['EPROTONOSUPPORT', 'EOPNOTSUPP', 'EAFNOSUPPORT', 'EINVAL'];

/**
 * Everybody's base chains at the hook forward, with what they do to packets of open connections; none where the kernel has no
 * nftables. Rejects with NetlinkError, EPERM without CAP_NET_ADMIN.
 */
export const nftablesForwardFilters = async (open?: OpenConnection): Promise<readonly ForwardFilter[]> => {
  try {
    return withConnection(readFilters, open);
  } catch (error) {
    if (error instanceof NetlinkError && unsupportedErrnos.includes(error.errno)) return [];
    throw error;
  }
};
