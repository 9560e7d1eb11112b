import type { NftablesChange } from '../changes.js';
import type { NftablesClient, RuleInfo } from '../client.js';
import { expressionFrom } from '../expressions.js';
import { formatTable, type TableId } from '../object-ids.js';
import { openClient, type OpenClient } from './open-client.js';

/** A rule of another chain that jumps to one of the chains. */
interface Jump {
  readonly chain: string;
  readonly handle: bigint;
}

/** Chains of another program in a table that several programs share, as iptables-nft makes them. */
export interface ForeignChains extends TableId {
  readonly chains: readonly string[];
  readonly jumps: readonly Jump[];
}

type NamePredicate = (chain: string) => boolean;

/** Tables that iptables-nft has, in each family. */
const iptablesTables: readonly string[] = ['filter', 'nat', 'mangle'];

/** The chain that a rule jumps to. iptables-nft writes a jump as a verdict. */
const jumpTarget = ({ expressions }: RuleInfo): string | undefined => {
  for (const received of expressions) {
    if (received.name !== 'immediate') continue;
    const expression = expressionFrom(received, 'IPv4');
    if (expression.kind === 'verdict' && 'chain' in expression) return expression.chain;
  }
  return undefined;
};

/** By the tables that they are in, as nft writes them. */
const jumpsTo = async (
  client: NftablesClient,
  matches: NamePredicate,
): Promise<ReadonlyMap<string, readonly Jump[]>> => {
  const byTable = new Map<string, Jump[]>();
  for (const rule of await client.rules()) {
    if (matches(rule.chain)) continue;
    const target = jumpTarget(rule);
    if (target === undefined || !matches(target)) continue;
    const key = formatTable(rule);
    const jumps = byTable.get(key) ?? [];
    jumps.push({ chain: rule.chain, handle: rule.handle });
    byTable.set(key, jumps);
  }
  return byTable;
};

const findChains = async (
  client: NftablesClient,
  matches: NamePredicate,
): Promise<readonly ForeignChains[]> => {
  const chains = (await client.chains()).filter(
    ({ family, table, chain }) => family !== 'inet' && iptablesTables.includes(table) && matches(chain),
  );
  if (chains.length === 0) return [];
  const jumps = await jumpsTo(client, matches);
  const tables = new Map(
    chains.map(({ family, table }) => [formatTable({ family, table }), { family, table }]),
  );
  return [...tables].map(([key, table]) => ({
    ...table,
    chains: chains.filter((each) => formatTable(each) === key).map(({ chain }) => chain),
    jumps: jumps.get(key) ?? [],
  }));
};

/** Finds the chains with such names in the tables filter, nat and mangle of iptables-nft, and the jumps to them from other chains. */
export const foreignChains = async (
  matches: NamePredicate,
  open: OpenClient = openClient,
): Promise<readonly ForeignChains[]> => {
  using client = open();
  return await findChains(client, matches);
};

/** Each transaction fits the kernel's buffer. */
const maxChanges = 2_000;

const deletions = ({ family, table, chains, jumps }: ForeignChains): readonly NftablesChange[] => [
  ...jumps.map((jump): NftablesChange => ({ kind: 'delete-rule', rule: { family, table, ...jump } })),
  ...chains.map((chain): NftablesChange => ({ kind: 'flush-chain', chain: { family, table, chain } })),
  ...chains.map((chain): NftablesChange => ({ kind: 'delete-chain', chain: { family, table, chain } })),
];

/** Deletes the jumps, then the rules of the chains, then the chains. Undefined where that succeeded; otherwise the reason. */
const deleteChains = async (client: NftablesClient, found: ForeignChains): Promise<string | undefined> => {
  const all = deletions(found);
  for (let begin = 0; begin < all.length; begin += maxChanges) {
    const outcome = await client.transaction(all.slice(begin, begin + maxChanges));
    if (outcome.status === 'failed') return outcome.message;
    if (outcome.status === 'unknown') return 'the kernel did not answer; try again';
  }
  return undefined;
};

/** Another program may change the table between each read and the deletion that follows it. */
const maxAttempts = 5;

/**
 * Deletes the chains with such names in the table, and the jumps to them. Where the kernel refuses, it reads the table again:
 * another program may have deleted some of them or added a jump. Undefined where none is left; otherwise the reason.
 */
export const deleteForeignChains = async (
  found: ForeignChains,
  matches: NamePredicate,
  open: OpenClient = openClient,
): Promise<string | undefined> => {
  using client = open();
  let remaining: ForeignChains | undefined = found;
  let reason: string | undefined;
  for (let attempt = 0; remaining !== undefined && attempt < maxAttempts; attempt += 1) {
    reason = await deleteChains(client, remaining);
    if (reason === undefined) return undefined;
    remaining = (await findChains(client, matches)).find((each) => formatTable(each) === formatTable(found));
  }
  return remaining === undefined ? undefined : reason;
};
