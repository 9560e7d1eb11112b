import type { Settings } from '../../config/settings.js';
import { kubeProxyChain, kubeProxySet, kubeProxyTable } from '../../model/kube-proxy-names.js';
import type { Fact } from '../check-result.js';
import type { ChainFact } from '../facts.js';

export type ProxyMode = 'ipvs' | 'iptables' | 'nftables';

/** The kube-proxy process of this node. */
export interface KubeProxyFact {
  readonly pid: number;
  /** Those of its flags and file, read as kube-ipvs reads them. */
  readonly settings: Fact<Settings>;
}

/** A rule of another program that jumps to a chain of kube-proxy. */
export interface DependentRule {
  readonly family: string;
  readonly table: string;
  readonly chain: string;
}

/** The mode that made these chains and ipsets; undefined: kube-proxy has none. */
export const modeOfRules = (
  chains: readonly Pick<ChainFact, 'table' | 'chain'>[],
  ipsets: readonly string[],
): ProxyMode | undefined => {
  if (chains.some(({ table }) => table === kubeProxyTable)) return 'nftables';
  if (chains.some(({ chain }) => /^KUBE-(SVC|SVL|SEP)-/.test(chain))) return 'iptables';
  if (ipsets.some((name) => kubeProxySet.test(name))) return 'ipvs';
  return chains.some(({ chain }) => kubeProxyChain.test(chain)) ? 'iptables' : undefined;
};
