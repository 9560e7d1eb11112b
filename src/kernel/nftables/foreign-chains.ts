import { attr, attributes, optional } from '../../netlink/codec/attributes.js';
import type { Connection } from '../../netlink/connection.js';
import { MessageShape, type Request } from '../../netlink/message.js';
import { be64, cstring } from '../../netlink/codec/scalars.js';
import { batchFrame, nfnetlinkHeader, Subsystem } from '../nfnetlink.js';
import { chainShape, NftablesMessage, ownerShape, ruleShape } from './attributes.js';
import type { ReceivedExpression } from './expression-attributes.js';
import { expressionFrom } from './expressions.js';
import { withConnection, type OpenConnection } from './with-connection.js';

/** A rule of anybody's that jumps to one of the chains. */
interface Jump {
  readonly chain: string;
  readonly handle: bigint;
}

/** Chains of somebody's in a table that others use too, as iptables-nft makes them. */
export interface ForeignChains {
  readonly family: 'ip' | 'ip6';
  readonly table: string;
  readonly chains: readonly string[];
  readonly jumps: readonly Jump[];
}

type TableId = Pick<ForeignChains, 'family' | 'table'>;

/** NFTA_RULE_TABLE, _CHAIN, _HANDLE: without a handle all rules of the chain */
const rulesShape = new MessageShape(
  'rules-deletion',
  nfnetlinkHeader,
  attributes('rules-deletion', {
    table: attr(1, cstring),
    chain: attr(2, cstring),
    handle: optional(3, be64),
  }),
);
/** NFTA_CHAIN_TABLE, _NAME */
const chainDeletionShape = new MessageShape(
  'chain-deletion',
  nfnetlinkHeader,
  attributes('chain-deletion', { table: attr(1, cstring), name: attr(3, cstring) }),
);

const deleteRules = ({ family, table }: TableId, chain: string, handle?: bigint): Request => ({
  type: NftablesMessage.deleteRule,
  flags: 0,
  operation: () => `delete rules of chain ${chain} of table ${family} ${table}`,
  shape: rulesShape,
  write: (writer) =>
    rulesShape.write(writer, { family }, { table, chain, ...(handle !== undefined && { handle }) }),
});

const deleteChain = ({ family, table }: TableId, name: string): Request => ({
  type: NftablesMessage.deleteChain,
  flags: 0,
  operation: () => `delete chain ${name} of table ${family} ${table}`,
  shape: chainDeletionShape,
  write: (writer) => chainDeletionShape.write(writer, { family }, { table, name }),
});

const listRequest = (type: number, what: string): Request => ({
  type,
  flags: 0,
  operation: () => `list the ${what} of nftables`,
  shape: ownerShape,
  write: (writer) => ownerShape.write(writer, { family: 'unspecified' }, {}),
});

/** The chain that a rule jumps to. iptables-nft writes a jump as a verdict. */
const jumpTarget = (expressions: readonly ReceivedExpression[]): string | undefined => {
  for (const received of expressions) {
    if (received.name !== 'immediate') continue;
    const expression = expressionFrom(received, 'IPv4');
    if (expression.kind === 'verdict' && 'chain' in expression) return expression.chain;
  }
  return undefined;
};

type NamePredicate = (chain: string) => boolean;

/** Tables that iptables-nft has, in each family. */
const iptablesTables: readonly string[] = ['filter', 'nat', 'mangle'];

const keyOf = ({ family, table }: { readonly family: string | undefined; readonly table: string }): string =>
  `${family} ${table}`;

interface NamedChain extends TableId {
  readonly name: string;
}

const namedChains = (connection: Connection, matches: NamePredicate): readonly NamedChain[] =>
  connection
    .dump(listRequest(NftablesMessage.getChain, 'chains'))
    .map((message) => chainShape.read(message))
    .flatMap(({ header: { family }, attributes: { table, name } }) =>
      (family === 'ip' || family === 'ip6') && iptablesTables.includes(table) && matches(name)
        ? [{ family, table, name }]
        : [],
    );

/** By the tables that they are in. */
const jumpsTo = (connection: Connection, matches: NamePredicate): ReadonlyMap<string, readonly Jump[]> => {
  const byTable = new Map<string, Jump[]>();
  for (const message of connection.dump(listRequest(NftablesMessage.getRule, 'rules'))) {
    const { header, attributes: rule } = ruleShape.read(message);
    const { table, chain, handle, expressions = [] } = rule;
    if (table === undefined || chain === undefined || handle === undefined || matches(chain)) continue;
    const target = jumpTarget(expressions);
    if (target === undefined || !matches(target)) continue;
    const key = keyOf({ family: header.family, table });
    const jumps = byTable.get(key) ?? [];
    jumps.push({ chain, handle });
    byTable.set(key, jumps);
  }
  return byTable;
};

const findChains = (connection: Connection, matches: NamePredicate): readonly ForeignChains[] => {
  const chains = namedChains(connection, matches);
  if (chains.length === 0) return [];
  const jumps = jumpsTo(connection, matches);
  const tables = new Map(chains.map(({ family, table }) => [keyOf({ family, table }), { family, table }]));
  return [...tables].map(([key, table]) => ({
    ...table,
    chains: chains.filter((chain) => keyOf(chain) === key).map(({ name }) => name),
    jumps: jumps.get(key) ?? [],
  }));
};

/** Finds the chains with such names in the tables filter, nat and mangle of iptables-nft, and the jumps to them from other chains. */
export const foreignChains = (matches: NamePredicate, open?: OpenConnection): readonly ForeignChains[] =>
  withConnection((connection) => findChains(connection, matches), open);

/** Each transaction fits the kernel's buffer. */
const maxRequests = 2_000;

/** Deletes the jumps, then the rules of the chains, then the chains. Undefined where it was done; otherwise why not. */
const deleteChains = (connection: Connection, found: ForeignChains): string | undefined => {
  const all = [
    ...found.jumps.map(({ chain, handle }) => deleteRules(found, chain, handle)),
    ...found.chains.map((chain) => deleteRules(found, chain)),
    ...found.chains.map((chain) => deleteChain(found, chain)),
  ];
  for (let begin = 0; begin < all.length; begin += maxRequests) {
    const frame = batchFrame(Subsystem.nftables, `delete chains of table ${found.family} ${found.table}`);
    const result = connection.transaction({ ...frame, requests: all.slice(begin, begin + maxRequests) });
    if (result.status === 'failed') return result.error.message;
    if (result.status === 'unknown') return 'the kernel gave no answer; try again';
  }
  return undefined;
};

/** Another program may change the table between a look and the deletion, each time. */
const maxAttempts = 5;

/**
 * Deletes the chains with such names in the table, and the jumps to them. Where the kernel refuses, the table is read again: another
 * program may have deleted some of them, or added a jump. Undefined where none is left; otherwise why one is.
 */
export const deleteForeignChains = (
  found: ForeignChains,
  matches: NamePredicate,
  open?: OpenConnection,
): string | undefined =>
  withConnection((connection) => {
    let remaining: ForeignChains | undefined = found;
    let reason: string | undefined;
    for (let deletion = 0; remaining !== undefined && deletion < maxAttempts; deletion += 1) {
      reason = deleteChains(connection, remaining);
      if (reason === undefined) return undefined;
      remaining = findChains(connection, matches).find((each) => keyOf(each) === keyOf(found));
    }
    return remaining === undefined ? undefined : reason;
  }, open);
