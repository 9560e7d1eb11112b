import type { Family } from '../base/ip.js';
import type { Protocol } from '../base/protocol.js';

/** Chains that kube-proxy, but not the kubelet, creates in iptables. */
const chainPattern =
  'KUBE-(SERVICES|EXTERNAL-SERVICES|NODEPORTS|NODE-PORT|POSTROUTING|MARK-MASQ|FORWARD|LOAD-BALANCER|PROXY-FIREWALL|' +
  'SOURCE-RANGES-FIREWALL|IPVS-FILTER|IPVS-OUT-FILTER|PROXY-CANARY|(SVC|SVL|SEP|EXT|FW|XLB)-[A-Z2-7]+)';

/** Matches the names of those chains. */
export const kubeProxyChain = new RegExp(`^${chainPattern}$`);

/** For grep -E: a line of iptables-save that creates such a chain, belongs to it or jumps to it. */
export const kubeProxyRuleLine = `(^:|-A |-[jg] )${chainPattern}( |$)`;

const setPattern =
  'LOOP-BACK|CLUSTER-IP|EXTERNAL-IP(-LOCAL)?|LOAD-BALANCER(-(FW|LOCAL|SOURCE-CIDR?|SOURCE-IP))?|' +
  'NODE-PORT-(LOCAL-)?(TCP|UDP|SCTP-HASH?)|HEALTH-CHECK-NODE-PORT|IPVS-IPS';

/** Matches the names of the ipset sets that kube-proxy creates; the kernel allows 31 characters. */
export const kubeProxySet = new RegExp(`^KUBE-(6-)?(${setPattern})$`);

/** The set with all node ports of a protocol. */
export const kubeProxyNodePortSet = (family: Family, protocol: Protocol): string =>
  `KUBE-${family === 'IPv6' ? '6-' : ''}NODE-PORT-${protocol}${protocol === 'SCTP' ? '-HASH' : ''}`;

/** The tables of kube-proxy's mode nftables. */
export const kubeProxyTable = 'kube-proxy';
