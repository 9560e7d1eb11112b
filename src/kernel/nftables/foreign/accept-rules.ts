import type { Expression, Rule } from '../../../nftables/declarations.js';
import type { NftablesChange } from '../changes.js';
import type { ChainId, RuleId } from '../object-ids.js';
import { openClient, type OpenClient } from './open-client.js';

/** include/uapi/linux/netfilter/nf_conntrack_common.h: NF_CT_STATE_BIT of IP_CT_ESTABLISHED and IP_CT_RELATED */
const establishedOrRelated = 0x6;

/** `ct state established,related accept` */
const expressions: readonly Expression[] = [
  { kind: 'ct', key: 'state', to: 0 },
  { kind: 'bitwise', from: 0, to: 0, mask: establishedOrRelated, xor: 0 },
  { kind: 'compare', operator: '!=', from: 0, value: 0 },
  { kind: 'counter', packets: 0n, bytes: 0n },
  { kind: 'verdict', verdict: 'accept' },
];

/** The comment marks the rule as that of the instance with this table. */
const acceptRule = (table: string): Rule => ({ expressions, comment: `${table}: answers of pods` });

/** Undefined where the change was made, or failed with an errno that says that it was made before; otherwise the reason. */
const make = async (
  change: NftablesChange,
  ignoredErrnos: readonly string[],
  open: OpenClient,
): Promise<string | undefined> => {
  using client = open();
  const outcome = await client.transaction([change]);
  if (outcome.status === 'applied') return undefined;
  if (outcome.status === 'unknown') return 'the kernel did not answer';
  return ignoredErrnos.includes(outcome.errno) ? undefined : outcome.message;
};

/** Inserts a rule that accepts established and related connections as the first one of the chain. Undefined where that succeeded; otherwise the reason. */
export const insertAcceptRule = (
  chain: ChainId,
  ownTable: string,
  open: OpenClient = openClient,
): Promise<string | undefined> => make({ kind: 'insert-rule', chain, rule: acceptRule(ownTable) }, [], open);

/** As insertAcceptRule. A rule that does not exist, perhaps because its chain does not, counts as deleted. */
export const deleteAcceptRule = (rule: RuleId, open: OpenClient = openClient): Promise<string | undefined> =>
  make({ kind: 'delete-rule', rule }, ['ENOENT'], open);

/** The rules that insertAcceptRule made for the instance, in all tables. Rejects with NetlinkError. */
export const acceptRules = async (
  ownTable: string,
  open: OpenClient = openClient,
): Promise<readonly RuleId[]> => {
  using client = open();
  const mark = acceptRule(ownTable).comment;
  return (await client.rules())
    .filter(({ comment }) => comment === mark)
    .map(({ family, table, chain, handle }) => ({ family, table, chain, handle }));
};
