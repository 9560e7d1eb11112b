import { readFileSync } from 'node:fs';

// What kube-proxy makes in the kernel for one Service, by Linux's own programs.

export type Mode = 'ipvs' | 'iptables';
export type Variant = 'nft' | 'legacy';

const rulesOf = (mode: Mode): string =>
  readFileSync(`test/fixtures/migration/kube-proxy-${mode}.rules`, 'utf8').replaceAll(
    '@PODS@',
    '10.244.0.0/16',
  );

/** The ClusterIP of the Service. */
export const virtual = '10.96.0.10';

const sets = `create KUBE-CLUSTER-IP hash:ip,port family inet hashsize 1024 maxelem 65536
create KUBE-EXTERNAL-IP hash:ip,port family inet hashsize 1024 maxelem 65536
create KUBE-EXTERNAL-IP-LOCAL hash:ip,port family inet hashsize 1024 maxelem 65536
create KUBE-LOAD-BALANCER hash:ip,port family inet hashsize 1024 maxelem 65536
create KUBE-HEALTH-CHECK-NODE-PORT bitmap:port range 0-65535
create KUBE-NODE-PORT-TCP bitmap:port range 0-65535
create KUBE-IPVS-IPS hash:ip family inet hashsize 1024 maxelem 65536
add KUBE-CLUSTER-IP ${virtual},tcp:80
add KUBE-NODE-PORT-TCP 30080
add KUBE-IPVS-IPS ${virtual}
`;

const nodePortAddresses = ['192.0.2.1', '10.244.0.1'];
const virtualServers = [`${virtual}:80`, ...nodePortAddresses.map((address) => `${address}:30080`)]
  .map(
    (at) =>
      `-A -t ${at} -s rr\n-a -t ${at} -r 10.244.0.11:8080 -m -w 1\n-a -t ${at} -r 10.244.0.12:8080 -m -w 1\n`,
  )
  .join('');

/** Runs a shell command in the node's network namespace. */
export type OnNode = (line: string, input?: string) => string;

/** What kube-proxy does at start in a mode: what is missing is added, what is there stays. */
export const makeKubeProxyRules = (mode: Mode, variant: Variant, onNode: OnNode): void => {
  if (mode === 'ipvs') {
    onNode('ipset restore -exist', sets);
    onNode(
      'sysctl -qw net.ipv4.vs.conntrack=1; ip link show kube-ipvs0 >/dev/null 2>&1 || ip link add kube-ipvs0 type dummy',
    );
    onNode(`ip address replace ${virtual}/32 dev kube-ipvs0`);
    if (onNode('ipvsadm -S -n').trim() === '') onNode('ipvsadm -R', virtualServers);
  }
  onNode(`iptables-${variant}-restore --noflush`, rulesOf(mode));
};
