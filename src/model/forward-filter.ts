/**
 * Which of the packets of open connections a rule is for: all of them, or, as far as we can tell, some. A rule for
 * established connections is for all of them.
 */
export type RuleScope = 'all' | 'some';

/** A rule of somebody else, as far as it matters to a packet of an open connection. */
export interface ForeignRule {
  readonly scope: RuleScope;
  readonly action:
    | { readonly verdict: 'accept' | 'drop' | 'continue' | 'return' }
    | { readonly verdict: 'jump' | 'goto'; readonly chain: string };
}

/** Where somebody else's rules see every packet that is forwarded: a base chain at the hook forward. */
export interface ForwardFilter {
  readonly by: 'nftables' | 'iptables-nft' | 'iptables-legacy';
  /** As nft has it; iptables-legacy: ip or ip6. */
  readonly family: 'ip' | 'ip6' | 'inet';
  readonly table: string;
  readonly chain: string;
  readonly priority: number;
  readonly policy: 'accept' | 'drop';
  /** The rules of this chain and of those that it leads to, by the chain's name. */
  readonly chains: ReadonlyMap<string, readonly ForeignRule[]>;
}
