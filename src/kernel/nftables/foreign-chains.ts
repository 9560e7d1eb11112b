import { attr, attributes, maybe } from '../../netlink/attributes.js';
import type { Connection } from '../../netlink/connection.js';
import { MessageShape, type Request } from '../../netlink/message.js';
import { be64, cstring } from '../../netlink/scalars.js';
import { batchFrame, nfnetlinkHeader, Subsystem } from '../nfnetlink.js';
import { chainShape, NftablesMessage, ownerShape, ruleShape } from './attributes.js';
import type { ReceivedExpression } from './expression-tables.js';
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

type Place = Pick<ForeignChains, 'family' | 'table'>;

/** NFTA_RULE_TABLE, _CHAIN, _HANDLE: without a handle all rules of the chain */
const rulesShape = new MessageShape(
  'rules-deletion',
  nfnetlinkHeader,
  attributes('rules-deletion', { table: attr(1, cstring), chain: attr(2, cstring), handle: maybe(3, be64) }),
);
/** NFTA_CHAIN_TABLE, _NAME */
const chainDeletionShape = new MessageShape(
  'chain-deletion',
  nfnetlinkHeader,
  attributes('chain-deletion', { table: attr(1, cstring), name: attr(3, cstring) }),
);

const deleteRules = ({ family, table }: Place, chain: string, handle?: bigint): Request => ({
  type: NftablesMessage.deleteRule,
  flags: 0,
  operation: () => `delete rules of chain ${chain} of table ${family} ${table}`,
  shape: rulesShape,
  write: (writer) =>
    rulesShape.write(writer, { family }, { table, chain, ...(handle !== undefined && { handle }) }),
});

const deleteChain = ({ family, table }: Place, name: string): Request => ({
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
const jumpedTo = (expressions: readonly ReceivedExpression[]): string | undefined => {
  for (const received of expressions) {
    if (received.name !== 'immediate') continue;
    const expression = expressionFrom(received, 'IPv4');
    if (expression.kind === 'verdict' && 'chain' in expression) return expression.chain;
  }
  return undefined;
};

type Names = (chain: string) => boolean;

/** Tables that iptables-nft has, in each family. */
const iptablesTables: readonly string[] = ['filter', 'nat', 'mangle'];

const keyOf = ({ family, table }: { readonly family: string | undefined; readonly table: string }): string =>
  `${family} ${table}`;

interface NamedChain extends Place {
  readonly name: string;
}

const namedChains = (connection: Connection, isWanted: Names): readonly NamedChain[] =>
  connection
    .dump(listRequest(NftablesMessage.getChain, 'chains'))
    .map((message) => chainShape.read(message))
    .flatMap(({ header: { family }, attributes: { table, name } }) =>
      (family === 'ip' || family === 'ip6') && iptablesTables.includes(table) && isWanted(name)
        ? [{ family, table, name }]
        : [],
    );

/** By the tables that they are in. */
const jumpsTo = (connection: Connection, isWanted: Names): ReadonlyMap<string, readonly Jump[]> => {
  const byTable = new Map<string, Jump[]>();
  for (const message of connection.dump(listRequest(NftablesMessage.getRule, 'rules'))) {
    const { header, attributes: rule } = ruleShape.read(message);
    const { table, chain, handle, expressions = [] } = rule;
    if (table === undefined || chain === undefined || handle === undefined || isWanted(chain)) continue;
    const to = jumpedTo(expressions);
    if (to === undefined || !isWanted(to)) continue;
    const key = keyOf({ family: header.family, table });
    const jumps = byTable.get(key) ?? [];
    jumps.push({ chain, handle });
    byTable.set(key, jumps);
  }
  return byTable;
};

const findChains = (connection: Connection, isWanted: Names): readonly ForeignChains[] => {
  const chains = namedChains(connection, isWanted);
  if (chains.length === 0) return [];
  const jumps = jumpsTo(connection, isWanted);
  const places = new Map(chains.map(({ family, table }) => [keyOf({ family, table }), { family, table }]));
  return [...places].map(([key, place]) => ({
    ...place,
    chains: chains.filter((chain) => keyOf(chain) === key).map(({ name }) => name),
    jumps: jumps.get(key) ?? [],
  }));
};

/** Finds the chains with such names in the tables filter, nat and mangle of iptables-nft, and the jumps to them from other chains. */
export const foreignChains = (isWanted: Names, open?: OpenConnection): readonly ForeignChains[] =>
  withConnection((connection) => findChains(connection, isWanted), open);

/** Each transaction fits the kernel's buffer. */
const mostRequests = 2_000;

/** Deletes the jumps, then the rules of the chains, then the chains. Undefined where it was done; otherwise why not. */
const deleteOnce = (connection: Connection, place: ForeignChains): string | undefined => {
  const all = [
    ...place.jumps.map(({ chain, handle }) => deleteRules(place, chain, handle)),
    ...place.chains.map((chain) => deleteRules(place, chain)),
    ...place.chains.map((chain) => deleteChain(place, chain)),
  ];
  for (let begin = 0; begin < all.length; begin += mostRequests) {
    const frame = batchFrame(Subsystem.nftables, `delete chains of table ${place.family} ${place.table}`);
    const answer = connection.transaction({ ...frame, requests: all.slice(begin, begin + mostRequests) });
    if (answer.status === 'failed') return answer.error.message;
    if (answer.status === 'unknown') return 'the kernel gave no answer; try again';
  }
  return undefined;
};

/** Another program may change the table between a look and the deletion, each time. */
const mostDeletions = 5;

/**
 * Deletes the chains with such names in the table, and the jumps to them. Where the kernel refuses, the table is read again: another
 * program may have deleted some of them, or added a jump. Undefined where none is left; otherwise why one is.
 */
export const deleteForeignChains = (
  found: ForeignChains,
  isWanted: Names,
  open?: OpenConnection,
): string | undefined =>
  withConnection((connection) => {
    let place: ForeignChains | undefined = found;
    let reason: string | undefined;
    for (let deletion = 0; place !== undefined && deletion < mostDeletions; deletion += 1) {
      reason = deleteOnce(connection, place);
      if (reason === undefined) return undefined;
      place = findChains(connection, isWanted).find((each) => keyOf(each) === keyOf(found));
    }
    return place === undefined ? undefined : reason;
  }, open);
