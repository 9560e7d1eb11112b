import type { ForeignRule, ForwardFilter } from '../../model/forward-filter.js';

type FilterVerdict = 'accept' | 'drop' | 'end of chain';

/**
 * The kernel rejects loops of chains. The limit protects against chains that changed while they were read.
 */
const deepestJump = 64;

const verdictOf = (
  chains: ForwardFilter['chains'],
  rules: readonly ForeignRule[],
  depth: number,
): FilterVerdict => {
  if (depth > deepestJump) return 'end of chain';
  for (const { scope, action } of rules) {
    if (scope === 'some') continue;
    switch (action.verdict) {
      case 'accept':
      case 'drop':
        return action.verdict;
      case 'return':
        return 'end of chain';
      case 'goto':
        return verdictOf(chains, chains.get(action.chain) ?? [], depth + 1);
      case 'jump': {
        const verdict = verdictOf(chains, chains.get(action.chain) ?? [], depth + 1);
        if (verdict !== 'end of chain') return verdict;
        break;
      }
      case 'continue':
    }
  }
  return 'end of chain';
};

/**
 * Whether a filter drops packets of established connections, such as replies of pods. Ignores rules that
 * match only some packets.
 */
export const dropsReplies = ({ chains, chain, policy }: ForwardFilter): boolean => {
  const verdict = verdictOf(chains, chains.get(chain) ?? [], 0);
  return (verdict === 'end of chain' ? policy : verdict) === 'drop';
};

/** The shell command that makes the filter accept replies. */
export const remedyFor = ({ by, family, table, chain }: ForwardFilter): string =>
  by === 'nftables'
    ? `nft insert rule ${family} ${table} ${chain} ct state established,related accept`
    : `${family === 'ip6' ? 'ip6tables' : 'iptables'}${by === 'iptables-legacy' ? '-legacy' : '-nft'} -I ${chain} -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT`;

/** `chain forward of table inet filter (nftables, hook forward, priority 0)`. */
export const filterName = ({ by, family, table, chain, priority }: ForwardFilter): string =>
  `chain ${chain} of table ${family} ${table} (${by}, hook forward, priority ${priority})`;

/** The problem, its effect and its remedy. */
export const warningText = (filter: ForwardFilter): string =>
  `${filterName(filter)} drops ${filter.policy === 'drop' ? 'by its policy every packet that no rule accepts' : 'by a rule every packet that no earlier rule accepts'}: ` +
  'replies of pods to clients outside this node are lost unless a rule of the chain accepts them, ' +
  `and kube-ipvs cannot prevent this with its own rules. To accept replies: ${remedyFor(filter)}`;
