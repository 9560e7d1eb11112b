/**
 * Whether a rule certainly matches all packets of open connections, or possibly only some. A rule for established
 * connections matches all of them.
 */
export type RuleScope = 'all' | 'some';

/** A rule of another program, as far as it affects packets of open connections. */
export interface ForeignRule {
  readonly scope: RuleScope;
  readonly action:
    | { readonly verdict: 'accept' | 'drop' | 'continue' | 'return' }
    | { readonly verdict: 'jump' | 'goto'; readonly chain: string };
}

/** A base chain of another program at the hook forward: it sees every forwarded packet. */
export interface ForwardFilter {
  readonly by: 'nftables' | 'iptables-nft' | 'iptables-legacy';
  /** The family in nft's words; of iptables-legacy ip or ip6. */
  readonly family: 'ip' | 'ip6' | 'inet';
  readonly table: string;
  readonly chain: string;
  readonly priority: number;
  readonly policy: 'accept' | 'drop';
  /** The rules of this chain and of the chains that it jumps to, by the chain's name. */
  readonly chains: ReadonlyMap<string, readonly ForeignRule[]>;
}
