import type { ForeignRule, ForwardFilter } from '../../../model/forward-filter.js';
import { registerNumberOf } from '../../../nftables/register-value.js';
import { NetlinkError } from '../../../netlink/errors.js';
import type { NftablesClient, ChainInfo } from '../client.js';
import { formatTable, type ChainId, type TableId } from '../object-ids.js';
import { foreignRule, type ReadStateSet, type StateSet } from './foreign-rules.js';
import { openClient, type OpenClient } from './open-client.js';

/** Reads each set of the table once. Of sets whose keys are no connection states nothing is used. */
const stateSetReader = (client: NftablesClient, id: TableId): ReadStateSet => {
  const known = new Map<string, StateSet>();
  return async (set) => {
    const elements =
      known.get(set) ??
      new Map(
        (await client.rawElements(id, set))
          .filter(({ key }) => key.length === 4)
          .map(({ key, verdict }) => [registerNumberOf(key), verdict]),
      );
    known.set(set, elements);
    return elements;
  };
};

/** The rules of the chain and of the chains that they send every packet of an open connection to. */
const chainsFrom = async (
  client: NftablesClient,
  { family, table, chain: first }: ChainId,
): Promise<ForwardFilter['chains']> => {
  const readSet = stateSetReader(client, { family, table });
  const chains = new Map<string, readonly ForeignRule[]>();
  const pending = [first];
  for (let chain = pending.pop(); chain !== undefined; chain = pending.pop()) {
    if (chains.has(chain)) continue;
    const rules: ForeignRule[] = [];
    for (const { expressions } of await client.rules({ family, table, chain }))
      rules.push(await foreignRule(expressions, readSet));
    chains.set(chain, rules);
    for (const { scope, action } of rules)
      if (scope === 'all' && 'chain' in action) pending.push(action.chain);
  }
  return chains;
};

/** iptables-nft keeps the names that iptables has, and no longer understands its chains when nft adds to them. */
const isOfIptables = ({ family, table, chain }: ChainId): boolean =>
  family !== 'inet' && table === 'filter' && chain === 'FORWARD';

const isForwardHook = (chain: ChainInfo): chain is ChainInfo & { readonly hook: object } =>
  chain.hook?.hook === 'forward';

const readFilters = async (client: NftablesClient): Promise<readonly ForwardFilter[]> => {
  const tables = await client.tables();
  const dormant = new Set(tables.filter(({ isDormant }) => isDormant).map(formatTable));
  const filters: ForwardFilter[] = [];
  for (const each of (await client.chains()).filter(isForwardHook)) {
    if (dormant.has(formatTable(each))) continue;
    const { family, table, chain, hook } = each;
    const { priority, policy } = hook;
    const by = isOfIptables(each) ? 'iptables-nft' : 'nftables';
    filters.push({ by, family, table, chain, priority, policy, chains: await chainsFrom(client, each) });
  }
  return filters;
};

/** What a kernel without nftables answers. */
const unsupportedErrnos: readonly string[] = ['EPROTONOSUPPORT', 'EOPNOTSUPP', 'EAFNOSUPPORT', 'EINVAL'];

/**
 * The base chains of all programs at the hook forward, with what they do to packets of open connections; none where the kernel
 * has no nftables. Rejects with NetlinkError, EPERM without CAP_NET_ADMIN.
 */
export const nftablesForwardFilters = async (
  open: OpenClient = openClient,
): Promise<readonly ForwardFilter[]> => {
  try {
    using client = open();
    return await readFilters(client);
  } catch (error) {
    if (error instanceof NetlinkError && unsupportedErrnos.includes(error.errno)) return [];
    throw error;
  }
};
