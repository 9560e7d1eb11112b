import { execFileSync } from 'node:child_process';
import { makeKubeProxyRules, type Mode, type Variant } from './kube-proxy-rules.js';

// A kube-proxy that was on the node of ClusterNetwork, as what it leaves in the kernel.

export const onNode = (line: string, input = ''): string =>
  execFileSync('ip', ['netns', 'exec', 'node', 'sh', '-c', line], { encoding: 'utf8', input });

export const startKubeProxy = (mode: Mode, variant: Variant): void =>
  makeKubeProxyRules(mode, variant, onNode);

/** Removes everything that a service proxy made. */
export const clearNode = (): void => {
  onNode(`for v in nft legacy; do for t in nat filter; do iptables-$v -t $t -F; iptables-$v -t $t -X; done; done
    ipset destroy; nft flush ruleset; ipvsadm -C; ip link del kube-ipvs0 2>/dev/null || true`);
};
