import { attr, attributes, maybe } from '../../netlink/attributes.js';
import { MessageShape, type Request } from '../../netlink/message.js';
import { be64, cstring } from '../../netlink/scalars.js';
import { batchFrame, nfnetlinkHeader, Subsystem } from '../nfnetlink.js';
import { chainShape, NftablesMessage, ownerShape, ruleShape } from './attributes.js';
import type { ReceivedExpression } from './expression-tables.js';
import { expressionFrom } from './expressions.js';
import { withConnection } from './with-connection.js';

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

/** Finds the chains with such names in the tables filter, nat and mangle of iptables-nft, and the jumps to them from other chains. */
export const foreignChains = (isWanted: (chain: string) => boolean): readonly ForeignChains[] =>
  withConnection((connection) => {
    const found = new Map<string, Place & { readonly chains: string[]; readonly jumps: Jump[] }>();
    connection.dump(listRequest(NftablesMessage.getChain, 'chains'), (message) => {
      const { header, attributes: chain } = chainShape.read(message);
      const { family } = header;
      if ((family !== 'ip' && family !== 'ip6') || !['filter', 'nat', 'mangle'].includes(chain.table)) return;
      if (!isWanted(chain.name)) return;
      const key = `${family} ${chain.table}`;
      const place = found.get(key) ?? { family, table: chain.table, chains: [], jumps: [] };
      found.set(key, place);
      place.chains.push(chain.name);
    });
    if (found.size === 0) return [];
    connection.dump(listRequest(NftablesMessage.getRule, 'rules'), (message) => {
      const { header, attributes: rule } = ruleShape.read(message);
      const { chain, handle, expressions = [] } = rule;
      const place = found.get(`${header.family} ${rule.table}`);
      if (place === undefined || chain === undefined || handle === undefined || isWanted(chain)) return;
      const to = jumpedTo(expressions);
      if (to !== undefined && isWanted(to)) place.jumps.push({ chain, handle });
    });
    return [...found.values()];
  });

/** Each transaction fits the kernel's buffer. */
const mostRequests = 2_000;

/** Deletes the jumps, then the rules of the chains, then the chains. Undefined where it was done; otherwise why not: what is left can be found again. */
export const deleteForeignChains = (place: ForeignChains): string | undefined =>
  withConnection((connection) => {
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
  });
