import type { Facts, IpvsTable, NetworkFacts, ProcessFacts } from '../../src/doctor/facts.js';
import { requiredPermissions } from '../../src/doctor/collect/api.js';
import type { Fact, CheckStatus } from '../../src/doctor/check-result.js';
import type { BaseChainHook } from '../../src/nftables/declarations.js';
import {
  address,
  api,
  chain,
  filter,
  goodFacts,
  hour,
  link,
  moreLinks,
  network,
  numbers,
  server,
  service,
  settingsOf,
  status,
} from '../support/doctor-facts.js';

/** One thing that is wrong, and all that the check says of it. */
export interface Case {
  readonly what: string;
  readonly id: string;
  readonly wrong: Partial<Facts>;
  readonly result: CheckStatus;
  readonly seen: string;
  readonly remedy: string;
}

const valueIn = <T>(fact: Fact<T>): T => {
  if ('value' in fact) return fact.value;
  throw new Error(fact.unavailable);
};

const unavailable = { unavailable: 'not allowed', remedy: 'run it as root' } as const;
const goodNetwork: NetworkFacts = valueIn(goodFacts.network);

const table = (changes: Partial<IpvsTable>): Facts['ipvs'] => ({
  value: { version: '1.2.1', buckets: 4096, virtualServers: 2, realServers: 3, connections: 40, ...changes },
});

const bound = (...texts: readonly string[]): Facts['network'] =>
  network({ addresses: [...goodNetwork.addresses, ...texts.map((text) => address(text))] });

const twoLinks = moreLinks(link(8, 'eth1'));
const twoUplinks = network({
  links: twoLinks,
  addresses: [...goodNetwork.addresses, address('198.51.100.5/24 eth1', twoLinks)],
});

const dnsLinks = moreLinks(link(8, 'nodelocaldns', 'dummy'));
const localDns = network({
  links: dnsLinks,
  addresses: [
    ...goodNetwork.addresses,
    address('169.254.20.10/32 nodelocaldns', dnsLinks),
    address('10.96.0.10/32 nodelocaldns', dnsLinks),
  ],
});

const noStrictArp = numbers({ 'net.ipv4.conf.all.arp_ignore': 0, 'net.ipv4.conf.all.arp_announce': 0 });

const balanced = (ingress: string) =>
  service('default/web', { type: 'LoadBalancer', clusterIP: '10.96.0.20', ingress: [{ ip: ingress }] });

const healthChecked = service('default/web', {
  type: 'LoadBalancer',
  clusterIP: '10.96.0.20',
  externalTrafficPolicy: 'Local',
  healthCheckNodePort: 32_100,
});

const inputDrop: BaseChainHook = { type: 'filter', hook: 'input', priority: 0, policy: 'drop' };

const denied = (right: string) => ({
  value: requiredPermissions.map(({ verb, resource }) => ({
    verb,
    resource,
    allowed: `${verb} ${resource}` !== right,
  })),
});

const processOf = (changes: Partial<ProcessFacts>): Facts['process'] => ({
  value: { ...valueIn(goodFacts.process), ...changes },
});

const metrics = (changes: Readonly<Record<string, number>>): Facts['metrics'] => ({
  value: new Map([...valueIn(goodFacts.metrics), ...Object.entries(changes)]),
});

export const cases: readonly Case[] = [
  {
    what: 'a kernel before 4.18',
    id: 'kernel-version',
    wrong: { release: '4.14.0' },
    result: 'fail',
    seen: 'Linux 4.14.0: a reused port may wait a second unless conn_reuse_mode is 0 (before 5.9); rates are estimated in a softirq (before 6.2)',
    remedy: 'boot Linux 4.18 or later: the packet rules of kube-ipvs need it',
  },
  {
    what: 'a kernel before 5.9',
    id: 'kernel-version',
    wrong: { release: '5.4.0-1012-gke' },
    result: 'warn',
    seen: 'Linux 5.4.0-1012-gke: a reused port may wait a second unless conn_reuse_mode is 0 (before 5.9); rates are estimated in a softirq (before 6.2)',
    remedy: 'boot Linux 5.9 or later, better 6.2',
  },
  {
    what: 'no release',
    id: 'kernel-version',
    wrong: { release: 'custom' },
    result: 'warn',
    seen: '"custom" is no kernel release as 6.1.0 is',
    remedy: 'if this is a Linux before 5.9: sysctl -w net.ipv4.vs.conn_reuse_mode=0',
  },
  {
    what: 'a network namespace of a pod',
    id: 'network-namespace',
    wrong: { initialNetwork: false },
    result: 'warn',
    seen: "this is not the host's network namespace: settings that only it has, as net.core.netdev_budget, are not here",
    remedy: 'in a pod: spec.hostNetwork: true; on the node: nsenter -t 1 -n kube-ipvs doctor',
  },
  {
    what: 'no dummy driver',
    id: 'dummy-driver',
    wrong: { dummyDriver: { value: 'absent' } },
    result: 'fail',
    seen: 'the modules of this kernel hold no dummy driver',
    remedy: 'install the package with all modules of $(uname -r), or boot a kernel with CONFIG_DUMMY',
  },
  {
    what: 'many servers on an old kernel',
    id: 'estimators',
    wrong: { release: '5.15.0', ipvs: table({ virtualServers: 4_000, realServers: 30_000 }) },
    result: 'warn',
    seen: '34000 estimators (4000 virtual servers and 30000 real servers), in one softirq every 2 s, as Linux before 6.2 does',
    remedy: 'boot Linux 6.2 or later, or do without rates: sysctl -w net.ipv4.vs.run_estimation=0',
  },
  {
    what: 'estimation turned off',
    id: 'estimators',
    wrong: { kernelSettings: numbers({ 'net.ipv4.vs.run_estimation': 0 }) },
    result: 'warn',
    seen: 'net.ipv4.vs.run_estimation is 0: nothing is estimated, and `kube-ipvs dump --rate` shows zeros',
    remedy: 'to have rates: sysctl -w net.ipv4.vs.run_estimation=1',
  },
  {
    what: 'no IPVS',
    id: 'ipvs',
    wrong: { ipvs: { value: 'absent' } },
    result: 'fail',
    seen: 'this kernel has no IPVS, or its module ip_vs is not loaded',
    remedy: 'modprobe ip_vs; to keep it: echo ip_vs > /etc/modules-load.d/ipvs.conf',
  },
  {
    what: 'a scheduler that the kernel lacks',
    id: 'schedulers',
    wrong: {
      schedulers: {
        value: [
          { name: 'rr', requestedBy: 'the configuration', present: true },
          { name: 'mh', requestedBy: 'Service default/web', present: false },
        ],
      },
    },
    result: 'fail',
    seen: 'missing: mh, which Service default/web wants',
    remedy: 'modprobe ip_vs_mh; or choose another, as ipvs.scheduler: rr',
  },
  {
    what: 'a full connection table',
    id: 'connection-table',
    wrong: { ipvs: table({ connections: 40_000 }) },
    result: 'warn',
    seen: '40000 connections in 4096 buckets, 9.8 each',
    remedy: 'echo options ip_vs conn_tab_bits=15 > /etc/modprobe.d/ip_vs.conf, then reboot',
  },
  {
    what: 'a crowded connection table',
    id: 'connection-table',
    wrong: { ipvs: table({ connections: 1_000_000 }) },
    result: 'fail',
    seen: '1000000 connections in 4096 buckets, 244 each',
    remedy: 'echo options ip_vs conn_tab_bits=19 > /etc/modprobe.d/ip_vs.conf, then reboot',
  },
  {
    what: 'a crowded table that grows',
    id: 'connection-table',
    wrong: {
      ipvs: table({ connections: 40_000 }),
      kernelSettings: numbers({ 'net.ipv4.vs.conn_lfactor': -4 }),
    },
    result: 'warn',
    seen: '40000 connections in 4096 buckets, 9.8 each',
    remedy:
      'the table of this kernel grows by itself: sysctl -w net.ipv4.vs.conn_lfactor=-5 makes it sparser',
  },
  {
    what: 'keepalive after the timeout',
    id: 'tcp-timeout',
    wrong: { kernelSettings: numbers({ 'net.ipv4.tcp_keepalive_time': 7_200 }) },
    result: 'warn',
    seen: 'IPVS forgets idle TCP connections after 900 s; keepalive probes begin after 7200 s',
    remedy:
      'ipvs.tcpTimeout: 7500s in the configuration, or on the clients sysctl -w net.ipv4.tcp_keepalive_time=600',
  },
  {
    what: 'defences that are on',
    id: 'defences',
    wrong: { kernelSettings: numbers({ 'net.ipv4.vs.drop_entry': 1, 'net.ipv4.vs.secure_tcp': 3 }) },
    result: 'warn',
    seen: 'drop_packet 0, drop_entry 1, secure_tcp 3',
    remedy: 'sysctl -w net.ipv4.vs.drop_entry=0; sysctl -w net.ipv4.vs.secure_tcp=0',
  },
  {
    what: 'a virtual server of others',
    id: 'foreign-servers',
    wrong: {
      virtualServers: { value: [server('10.96.0.1', 443), { ...server('192.0.2.80', 80), ours: false }] },
    },
    result: 'warn',
    seen: '1 of 2 virtual servers are of others: TCP 192.0.2.80:80',
    remedy:
      'kube-ipvs leaves them alone. If nobody needs them: ipvsadm -D, with -t, -u or -f and the address',
  },
  {
    what: 'virtual servers and no packet rules',
    id: 'foreign-servers',
    wrong: { ownRules: { value: [] } },
    result: 'unknown',
    seen: '2 virtual servers, and no packet rules of kube-ipvs that name its own',
    remedy: 'start kube-ipvs; see the check packet-rules',
  },
  {
    what: 'a tunnel that is too wide',
    id: 'tunnel-mtu',
    wrong: { network: network({ links: moreLinks(link(9, 'vxlan.calico', 'vxlan', 1500)) }) },
    result: 'warn',
    seen: 'vxlan.calico (vxlan) has an MTU of 1500; the network has 1500',
    remedy: 'ip link set vxlan.calico mtu 1450, and the same in the configuration of the CNI',
  },
  {
    what: 'no path MTU discovery',
    id: 'tunnel-mtu',
    wrong: { kernelSettings: numbers({ 'net.ipv4.vs.pmtu_disc': 0 }) },
    result: 'warn',
    seen: 'net.ipv4.vs.pmtu_disc is 0: IPVS does not tell clients that a tunnel is too narrow',
    remedy: 'sysctl -w net.ipv4.vs.pmtu_disc=1',
  },
  {
    what: 'vs.conntrack off',
    id: 'vs-conntrack',
    wrong: { kernelSettings: numbers({ 'net.ipv4.vs.conntrack': 0 }) },
    result: 'fail',
    seen: 'net.ipv4.vs.conntrack is 0',
    remedy: 'sysctl -w net.ipv4.vs.conntrack=1; kube-ipvs sets it when it starts',
  },
  {
    what: 'reuse mode 1 on an old kernel',
    id: 'connection-reuse',
    wrong: { release: '4.19.0', kernelSettings: numbers({ 'net.ipv4.vs.conn_reuse_mode': 1 }) },
    result: 'fail',
    seen: 'net.ipv4.vs.conn_reuse_mode is 1 on Linux 4.19: a reused port waits a second',
    remedy: 'sysctl -w net.ipv4.vs.conn_reuse_mode=0',
  },
  {
    what: 'reuse mode 0 on a new kernel',
    id: 'connection-reuse',
    wrong: { kernelSettings: numbers({ 'net.ipv4.vs.conn_reuse_mode': 0 }) },
    result: 'warn',
    seen: 'net.ipv4.vs.conn_reuse_mode is 0 on Linux 6.12: a new connection from a reused port goes to the old real server, even one that drains',
    remedy: 'sysctl -w net.ipv4.vs.conn_reuse_mode=1',
  },
  {
    what: 'expire_nodest_conn off',
    id: 'expire-nodest-conn',
    wrong: { kernelSettings: numbers({ 'net.ipv4.vs.expire_nodest_conn': 0 }) },
    result: 'fail',
    seen: 'net.ipv4.vs.expire_nodest_conn is 0',
    remedy: 'sysctl -w net.ipv4.vs.expire_nodest_conn=1; kube-ipvs sets it when it starts',
  },
  {
    what: 'expire_quiescent_template off',
    id: 'expire-quiescent-template',
    wrong: { kernelSettings: numbers({ 'net.ipv4.vs.expire_quiescent_template': 0 }) },
    result: 'fail',
    seen: 'net.ipv4.vs.expire_quiescent_template is 0',
    remedy: 'sysctl -w net.ipv4.vs.expire_quiescent_template=1; kube-ipvs sets it when it starts',
  },
  {
    what: 'no IPv4 forwarding',
    id: 'ipv4-forwarding',
    wrong: { kernelSettings: numbers({ 'net.ipv4.ip_forward': 0 }) },
    result: 'fail',
    seen: 'net.ipv4.ip_forward is 0',
    remedy: 'sysctl -w net.ipv4.ip_forward=1; kube-ipvs sets it when it starts',
  },
  {
    what: 'no IPv6 forwarding, and IPv6 Services',
    id: 'ipv6-forwarding',
    wrong: {
      kernelSettings: numbers({ 'net.ipv6.conf.all.forwarding': 0 }),
      virtualServers: { value: [server('fd00:96::1', 443)] },
    },
    result: 'fail',
    seen: 'net.ipv6.conf.all.forwarding is 0, and Services have IPv6 addresses',
    remedy: 'sysctl -w net.ipv6.conf.all.forwarding=1',
  },
  {
    what: 'no IPv6 forwarding, and nobody knows the Services',
    id: 'ipv6-forwarding',
    wrong: {
      kernelSettings: numbers({ 'net.ipv6.conf.all.forwarding': 0 }),
      virtualServers: unavailable,
      services: unavailable,
    },
    result: 'warn',
    seen: 'net.ipv6.conf.all.forwarding is 0; whether Services have IPv6 addresses is unknown',
    remedy: 'sysctl -w net.ipv6.conf.all.forwarding=1; not needed in a cluster of IPv4 alone',
  },
  {
    what: 'route_localnet on',
    id: 'route-localnet',
    wrong: { kernelSettings: numbers({ 'net.ipv4.conf.all.route_localnet': 1 }) },
    result: 'warn',
    seen: "net.ipv4.conf.all.route_localnet is 1, as kube-proxy's mode iptables leaves it: neighbours reach what listens at 127.0.0.1",
    remedy: 'sysctl -w net.ipv4.conf.all.route_localnet=0; kube-ipvs does not need it',
  },
  {
    what: 'strict reverse path with two uplinks',
    id: 'reverse-path',
    wrong: { kernelSettings: numbers({ 'net.ipv4.conf.all.rp_filter': 1 }), network: twoUplinks },
    result: 'warn',
    seen: 'net.ipv4.conf.all.rp_filter is 1 (strict) with 2 uplinks (eth0, eth1): packets that come by one and go by another are dropped',
    remedy: 'sysctl -w net.ipv4.conf.all.rp_filter=2',
  },
  {
    what: 'MetalLB without strict ARP',
    id: 'strict-arp',
    wrong: { kernelSettings: noStrictArp, programs: { value: [{ name: 'speaker', pid: 7 }] } },
    result: 'fail',
    seen: 'arp_ignore is 0, arp_announce is 0, and speaker announces addresses that are on kube-ipvs0 too',
    remedy: 'ipvs.strictARP: true in the configuration',
  },
  {
    what: 'load balancer addresses without strict ARP',
    id: 'strict-arp',
    wrong: { kernelSettings: noStrictArp, services: { value: [balanced('203.0.113.7')] } },
    result: 'warn',
    seen: 'arp_ignore is 0, arp_announce is 0, and Services have 1 load balancer address',
    remedy:
      'ipvs.strictARP: true in the configuration, if MetalLB (L2), kube-vip or keepalived announces them',
  },
  {
    what: 'strict ARP asked for and not set',
    id: 'strict-arp',
    wrong: {
      kernelSettings: noStrictArp,
      configuration: { ...goodFacts.configuration, settings: settingsOf('--ipvs-strict-arp') },
    },
    result: 'fail',
    seen: 'arp_ignore is 0, arp_announce is 0, and ipvs.strictARP is true',
    remedy: 'restart kube-ipvs, which sets both at start',
  },
  {
    what: 'a bridge without bridge netfilter',
    id: 'bridge-netfilter',
    wrong: {
      kernelSettings: numbers({
        'net.bridge.bridge-nf-call-iptables': 'absent',
        'net.bridge.bridge-nf-call-ip6tables': 'absent',
      }),
    },
    result: 'warn',
    seen: 'bridges cni0, and net.bridge.bridge-nf-call-iptables is absent, net.bridge.bridge-nf-call-ip6tables is absent',
    remedy:
      'modprobe br_netfilter; sysctl -w net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1',
  },
  {
    what: 'local ports that are node ports',
    id: 'local-ports',
    wrong: { localPorts: { value: { first: 1_024, last: 65_535, reserved: '8080' } } },
    result: 'warn',
    seen: 'local ports 1024-65535, node ports 30000-32767: connections of this node may take a node port as their own',
    remedy: 'sysctl -w net.ipv4.ip_local_reserved_ports=8080,30000-32767',
  },
  {
    what: 'conntrack limits that are not in force',
    id: 'configured-settings',
    wrong: {
      kernelSettings: numbers({
        'net.netfilter.nf_conntrack_max': 65_536,
        'net.netfilter.nf_conntrack_buckets': 16_384,
      }),
    },
    result: 'warn',
    seen: 'net.netfilter.nf_conntrack_max is 65536, wanted 131072, net.netfilter.nf_conntrack_buckets is 16384, wanted 32768',
    remedy:
      'sysctl -w net.netfilter.nf_conntrack_max=131072; sysctl -w net.netfilter.nf_conntrack_buckets=32768',
  },
  {
    what: 'no connection tracking',
    id: 'conntrack',
    wrong: { kernelSettings: numbers({ 'net.netfilter.nf_conntrack_max': 'absent' }) },
    result: 'fail',
    seen: 'connection tracking is not there: no net.netfilter.nf_conntrack_max',
    remedy: 'modprobe nf_conntrack; to keep it: echo nf_conntrack > /etc/modules-load.d/nf_conntrack.conf',
  },
  {
    what: 'no netlink of connection tracking',
    id: 'conntrack',
    wrong: { conntrackNetlink: { value: false } },
    result: 'fail',
    seen: 'nf_conntrack is there, nf_conntrack_netlink is not',
    remedy:
      'modprobe nf_conntrack_netlink; to keep it: echo nf_conntrack_netlink > /etc/modules-load.d/nf_conntrack_netlink.conf',
  },
  {
    what: 'connection tracking at its limit',
    id: 'conntrack-limit',
    wrong: { kernelSettings: numbers({ 'net.netfilter.nf_conntrack_count': 130_000 }) },
    result: 'fail',
    seen: '130000 of 131072 connections are tracked (99 %)',
    remedy:
      'sysctl -w net.netfilter.nf_conntrack_max=262144, or conntrack.maxPerCore: 65536 in the configuration',
  },
  {
    what: 'connection tracking near its limit',
    id: 'conntrack-limit',
    wrong: { kernelSettings: numbers({ 'net.netfilter.nf_conntrack_count': 100_000 }) },
    result: 'warn',
    seen: '100000 of 131072 connections are tracked (76 %)',
    remedy:
      'sysctl -w net.netfilter.nf_conntrack_max=262144, or conntrack.maxPerCore: 65536 in the configuration',
  },
  {
    what: 'a small hash of connection tracking',
    id: 'conntrack-hash',
    wrong: { kernelSettings: numbers({ 'net.netfilter.nf_conntrack_max': 1_048_576 }) },
    result: 'warn',
    seen: 'room for 1048576 connections in 32768 buckets, up to 32.0 each',
    remedy: 'sysctl -w net.netfilter.nf_conntrack_buckets=262144',
  },
  {
    what: 'conntrack forgets TCP first',
    id: 'conntrack-tcp-timeout',
    wrong: { kernelSettings: numbers({ 'net.netfilter.nf_conntrack_tcp_timeout_established': 600 }) },
    result: 'warn',
    seen: 'established TCP connections: conntrack 600 s, IPVS 900 s',
    remedy:
      'sysctl -w net.netfilter.nf_conntrack_tcp_timeout_established=900, or conntrack.tcpEstablishedTimeout: 900s',
  },
  {
    what: 'conntrack forgets UDP first',
    id: 'conntrack-udp-timeout',
    wrong: { kernelSettings: numbers({ 'net.netfilter.nf_conntrack_udp_timeout_stream': 60 }) },
    result: 'warn',
    seen: 'UDP: conntrack 60 s for streams, IPVS 300 s',
    remedy: 'ipvs.udpTimeout: 60s, or conntrack.udpStreamTimeout: 300s',
  },
  {
    what: 'liberal tracking asked for and not set',
    id: 'conntrack-liberal',
    wrong: {
      configuration: { ...goodFacts.configuration, settings: settingsOf('--conntrack-tcp-be-liberal') },
    },
    result: 'warn',
    seen: 'net.netfilter.nf_conntrack_tcp_be_liberal is 0, and conntrack.tcpBeLiberal is true',
    remedy: 'sysctl -w net.netfilter.nf_conntrack_tcp_be_liberal=1',
  },
  {
    what: 'no nftables',
    id: 'nftables',
    wrong: { nftables: { value: [] } },
    result: 'fail',
    seen: 'nftables takes no chains of IPv4 and IPv6',
    remedy: 'modprobe nf_tables nft_masq nft_chain_nat, or a kernel with CONFIG_NF_TABLES',
  },
  {
    what: 'no nftables for IPv6',
    id: 'nftables',
    wrong: { nftables: { value: ['IPv4'] } },
    result: 'warn',
    seen: 'nftables takes no chains of IPv6',
    remedy: 'modprobe nf_tables nft_masq nft_chain_nat, or a kernel with CONFIG_NF_TABLES_IPV6',
  },
  {
    what: 'no packet rules',
    id: 'packet-rules',
    wrong: { ownRules: { value: [] } },
    result: 'fail',
    seen: 'there is no table ip kube-ipvs and no table ip6 kube-ipvs',
    remedy: 'start kube-ipvs, or restart it: it writes its rules at start and every ipvs.syncPeriod',
  },
  {
    what: 'dormant packet rules',
    id: 'packet-rules',
    wrong: { ownRules: { value: [{ family: 'IPv4', hooks: 0, elements: 7 }] } },
    result: 'fail',
    seen: 'table ip kube-ipvs: 0 hooks, 7 elements: no packet enters',
    remedy: 'start kube-ipvs, or restart it: it writes its rules at start and every ipvs.syncPeriod',
  },
  {
    what: 'packet rules of one family alone',
    id: 'packet-rules',
    wrong: { ownRules: { value: [{ family: 'IPv4', hooks: 5, elements: 7 }] } },
    result: 'warn',
    seen: 'table ip kube-ipvs: 5 hooks, 7 elements; there is no table ip6 kube-ipvs',
    remedy: 'start kube-ipvs, or restart it: it writes its rules at start and every ipvs.syncPeriod',
  },
  {
    what: 'a forward policy that drops',
    id: 'forward-policy',
    wrong: { forwarding: { value: [filter({ policy: 'drop' })] } },
    result: 'fail',
    seen: 'the answers of pods are dropped, unless a rule accepts them, in chain forward of table inet firewall (nftables, hook forward, priority 0)',
    remedy: 'nft insert rule inet firewall forward ct state established,related accept',
  },
  {
    what: 'iptables-legacy that nobody may look at',
    id: 'forward-policy',
    wrong: { legacyForwarding: unavailable },
    result: 'unknown',
    seen: 'not allowed',
    remedy: 'run it as root',
  },
  {
    what: 'an input policy that drops',
    id: 'input-policy',
    wrong: {
      chains: { value: [chain('inet', 'firewall', 'input', { hook: inputDrop })] },
      services: { value: [healthChecked] },
    },
    result: 'warn',
    seen: 'what no rule accepts is dropped in inet firewall input (nftables): packets to Services pass there before IPVS',
    remedy:
      'nft insert rule inet firewall input ip daddr 10.96.0.1 accept; the same for each network of Services, and for the health check ports: tcp dport { 32100 } accept',
  },
  {
    what: 'an input policy of iptables-legacy that drops',
    id: 'input-policy',
    wrong: {
      legacyChains: { value: [chain('ip', 'filter', 'INPUT', { by: 'iptables-legacy', hook: inputDrop })] },
    },
    result: 'warn',
    seen: 'what no rule accepts is dropped in ip filter INPUT (iptables-legacy): packets to Services pass there before IPVS',
    remedy: 'iptables-legacy -I INPUT -d 10.96.0.1 -j ACCEPT; the same for each network of Services',
  },
  {
    what: 'no kube-ipvs0',
    id: 'dummy-interface',
    wrong: {
      network: network({ links: goodNetwork.links.filter(({ kind }) => kind !== 'dummy'), addresses: [] }),
    },
    result: 'warn',
    seen: 'there is no interface kube-ipvs0',
    remedy: 'start kube-ipvs, which makes it',
  },
  {
    what: 'a kube-ipvs0 that is a bridge',
    id: 'dummy-interface',
    wrong: { network: network({ links: [link(5, 'kube-ipvs0', 'bridge')], addresses: [] }) },
    result: 'fail',
    seen: 'kube-ipvs0 is a bridge, not a dummy',
    remedy: 'ip link del kube-ipvs0, then restart kube-ipvs',
  },
  {
    what: 'the gateway on kube-ipvs0',
    id: 'vip-clash',
    wrong: { network: bound('192.0.2.1/32 kube-ipvs0') },
    result: 'fail',
    seen: 'on kube-ipvs0: 192.0.2.1, a gateway of this node',
    remedy:
      'ip address del 192.0.2.1/32 dev kube-ipvs0; take it out of spec.externalIPs or status.loadBalancer of the Service',
  },
  {
    what: 'a Service that wants the address of the API server',
    id: 'vip-clash',
    wrong: { services: { value: [balanced('192.0.2.9')] } },
    result: 'fail',
    seen: 'Service default/web wants 192.0.2.9, where this node reaches the API server',
    remedy: 'take the address out of spec.externalIPs of that Service; kube-ipvs does not bind it',
  },
  {
    what: 'a VIP on another interface',
    id: 'vip-elsewhere',
    wrong: { network: bound('10.96.0.10/32 eth0') },
    result: 'warn',
    seen: '10.96.0.10 is on eth0 too',
    remedy: 'ip address del 10.96.0.10/32 dev eth0',
  },
  {
    what: 'an address that nobody needs',
    id: 'unwanted-addresses',
    wrong: { network: bound('10.96.9.9/32 kube-ipvs0') },
    result: 'warn',
    seen: 'no virtual server stands on 10.96.9.9/32',
    remedy: 'ip address del 10.96.9.9/32 dev kube-ipvs0',
  },
  {
    what: 'NodeLocal DNSCache at the address of the DNS Service',
    id: 'node-local-dns',
    wrong: { network: localDns },
    result: 'fail',
    seen: 'NodeLocal DNSCache and IPVS both have 10.96.0.10',
    remedy: 'give node-cache -localip 169.254.20.10 alone, and the kubelet clusterDNS: [169.254.20.10]',
  },
  {
    what: 'two proxies',
    id: 'two-proxies',
    wrong: {
      programs: {
        value: [
          { name: 'kube-ipvs', pid: 12 },
          { name: 'kube-proxy', pid: 99 },
        ],
      },
    },
    result: 'fail',
    seen: '2 proxies run here: kube-ipvs (process 12), kube-proxy (process 99)',
    remedy: `kubectl -n kube-system patch daemonset kube-proxy -p '{"spec":{"template":{"spec":{"nodeSelector":{"kube-proxy":"nowhere"}}}}}'`,
  },
  {
    what: 'metrics of kube-proxy',
    id: 'two-proxies',
    wrong: {
      programs: { value: [] },
      metrics: { value: new Map([['kubeproxy_sync_proxy_rules_duration_seconds_count', 5]]) },
    },
    result: 'fail',
    seen: 'the metrics port is served by kube-proxy, not by kube-ipvs',
    remedy: 'kubectl -n kube-system delete daemonset kube-proxy, as docs/migration.md has it',
  },
  {
    what: 'leftovers of kube-proxy',
    id: 'kube-proxy-leftovers',
    wrong: {
      chains: {
        value: [chain('ip', 'nat', 'KUBE-SERVICES'), chain('ip', 'nat', 'KUBE-SVC-TCOU7JCQXEZGVUNU')],
      },
      legacyChains: { value: [chain('ip6', 'filter', 'KUBE-FORWARD', { by: 'iptables-legacy' })] },
    },
    result: 'warn',
    seen: '3 chains of kube-proxy in ip nat (nftables), ip6 filter (iptables-legacy)',
    remedy: 'kube-ipvs cleanup --kube-proxy',
  },
  {
    what: 'sets of kube-proxy, and nobody may look at chains',
    id: 'kube-proxy-leftovers',
    wrong: {
      chains: unavailable,
      legacyChains: unavailable,
      ipsets: { value: ['others', 'KUBE-NODE-PORT-TCP', 'KUBE-6-CLUSTER-IP', 'KUBE-ROUTER-PODS'] },
    },
    result: 'warn',
    seen: '2 sets of ipset: KUBE-6-CLUSTER-IP, KUBE-NODE-PORT-TCP',
    remedy: 'kube-ipvs cleanup --kube-proxy',
  },
  {
    what: 'leftovers of the mode nftables',
    id: 'kube-proxy-leftovers',
    wrong: { chains: { value: [chain('ip', 'kube-proxy', 'services')] } },
    result: 'warn',
    seen: '1 chain of kube-proxy in ip kube-proxy (nftables)',
    remedy: 'kube-ipvs cleanup --kube-proxy',
  },
  {
    what: 'kube-router',
    id: 'other-dataplanes',
    wrong: {
      chains: { value: [chain('ip', 'filter', 'KUBE-ROUTER-INPUT')] },
      programs: { value: [{ name: 'kube-router', pid: 8 }] },
    },
    result: 'warn',
    seen: '1 chain of kube-router in ip filter (nftables), and kube-router runs',
    remedy:
      'start kube-router with --run-service-proxy=false; what is left of it: kube-router --cleanup-config',
  },
  {
    what: 'Cilium',
    id: 'other-dataplanes',
    wrong: { chains: { value: [chain('ip', 'nat', 'CILIUM_POST_nat')] } },
    result: 'warn',
    seen: '1 chain of Cilium in ip nat (nftables)',
    remedy: 'helm upgrade cilium with kubeProxyReplacement=false',
  },
  {
    what: 'rules for hostPorts',
    id: 'host-ports',
    wrong: { chains: { value: [chain('ip', 'nat', 'CNI-HOSTPORT-DNAT')] } },
    result: 'warn',
    seen: 'rules for hostPorts in ip nat (nftables): they take packets to local addresses before IPVS, VIPs on kube-ipvs0 among them',
    remedy: 'give pods with hostPort a port that no Service has, or a hostIP: the address of the node',
  },
  {
    what: 'keepalived',
    id: 'ipvs-managers',
    wrong: { programs: { value: [{ name: 'keepalived', pid: 3 }] } },
    result: 'warn',
    seen: 'keepalived (process 3) manages virtual servers of its own here',
    remedy: 'list its addresses in ipvs.excludeCIDRs, so that no Service can take them',
  },
  {
    what: 'an API server that cannot be reached',
    id: 'api-server',
    wrong: {
      api: {
        value: {
          reached: false,
          server: 'https://192.0.2.9:6443',
          reason: 'connect ECONNREFUSED 192.0.2.9:6443',
        },
      },
    },
    result: 'fail',
    seen: 'https://192.0.2.9:6443 serves us nothing: connect ECONNREFUSED 192.0.2.9:6443',
    remedy: 'curl -k https://192.0.2.9:6443/livez; then the address and the credential in the kubeconfig',
  },
  {
    what: 'an API server that is slow',
    id: 'api-server',
    wrong: { api: api({ milliseconds: 2_400 }) },
    result: 'warn',
    seen: 'https://192.0.2.9:6443 (v1.36.2) answers in 2400 ms',
    remedy:
      'look at the load of the API server and the way to it: a change that comes late is programmed late',
  },
  {
    what: 'a clock that is a minute behind',
    id: 'clock',
    wrong: { api: api({ clockAhead: -60 }) },
    result: 'fail',
    seen: 'this clock is 60 s behind that of the API server',
    remedy: 'chronyc makestep, or timedatectl set-ntp true',
  },
  {
    what: 'a clock that is ten seconds ahead',
    id: 'clock',
    wrong: { api: api({ clockAhead: 10 }) },
    result: 'warn',
    seen: 'this clock is 10 s ahead of that of the API server',
    remedy: 'chronyc makestep, or timedatectl set-ntp true',
  },
  {
    what: 'a certificate that has ended',
    id: 'credential',
    wrong: { api: api({ credential: { kind: 'certificate', ends: goodFacts.now - hour } }) },
    result: 'fail',
    seen: 'the certificate ends 2026-11-23T09:00Z, 1.0 hours ago',
    remedy: 'renew it: kubeadm certs renew all, or what made the kubeconfig',
  },
  {
    what: 'a certificate that ends soon',
    id: 'credential',
    wrong: { api: api({ credential: { kind: 'certificate', ends: goodFacts.now + 72 * hour } }) },
    result: 'warn',
    seen: 'the certificate ends 2026-11-26T10:00Z, in 3 days',
    remedy: 'renew it: kubeadm certs renew all, or what made the kubeconfig',
  },
  {
    what: 'no right to watch endpoints',
    id: 'rights',
    wrong: { api: api({ permissions: denied('watch endpointslices') }) },
    result: 'fail',
    seen: 'not allowed: watch endpointslices',
    remedy: 'kubectl apply -f deploy/base/rbac.yaml',
  },
  {
    what: 'no right to tell Events',
    id: 'rights',
    wrong: { api: api({ permissions: denied('create events') }) },
    result: 'warn',
    seen: 'not allowed: create events',
    remedy: 'kubectl apply -f deploy/base/rbac.yaml',
  },
  {
    what: 'no Node of our name',
    id: 'node-object',
    wrong: { api: api({ hasNode: { value: false } }) },
    result: 'fail',
    seen: 'there is no Node node-1: zone, pod networks and primary addresses are unknown',
    remedy: '--hostname-override=NAME with a name of: kubectl get nodes -o name',
  },
  {
    what: 'a small memory limit',
    id: 'memory',
    wrong: { memory: { value: { limit: 64_000_000, used: 60_000_000 } } },
    result: 'warn',
    seen: '60 MB of 64 MB are used; for 2 Services it takes about 70 MB',
    remedy: 'resources.limits.memory: 106M, or no limit',
  },
  {
    what: 'a configuration that is wrong',
    id: 'configuration',
    wrong: {
      configuration: {
        ...goodFacts.configuration,
        problem: 'config.conf:5: ipvs.syncPeriod must be a duration',
      },
    },
    result: 'fail',
    seen: 'config.conf:5: ipvs.syncPeriod must be a duration',
    remedy: 'mend it, then: kube-ipvs config validate config.conf',
  },
  {
    what: 'a field that is unknown',
    id: 'configuration',
    wrong: {
      configuration: {
        ...goodFacts.configuration,
        settings: {
          ...settingsOf(),
          warnings: ['config.conf:7: ipvs.strictArp is unknown and ignored; did you mean ipvs.strictARP?'],
        },
      },
    },
    result: 'warn',
    seen: 'config.conf:7: ipvs.strictArp is unknown and ignored; did you mean ipvs.strictARP?',
    remedy: 'mend it, then: kube-ipvs config validate config.conf',
  },
  {
    what: 'no capabilities',
    id: 'capabilities',
    wrong: { process: processOf({ user: 1_000, capabilities: [] }) },
    result: 'fail',
    seen: 'the daemon (process 12) is user 1000 and lacks NET_ADMIN: IPVS, addresses, packet rules and conntrack are not for it',
    remedy:
      'run it as root (sudo kube-ipvs doctor), or in the container: securityContext.capabilities.add: [NET_ADMIN]',
  },
  {
    what: 'few open files',
    id: 'open-files',
    wrong: { process: processOf({ openFiles: 256 }) },
    result: 'warn',
    seen: 'the daemon (process 12) may have 256 files open, and 1024 are prudent',
    remedy: 'ulimit -n 1024, in a systemd unit LimitNOFILE=1024',
  },
  {
    what: 'no daemon',
    id: 'daemon',
    wrong: {
      daemon: { value: { status: 0, eligible: undefined, healthy: undefined } },
      listening: { value: [] },
    },
    result: 'fail',
    seen: 'nobody answers at 0.0.0.0:10256',
    remedy: 'start kube-ipvs; its log says why it ended: kubectl -n kube-system logs -p -l k8s-app=kube-ipvs',
  },
  {
    what: 'a daemon that is not healthy',
    id: 'daemon',
    wrong: { daemon: { value: { status: 503, eligible: true, healthy: false } } },
    result: 'fail',
    seen: '0.0.0.0:10256 answers 503: not healthy',
    remedy: 'kubectl -n kube-system logs -l k8s-app=kube-ipvs says what fails',
  },
  {
    what: 'a node that is leaving',
    id: 'daemon',
    wrong: { daemon: { value: { status: 503, eligible: false, healthy: true } } },
    result: 'warn',
    seen: '0.0.0.0:10256 answers 503: the node is leaving',
    remedy: 'nothing, if the Node is being removed',
  },
  {
    what: 'a watch that is lost',
    id: 'watches',
    wrong: { metrics: metrics({ 'kube_ipvs_watch_following{resource="services"}': 0 }) },
    result: 'fail',
    seen: 'not followed: services',
    remedy: 'see the checks api-server, credential and rights',
  },
  {
    what: 'a sync that broke',
    id: 'sync',
    wrong: {
      status: status({
        lastSync: { at: '', secondsAgo: 12.4, tookSeconds: 0.5, succeeded: false, applied: 0, failed: 1 },
      }),
    },
    result: 'fail',
    seen: 'the last sync was 12 s ago and took 0.500 s; it broke',
    remedy: 'kubectl -n kube-system logs -l k8s-app=kube-ipvs',
  },
  {
    what: 'a source that has not told all',
    id: 'sync',
    wrong: {
      status: status({
        synced: false,
        uptimeSeconds: 90,
        source: { name: 'API server a:6443', delivered: false },
      }),
    },
    result: 'fail',
    seen: 'not synced 90 seconds after the start: API server a:6443 has not told all yet',
    remedy: 'kubectl -n kube-system logs -l k8s-app=kube-ipvs',
  },
  {
    what: 'a source in trouble',
    id: 'sync',
    wrong: {
      status: status({ source: { name: 'API server a:6443', delivered: true, trouble: 'services: 403' } }),
    },
    result: 'fail',
    seen: 'it does not follow API server a:6443: services: 403',
    remedy: 'see the checks api-server, credential and rights',
  },
  {
    what: 'a virtual server that is contested',
    id: 'contested-servers',
    wrong: {
      status: status({
        contested: [{ virtualServer: 'TCP 10.96.0.10:53', service: 'kube-system/kube-dns' }],
      }),
    },
    result: 'fail',
    seen: 'TCP 10.96.0.10:53 of Service kube-system/kube-dns is of somebody else',
    remedy: 'kubectl -n kube-system annotate service kube-dns ipvs.kube-ipvs.dev/take-over-foreign=true',
  },
  {
    what: 'an object that is refused',
    id: 'refused-operations',
    wrong: {
      status: status({
        refusedCount: 1,
        refused: [{ what: 'TCP 10.96.0.9:80', reason: 'add it: ENOENT', seconds: 3 }],
      }),
    },
    result: 'fail',
    seen: '1 object: TCP 10.96.0.9:80 (add it: ENOENT)',
    remedy: 'kubectl -n kube-system logs -l k8s-app=kube-ipvs',
  },
  {
    what: 'operations that are refused, and no admin socket',
    id: 'refused-operations',
    wrong: {
      status: unavailable,
      metrics: metrics({ kube_ipvs_refused_objects: 2, kube_ipvs_operation_failures_total: 9 }),
    },
    result: 'fail',
    seen: 'the kernel refuses 2 objects now and refused 9 operations since the start',
    remedy: 'kubectl -n kube-system logs -l k8s-app=kube-ipvs',
  },
  {
    what: 'drift',
    id: 'drift',
    wrong: { metrics: metrics({ kube_ipvs_drift_repaired_total: 4 }) },
    result: 'warn',
    seen: 'somebody changed what is ours 4 times since the start; it was put right',
    remedy: 'find who does: another proxy, a script, a firewall that flushes; the log says what was changed',
  },
];
