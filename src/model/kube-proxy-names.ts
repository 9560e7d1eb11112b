import type { Family } from '../base/ip.js';
import type { Protocol } from '../base/protocol.js';

/** Chains that kube-proxy makes in iptables and the kubelet does not. */
const chainPattern =
  'KUBE-(SERVICES|EXTERNAL-SERVICES|NODEPORTS|NODE-PORT|POSTROUTING|MARK-MASQ|FORWARD|LOAD-BALANCER|PROXY-FIREWALL|' +
  'SOURCE-RANGES-FIREWALL|IPVS-FILTER|IPVS-OUT-FILTER|PROXY-CANARY|(SVC|SVL|SEP|EXT|FW|XLB)-[A-Z2-7]+)';

/** Finds those chains by their names. */
export const kubeProxyChain = new RegExp(`^${chainPattern}$`);

/** For grep -E: a line of iptables-save that makes such a chain, is in it, or jumps to it. */
export const kubeProxyRuleLine = `(^:|-A |-[jg] )${chainPattern}( |$)`;

const setPattern =
  'LOOP-BACK|CLUSTER-IP|EXTERNAL-IP(-LOCAL)?|LOAD-BALANCER(-(FW|LOCAL|SOURCE-CIDR?|SOURCE-IP))?|' +
  'NODE-PORT-(LOCAL-)?(TCP|UDP|SCTP-HASH?)|HEALTH-CHECK-NODE-PORT|IPVS-IPS';

/** Finds the sets of ipset that kube-proxy makes by their names, of which the kernel takes 31 characters. */
export const kubeProxySet = new RegExp(`^KUBE-(6-)?(${setPattern})$`);

/** The set that holds all node ports of a protocol. */
export const kubeProxyNodePortSet = (family: Family, protocol: Protocol): string =>
  `KUBE-${family === 'IPv6' ? '6-' : ''}NODE-PORT-${protocol}${protocol === 'SCTP' ? '-HASH' : ''}`;

/** The tables of kube-proxy's mode nftables. */
export const kubeProxyTable = 'kube-proxy';
