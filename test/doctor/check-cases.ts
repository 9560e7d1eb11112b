import type { Facts, IpvsTable, NetworkFacts, ProcessFacts } from '../../src/doctor/facts.js';
import { requiredPermissions } from '../../src/doctor/collect/api.js';
import type { Fact, CheckStatus } from '../../src/doctor/check-result.js';
import { advise } from '../../src/doctor/remedy.js';
import type { BaseChainHook } from '../../src/nftables/declarations.js';
import { ip } from '../support/objects.js';
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

/** One thing that is wrong, and the data in the check's result. */
export interface Case {
  readonly what: string;
  readonly id: string;
  readonly wrong: Partial<Facts>;
  readonly result: CheckStatus;
  /** Names and numbers in the text. */
  readonly shows: readonly string[];
  /** Settings in the advice. */
  readonly advises?: readonly string[];
  /** Of the remedies. */
  readonly commands: readonly string[];
}

const valueIn = <T>(fact: Fact<T>): T => {
  if ('value' in fact) return fact.value;
  throw new Error(fact.unavailable);
};

const unavailable = { unavailable: 'not allowed', remedies: [advise('Run as root.')] } as const;
const goodNetwork: NetworkFacts = valueIn(goodFacts.network);

const table = (changes: Partial<IpvsTable>): Facts['ipvs'] => ({
  value: { version: '1.2.1', buckets: 4096, virtualServers: 2, realServers: 3, connections: 40, ...changes },
});

const bound = (...texts: readonly string[]): Facts['network'] =>
  network({ addresses: [...goodNetwork.addresses, ...texts.map((text) => address(text))] });

const manyVips = Array.from(
  { length: 5_000 },
  (_, index) => `10.97.${Math.floor(index / 250)}.${index % 250}/32 kube-ipvs0`,
);

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

const byPods = service('default/web', {
  clusterIP: '10.96.0.20',
  annotations: { 'ipvs.kube-ipvs.dev/weight-by': 'pod' },
});
const podRights = (...allowed: readonly string[]) => ({
  value: ['list', 'watch'].map((verb) => ({ verb, resource: 'pods', allowed: allowed.includes(verb) })),
});
const grantReadPods = [
  'kubectl create clusterrole kube-ipvs-read-pods --verb=list,watch --resource=pods',
  'kubectl create clusterrolebinding kube-ipvs-read-pods --clusterrole=kube-ipvs-read-pods --serviceaccount=kube-system:kube-ipvs',
];

const processOf = (changes: Partial<ProcessFacts>): Facts['process'] => ({
  value: { ...valueIn(goodFacts.process), ...changes },
});

const noKubeProxy = { daemonSet: undefined, hasConfigMap: false, kubeadm: undefined, pods: [] };
const kubeProxyHere = { image: 'registry.k8s.io/kube-proxy:v1.36.2', selectsNode: true };

const metrics = (changes: Readonly<Record<string, number>>): Facts['metrics'] => ({
  value: new Map([...valueIn(goodFacts.metrics), ...Object.entries(changes)]),
});

export const cases: readonly Case[] = [
  {
    what: 'a kernel before 4.18',
    id: 'kernel-version',
    wrong: { release: '4.14.0' },
    result: 'fail',
    shows: ['4.14.0', 'conn_reuse_mode', '0', '5.9', '6.2'],
    commands: [],
  },
  {
    what: 'a kernel before 5.9',
    id: 'kernel-version',
    wrong: { release: '5.4.0-1012-gke' },
    result: 'warn',
    shows: ['5.4.0-1012-gke', 'conn_reuse_mode', '0', '5.9', '6.2'],
    commands: [],
  },
  {
    what: 'no release',
    id: 'kernel-version',
    wrong: { release: 'custom' },
    result: 'warn',
    shows: ['6.1.0'],
    commands: ['sysctl -w net.ipv4.vs.conn_reuse_mode=0'],
  },
  {
    what: 'a network namespace of a pod',
    id: 'network-namespace',
    wrong: { initialNetwork: false },
    result: 'warn',
    shows: ['net.core.netdev_budget'],
    commands: ['nsenter -t 1 -n kube-ipvs doctor'],
  },
  {
    what: 'no dummy driver',
    id: 'dummy-driver',
    wrong: { dummyDriver: { value: 'absent' } },
    result: 'fail',
    shows: [],
    commands: [],
  },
  {
    what: 'many servers on an old kernel',
    id: 'estimators',
    wrong: { release: '5.15.0', ipvs: table({ virtualServers: 4_000, realServers: 30_000 }) },
    result: 'warn',
    shows: ['34000', '4000', '30000', '2', '6.2'],
    commands: ['sysctl -w net.ipv4.vs.run_estimation=0'],
  },
  {
    what: 'estimation turned off',
    id: 'estimators',
    wrong: { kernelSettings: numbers({ 'net.ipv4.vs.run_estimation': 0 }) },
    result: 'warn',
    shows: ['net.ipv4.vs.run_estimation', '0'],
    commands: ['sysctl -w net.ipv4.vs.run_estimation=1'],
  },
  {
    what: 'no IPVS',
    id: 'ipvs',
    wrong: { ipvs: { value: 'absent' } },
    result: 'fail',
    shows: ['IPVS', 'ip_vs'],
    commands: ['modprobe ip_vs', 'echo ip_vs > /etc/modules-load.d/ipvs.conf'],
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
    shows: ['default/web'],
    commands: ['modprobe ip_vs_mh'],
  },
  {
    what: 'a full connection table',
    id: 'connection-table',
    wrong: { ipvs: table({ connections: 40_000 }) },
    result: 'warn',
    shows: ['40000', '4096', '9.8'],
    commands: ['echo options ip_vs conn_tab_bits=15 > /etc/modprobe.d/ip_vs.conf'],
  },
  {
    what: 'a crowded connection table',
    id: 'connection-table',
    wrong: { ipvs: table({ connections: 1_000_000 }) },
    result: 'fail',
    shows: ['1000000', '4096', '244'],
    commands: ['echo options ip_vs conn_tab_bits=19 > /etc/modprobe.d/ip_vs.conf'],
  },
  {
    what: 'a crowded table that grows',
    id: 'connection-table',
    wrong: {
      ipvs: table({ connections: 40_000 }),
      kernelSettings: numbers({ 'net.ipv4.vs.conn_lfactor': -4 }),
    },
    result: 'warn',
    shows: ['40000', '4096', '9.8'],
    commands: ['sysctl -w net.ipv4.vs.conn_lfactor=-5'],
  },
  {
    what: 'keepalive after the timeout',
    id: 'tcp-timeout',
    wrong: { kernelSettings: numbers({ 'net.ipv4.tcp_keepalive_time': 7_200 }) },
    result: 'warn',
    shows: ['IPVS', 'TCP', '900', '7200'],
    advises: ['ipvs.tcpTimeout: 7500s'],
    commands: ['sysctl -w net.ipv4.tcp_keepalive_time=600'],
  },
  {
    what: 'defences that are on',
    id: 'defences',
    wrong: { kernelSettings: numbers({ 'net.ipv4.vs.drop_entry': 1, 'net.ipv4.vs.secure_tcp': 3 }) },
    result: 'warn',
    shows: ['drop_packet', '0', 'drop_entry', '1', 'secure_tcp', '3'],
    commands: ['sysctl -w net.ipv4.vs.drop_entry=0', 'sysctl -w net.ipv4.vs.secure_tcp=0'],
  },
  {
    what: 'a virtual server of others',
    id: 'foreign-servers',
    wrong: {
      virtualServers: { value: [server('10.96.0.1', 443), { ...server('192.0.2.80', 80), ours: false }] },
    },
    result: 'warn',
    shows: ['1', '2', 'TCP', '192.0.2.80:80'],
    commands: ['ipvsadm -D -t 192.0.2.80:80'],
  },
  {
    what: 'virtual servers and no packet rules',
    id: 'foreign-servers',
    wrong: { ownRules: { value: [] } },
    result: 'unknown',
    shows: ['2', 'kube-ipvs'],
    commands: [],
  },
  {
    what: 'a tunnel that is too wide',
    id: 'tunnel-mtu',
    wrong: { network: network({ links: moreLinks(link(9, 'vxlan.calico', 'vxlan', 1500)) }) },
    result: 'warn',
    shows: ['vxlan.calico', 'MTU', '1500'],
    commands: ['ip link set vxlan.calico mtu 1450'],
  },
  {
    what: 'no path MTU discovery',
    id: 'tunnel-mtu',
    wrong: { kernelSettings: numbers({ 'net.ipv4.vs.pmtu_disc': 0 }) },
    result: 'warn',
    shows: ['net.ipv4.vs.pmtu_disc', '0', 'IPVS'],
    commands: ['sysctl -w net.ipv4.vs.pmtu_disc=1'],
  },
  {
    what: 'vs.conntrack off',
    id: 'vs-conntrack',
    wrong: { kernelSettings: numbers({ 'net.ipv4.vs.conntrack': 0 }) },
    result: 'fail',
    shows: ['net.ipv4.vs.conntrack', '0'],
    commands: ['sysctl -w net.ipv4.vs.conntrack=1'],
  },
  {
    what: 'reuse mode 1 on an old kernel',
    id: 'connection-reuse',
    wrong: { release: '4.19.0', kernelSettings: numbers({ 'net.ipv4.vs.conn_reuse_mode': 1 }) },
    result: 'fail',
    shows: ['net.ipv4.vs.conn_reuse_mode', '1', '4.19'],
    commands: ['sysctl -w net.ipv4.vs.conn_reuse_mode=0'],
  },
  {
    what: 'reuse mode 0 on a new kernel',
    id: 'connection-reuse',
    wrong: { kernelSettings: numbers({ 'net.ipv4.vs.conn_reuse_mode': 0 }) },
    result: 'warn',
    shows: ['net.ipv4.vs.conn_reuse_mode', '0', '6.12'],
    commands: ['sysctl -w net.ipv4.vs.conn_reuse_mode=1'],
  },
  {
    what: 'expire_nodest_conn off',
    id: 'expire-nodest-conn',
    wrong: { kernelSettings: numbers({ 'net.ipv4.vs.expire_nodest_conn': 0 }) },
    result: 'fail',
    shows: ['net.ipv4.vs.expire_nodest_conn', '0'],
    commands: ['sysctl -w net.ipv4.vs.expire_nodest_conn=1'],
  },
  {
    what: 'expire_quiescent_template off',
    id: 'expire-quiescent-template',
    wrong: { kernelSettings: numbers({ 'net.ipv4.vs.expire_quiescent_template': 0 }) },
    result: 'fail',
    shows: ['net.ipv4.vs.expire_quiescent_template', '0'],
    commands: ['sysctl -w net.ipv4.vs.expire_quiescent_template=1'],
  },
  {
    what: 'no IPv4 forwarding',
    id: 'ipv4-forwarding',
    wrong: { kernelSettings: numbers({ 'net.ipv4.ip_forward': 0 }) },
    result: 'fail',
    shows: ['net.ipv4.ip_forward', '0'],
    commands: ['sysctl -w net.ipv4.ip_forward=1'],
  },
  {
    what: 'no IPv6 forwarding, and IPv6 Services',
    id: 'ipv6-forwarding',
    wrong: {
      kernelSettings: numbers({ 'net.ipv6.conf.all.forwarding': 0 }),
      virtualServers: { value: [server('fd00:96::1', 443)] },
    },
    result: 'fail',
    shows: ['net.ipv6.conf.all.forwarding', '0', 'IPv6'],
    commands: ['sysctl -w net.ipv6.conf.all.forwarding=1'],
  },
  {
    what: 'no IPv6 forwarding, and the Services are unknown',
    id: 'ipv6-forwarding',
    wrong: {
      kernelSettings: numbers({ 'net.ipv6.conf.all.forwarding': 0 }),
      virtualServers: unavailable,
      services: unavailable,
    },
    result: 'warn',
    shows: ['net.ipv6.conf.all.forwarding', '0', 'IPv6'],
    commands: ['sysctl -w net.ipv6.conf.all.forwarding=1'],
  },
  {
    what: 'route_localnet on',
    id: 'route-localnet',
    wrong: { kernelSettings: numbers({ 'net.ipv4.conf.all.route_localnet': 1 }) },
    result: 'warn',
    shows: ['net.ipv4.conf.all.route_localnet', '1', '127.0.0.1'],
    commands: ['sysctl -w net.ipv4.conf.all.route_localnet=0'],
  },
  {
    what: 'strict reverse path with two uplinks',
    id: 'reverse-path',
    wrong: { kernelSettings: numbers({ 'net.ipv4.conf.all.rp_filter': 1 }), network: twoUplinks },
    result: 'warn',
    shows: ['net.ipv4.conf.all.rp_filter', '1', '2', 'eth0', 'eth1'],
    commands: ['sysctl -w net.ipv4.conf.all.rp_filter=2'],
  },
  {
    what: 'MetalLB without strict ARP',
    id: 'strict-arp',
    wrong: { kernelSettings: noStrictArp, programs: { value: [{ name: 'speaker', pid: 7 }] } },
    result: 'fail',
    shows: ['arp_ignore', '0', 'arp_announce', 'speaker'],
    advises: ['ipvs.strictARP: true'],
    commands: [],
  },
  {
    what: 'load balancer addresses without strict ARP',
    id: 'strict-arp',
    wrong: { kernelSettings: noStrictArp, services: { value: [balanced('203.0.113.7')] } },
    result: 'warn',
    shows: ['arp_ignore', '0', 'arp_announce', '1'],
    commands: [],
  },
  {
    what: 'strict ARP asked for and not set',
    id: 'strict-arp',
    wrong: {
      kernelSettings: noStrictArp,
      configuration: { ...goodFacts.configuration, settings: settingsOf('--ipvs-strict-arp') },
    },
    result: 'fail',
    shows: ['arp_ignore', '0', 'arp_announce', 'ipvs.strictARP'],
    commands: [],
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
    shows: ['cni0', 'net.bridge.bridge-nf-call-iptables', 'net.bridge.bridge-nf-call-ip6tables'],
    commands: [
      'modprobe br_netfilter',
      'sysctl -w net.bridge.bridge-nf-call-iptables=1',
      'sysctl -w net.bridge.bridge-nf-call-ip6tables=1',
    ],
  },
  {
    what: 'local ports that are node ports',
    id: 'local-ports',
    wrong: { localPorts: { value: { first: 1_024, last: 65_535, reserved: '8080' } } },
    result: 'warn',
    shows: ['1024-65535', '30000-32767'],
    commands: ['sysctl -w net.ipv4.ip_local_reserved_ports=8080,30000-32767'],
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
    shows: [
      'net.netfilter.nf_conntrack_max',
      '65536',
      '131072',
      'net.netfilter.nf_conntrack_buckets',
      '16384',
      '32768',
    ],
    commands: [
      'sysctl -w net.netfilter.nf_conntrack_max=131072',
      'sysctl -w net.netfilter.nf_conntrack_buckets=32768',
    ],
  },
  {
    what: 'no connection tracking',
    id: 'conntrack',
    wrong: { kernelSettings: numbers({ 'net.netfilter.nf_conntrack_max': 'absent' }) },
    result: 'fail',
    shows: ['net.netfilter.nf_conntrack_max'],
    commands: ['modprobe nf_conntrack', 'echo nf_conntrack > /etc/modules-load.d/nf_conntrack.conf'],
  },
  {
    what: 'no netlink of connection tracking',
    id: 'conntrack',
    wrong: { conntrackNetlink: { value: false } },
    result: 'fail',
    shows: ['nf_conntrack', 'nf_conntrack_netlink'],
    commands: [
      'modprobe nf_conntrack_netlink',
      'echo nf_conntrack_netlink > /etc/modules-load.d/nf_conntrack_netlink.conf',
    ],
  },
  {
    what: 'connection tracking at its limit',
    id: 'conntrack-limit',
    wrong: { kernelSettings: numbers({ 'net.netfilter.nf_conntrack_count': 130_000 }) },
    result: 'fail',
    shows: ['130000', '131072', '99'],
    advises: ['conntrack.maxPerCore: 65536'],
    commands: ['sysctl -w net.netfilter.nf_conntrack_max=262144'],
  },
  {
    what: 'connection tracking near its limit',
    id: 'conntrack-limit',
    wrong: { kernelSettings: numbers({ 'net.netfilter.nf_conntrack_count': 100_000 }) },
    result: 'warn',
    shows: ['100000', '131072', '76'],
    advises: ['conntrack.maxPerCore: 65536'],
    commands: ['sysctl -w net.netfilter.nf_conntrack_max=262144'],
  },
  {
    what: 'a small hash of connection tracking',
    id: 'conntrack-hash',
    wrong: { kernelSettings: numbers({ 'net.netfilter.nf_conntrack_max': 1_048_576 }) },
    result: 'warn',
    shows: ['1048576', '32768', '32.0'],
    commands: ['sysctl -w net.netfilter.nf_conntrack_buckets=262144'],
  },
  {
    what: 'conntrack forgets TCP first',
    id: 'conntrack-tcp-timeout',
    wrong: { kernelSettings: numbers({ 'net.netfilter.nf_conntrack_tcp_timeout_established': 600 }) },
    result: 'warn',
    shows: ['TCP', '600', 'IPVS', '900'],
    advises: ['conntrack.tcpEstablishedTimeout: 900s'],
    commands: ['sysctl -w net.netfilter.nf_conntrack_tcp_timeout_established=900'],
  },
  {
    what: 'conntrack forgets UDP first',
    id: 'conntrack-udp-timeout',
    wrong: { kernelSettings: numbers({ 'net.netfilter.nf_conntrack_udp_timeout_stream': 60 }) },
    result: 'warn',
    shows: ['UDP', '60', 'IPVS', '300'],
    advises: ['ipvs.udpTimeout: 60s', 'conntrack.udpStreamTimeout: 300s'],
    commands: [],
  },
  {
    what: 'liberal tracking asked for and not set',
    id: 'conntrack-liberal',
    wrong: {
      configuration: { ...goodFacts.configuration, settings: settingsOf('--conntrack-tcp-be-liberal') },
    },
    result: 'warn',
    shows: ['net.netfilter.nf_conntrack_tcp_be_liberal', '0', 'conntrack.tcpBeLiberal'],
    commands: ['sysctl -w net.netfilter.nf_conntrack_tcp_be_liberal=1'],
  },
  {
    what: 'no nftables',
    id: 'nftables',
    wrong: { nftables: { value: [] } },
    result: 'fail',
    shows: ['IPv4', 'IPv6'],
    commands: ['modprobe -a nf_tables nft_masq nft_chain_nat'],
  },
  {
    what: 'no nftables for IPv6',
    id: 'nftables',
    wrong: { nftables: { value: ['IPv4'] } },
    result: 'warn',
    shows: ['IPv6'],
    advises: ['CONFIG_NF_TABLES_IPV6'],
    commands: ['modprobe -a nf_tables nft_masq nft_chain_nat'],
  },
  {
    what: 'no packet rules',
    id: 'packet-rules',
    wrong: { ownRules: { value: [] } },
    result: 'fail',
    shows: ['kube-ipvs', 'ip6'],
    commands: [],
  },
  {
    what: 'dormant packet rules',
    id: 'packet-rules',
    wrong: { ownRules: { value: [{ family: 'IPv4', hooks: 0, elements: 7 }] } },
    result: 'fail',
    shows: ['kube-ipvs', '0', '7'],
    commands: [],
  },
  {
    what: 'packet rules of one family alone',
    id: 'packet-rules',
    wrong: { ownRules: { value: [{ family: 'IPv4', hooks: 5, elements: 7 }] } },
    result: 'warn',
    shows: ['kube-ipvs', '5', '7', 'ip6'],
    commands: [],
  },
  {
    what: 'a forward policy that drops',
    id: 'forward-policy',
    wrong: { forwarding: { value: [filter({ policy: 'drop' })] } },
    result: 'fail',
    shows: ['0'],
    commands: ['nft insert rule inet firewall forward ct state established,related accept'],
  },
  {
    what: 'iptables-legacy that cannot be read',
    id: 'forward-policy',
    wrong: { legacyForwarding: unavailable },
    result: 'unknown',
    shows: [],
    commands: [],
  },
  {
    what: 'an input policy that drops',
    id: 'input-policy',
    wrong: {
      chains: { value: [chain('inet', 'firewall', 'input', { hook: inputDrop })] },
      services: { value: [healthChecked] },
    },
    result: 'warn',
    shows: ['IPVS'],
    advises: ['tcp dport { 32100 } accept'],
    commands: ['nft insert rule inet firewall input ip daddr 10.96.0.1 accept'],
  },
  {
    what: 'an input policy of iptables-legacy that drops',
    id: 'input-policy',
    wrong: {
      legacyChains: { value: [chain('ip', 'filter', 'INPUT', { by: 'iptables-legacy', hook: inputDrop })] },
    },
    result: 'warn',
    shows: ['INPUT', 'iptables-legacy', 'IPVS'],
    commands: ['iptables-legacy -I INPUT -d 10.96.0.1 -j ACCEPT'],
  },
  {
    what: 'no kube-ipvs0',
    id: 'dummy-interface',
    wrong: {
      network: network({ links: goodNetwork.links.filter(({ kind }) => kind !== 'dummy'), addresses: [] }),
    },
    result: 'warn',
    shows: ['kube-ipvs0'],
    commands: [],
  },
  {
    what: 'a kube-ipvs0 that is a bridge',
    id: 'dummy-interface',
    wrong: { network: network({ links: [link(5, 'kube-ipvs0', 'bridge')], addresses: [] }) },
    result: 'fail',
    shows: ['kube-ipvs0'],
    commands: ['ip link del kube-ipvs0'],
  },
  {
    what: 'the gateway on kube-ipvs0',
    id: 'vip-clash',
    wrong: { network: bound('192.0.2.1/32 kube-ipvs0') },
    result: 'fail',
    shows: ['kube-ipvs0', '192.0.2.1'],
    commands: ['ip address del 192.0.2.1/32 dev kube-ipvs0'],
  },
  {
    what: 'a Service that wants the address of the API server',
    id: 'vip-clash',
    wrong: { services: { value: [balanced('192.0.2.9')] } },
    result: 'fail',
    shows: ['default/web', '192.0.2.9', 'API'],
    commands: [],
  },
  {
    what: 'a VIP on another interface',
    id: 'vip-elsewhere',
    wrong: { network: bound('10.96.0.10/32 eth0') },
    result: 'warn',
    shows: ['10.96.0.10', 'eth0'],
    commands: ['ip address del 10.96.0.10/32 dev eth0'],
  },
  {
    what: 'an unused address',
    id: 'unwanted-addresses',
    wrong: { network: bound('10.96.9.9/32 kube-ipvs0') },
    result: 'warn',
    shows: ['10.96.9.9'],
    commands: ['ip address del 10.96.9.9/32 dev kube-ipvs0'],
  },
  {
    what: 'unused local routes',
    id: 'unwanted-addresses',
    wrong: { network: network({ vipRoutes: ['10.96.9.9', 'fd00::9'].map(ip) }) },
    result: 'warn',
    shows: ['10.96.9.9', 'fd00::9', 'local route'],
    commands: [
      'ip route del local 10.96.9.9 table local proto 73',
      'ip -6 route del local fd00::9 table local proto 73',
    ],
  },
  {
    what: 'a local route to the gateway',
    id: 'vip-clash',
    wrong: { network: network({ vipRoutes: [ip('192.0.2.1')] }) },
    result: 'fail',
    shows: ['table local', '192.0.2.1', 'gateway'],
    commands: ['ip route del local 192.0.2.1 table local proto 73'],
  },
  {
    what: 'a route of another program to a VIP',
    id: 'vip-elsewhere',
    wrong: {
      network: network({
        foreignLocalRoutes: [
          { address: ip('10.96.0.10'), type: 'blackhole', protocol: 4, metric: 0 },
          { address: ip('10.1.2.3'), type: 'local', protocol: 4, metric: 0 },
        ],
      }),
    },
    result: 'warn',
    shows: ['10.96.0.10', 'blackhole', 'proto 4'],
    commands: ['ip route del blackhole 10.96.0.10 table local proto 4'],
  },
  {
    what: 'thousands of VIPs on kube-ipvs0',
    id: 'vip-binding',
    wrong: { network: bound(...manyVips) },
    result: 'warn',
    shows: ['kube-ipvs0', '5002'],
    advises: ['vips.binding: route'],
    commands: [],
  },
  {
    what: 'NodeLocal DNSCache at the address of the DNS Service',
    id: 'node-local-dns',
    wrong: { network: localDns },
    result: 'fail',
    shows: ['DNSCache', 'IPVS', '10.96.0.10'],
    commands: [],
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
    shows: ['2', 'kube-ipvs', '12', 'kube-proxy', '99'],
    commands: [
      'kubectl -n kube-system patch daemonset kube-proxy -p \'{"spec":{"template":{"spec":{"nodeSelector":{"kube-proxy":"nowhere"}}}}}\'',
    ],
  },
  {
    what: 'metrics of kube-proxy',
    id: 'two-proxies',
    wrong: {
      programs: { value: [] },
      metrics: { value: new Map([['kubeproxy_sync_proxy_rules_duration_seconds_count', 5]]) },
    },
    result: 'fail',
    shows: ['kube-proxy', 'kube-ipvs'],
    commands: ['kubectl -n kube-system delete daemonset kube-proxy'],
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
    shows: ['3', 'kube-proxy', 'ip6', 'iptables-legacy'],
    commands: ['kube-ipvs cleanup --kube-proxy'],
  },
  {
    what: 'sets of kube-proxy, and chains cannot be read',
    id: 'kube-proxy-leftovers',
    wrong: {
      chains: unavailable,
      legacyChains: unavailable,
      ipsets: { value: ['others', 'KUBE-NODE-PORT-TCP', 'KUBE-6-CLUSTER-IP', 'KUBE-ROUTER-PODS'] },
    },
    result: 'warn',
    shows: ['2', 'KUBE-6-CLUSTER-IP', 'KUBE-NODE-PORT-TCP'],
    commands: ['kube-ipvs cleanup --kube-proxy'],
  },
  {
    what: 'leftovers of the mode nftables',
    id: 'kube-proxy-leftovers',
    wrong: { chains: { value: [chain('ip', 'kube-proxy', 'services')] } },
    result: 'warn',
    shows: ['1', 'kube-proxy'],
    commands: ['kube-ipvs cleanup --kube-proxy'],
  },
  {
    what: 'kube-router',
    id: 'other-dataplanes',
    wrong: {
      chains: { value: [chain('ip', 'filter', 'KUBE-ROUTER-INPUT')] },
      programs: { value: [{ name: 'kube-router', pid: 8 }] },
    },
    result: 'warn',
    shows: ['1', 'kube-router'],
    commands: ['kube-router --cleanup-config'],
  },
  {
    what: 'Cilium',
    id: 'other-dataplanes',
    wrong: { chains: { value: [chain('ip', 'nat', 'CILIUM_POST_nat')] } },
    result: 'warn',
    shows: ['1'],
    commands: [],
  },
  {
    what: 'rules for hostPorts',
    id: 'host-ports',
    wrong: { chains: { value: [chain('ip', 'nat', 'CNI-HOSTPORT-DNAT')] } },
    result: 'warn',
    shows: ['IPVS', 'VIPs', 'kube-ipvs0'],
    commands: [],
  },
  {
    what: 'keepalived',
    id: 'ipvs-managers',
    wrong: { programs: { value: [{ name: 'keepalived', pid: 3 }] } },
    result: 'warn',
    shows: ['3'],
    commands: [],
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
    shows: ['https://192.0.2.9:6443', 'ECONNREFUSED', '192.0.2.9:6443'],
    commands: ['curl -k https://192.0.2.9:6443/livez'],
  },
  {
    what: 'an API server that is slow',
    id: 'api-server',
    wrong: { api: api({ milliseconds: 2_400 }) },
    result: 'warn',
    shows: ['https://192.0.2.9:6443', 'v1.36.2', '2400'],
    commands: [],
  },
  {
    what: 'a clock that is a minute behind',
    id: 'clock',
    wrong: { api: api({ clockAhead: -60 }) },
    result: 'fail',
    shows: ['60', 'API'],
    commands: ['timedatectl set-ntp true', 'chronyc makestep'],
  },
  {
    what: 'a clock that is ten seconds ahead',
    id: 'clock',
    wrong: { api: api({ clockAhead: 10 }) },
    result: 'warn',
    shows: ['10', 'API'],
    commands: ['timedatectl set-ntp true', 'chronyc makestep'],
  },
  {
    what: 'a certificate that has ended',
    id: 'credential',
    wrong: { api: api({ credential: { kind: 'certificate', ends: goodFacts.now - hour } }) },
    result: 'fail',
    shows: ['2026-11-23T09:00Z', '1.0'],
    commands: ['kubeadm certs renew all'],
  },
  {
    what: 'a certificate that ends soon',
    id: 'credential',
    wrong: { api: api({ credential: { kind: 'certificate', ends: goodFacts.now + 72 * hour } }) },
    result: 'warn',
    shows: ['2026-11-26T10:00Z', '3'],
    commands: ['kubeadm certs renew all'],
  },
  {
    what: 'no right to watch endpoints',
    id: 'rights',
    wrong: { api: api({ permissions: denied('watch endpointslices') }) },
    result: 'fail',
    shows: [],
    commands: ['kubectl apply -f deploy/base/rbac.yaml'],
  },
  {
    what: 'no right to tell Events',
    id: 'rights',
    wrong: { api: api({ permissions: denied('create events') }) },
    result: 'warn',
    shows: [],
    commands: ['kubectl apply -f deploy/base/rbac.yaml'],
  },
  {
    what: 'a Service that takes weights from pods, without the right to read them',
    id: 'read-pods',
    wrong: { services: { value: [byPods] } },
    result: 'warn',
    shows: ['list pods, watch pods', 'Service default/web'],
    advises: ['rbac.readPods: true'],
    commands: grantReadPods,
  },
  {
    what: 'a configuration that takes weights from pods, without the right to watch them',
    id: 'read-pods',
    wrong: {
      configuration: {
        ...goodFacts.configuration,
        settings: { ...goodFacts.configuration.settings, weightBy: 'cpu-request' },
      },
      api: api({ podPermissions: podRights('list') }),
    },
    result: 'warn',
    shows: ['not allowed: watch pods', 'weights.by: cpu-request'],
    commands: grantReadPods,
  },
  {
    what: 'the right to read pods, for a Service that needs it',
    id: 'read-pods',
    wrong: { services: { value: [byPods] }, api: api({ podPermissions: podRights('list', 'watch') }) },
    result: 'pass',
    shows: ['allowed, for Service default/web'],
    commands: [],
  },
  {
    what: 'a Service with another choice than the configuration',
    id: 'read-pods',
    wrong: {
      services: {
        value: [
          service('default/web', {
            clusterIP: '10.96.0.20',
            annotations: { 'ipvs.kube-ipvs.dev/weight-by': 'zone' },
          }),
        ],
      },
    },
    result: 'pass',
    shows: ['not needed'],
    commands: [],
  },
  {
    what: 'a DaemonSet of kube-proxy for this node',
    id: 'installed-kube-proxy',
    wrong: { api: api({ kubeProxy: { value: { ...noKubeProxy, daemonSet: kubeProxyHere } } }) },
    result: 'fail',
    shows: ['registry.k8s.io/kube-proxy:v1.36.2'],
    advises: ['docs/install'],
    commands: ['kubectl -n kube-system delete daemonset,configmap kube-proxy'],
  },
  {
    what: 'a DaemonSet of kube-proxy for other nodes',
    id: 'installed-kube-proxy',
    wrong: {
      api: api({
        kubeProxy: { value: { ...noKubeProxy, daemonSet: { ...kubeProxyHere, selectsNode: false } } },
      }),
    },
    result: 'warn',
    shows: ['nodeSelector'],
    commands: ['kubectl -n kube-system delete daemonset,configmap kube-proxy'],
  },
  {
    what: 'a DaemonSet kube-proxy that runs kube-ipvs',
    id: 'installed-kube-proxy',
    wrong: {
      api: api({
        kubeProxy: {
          value: {
            ...noKubeProxy,
            daemonSet: { ...kubeProxyHere, image: 'r.example.org/kube-proxy/kube-ipvs:1' },
          },
        },
      }),
    },
    result: 'warn',
    shows: ['r.example.org/kube-proxy/kube-ipvs:1', 'kubeadm'],
    advises: ['docs/install/kubeadm.md'],
    commands: [
      'kubectl -n kube-system edit configmap kubeadm-config',
      'kubeadm upgrade apply --skip-phases=addon/kube-proxy VERSION',
    ],
  },
  {
    what: 'a pod of kube-proxy without a DaemonSet',
    id: 'installed-kube-proxy',
    wrong: { api: api({ kubeProxy: { value: { ...noKubeProxy, pods: ['kube-proxy-node-1'] } } }) },
    result: 'fail',
    shows: ['kube-proxy-node-1'],
    advises: ['docs/install'],
    commands: [],
  },
  {
    what: 'a cluster of kubeadm that does not disable kube-proxy',
    id: 'installed-kube-proxy',
    wrong: {
      api: api({ kubeProxy: { value: { ...noKubeProxy, kubeadm: { proxyDisabled: false } } } }),
    },
    result: 'warn',
    shows: ['kubeadm-config', '1.32'],
    advises: ['proxy: {disabled: true}'],
    commands: [
      'kubectl -n kube-system edit configmap kubeadm-config',
      'kubeadm upgrade apply --skip-phases=addon/kube-proxy VERSION',
    ],
  },
  {
    what: 'a ConfigMap of kube-proxy alone',
    id: 'installed-kube-proxy',
    wrong: { api: api({ kubeProxy: { value: { ...noKubeProxy, hasConfigMap: true } } }) },
    result: 'warn',
    shows: ['kubeadm'],
    commands: ['kubectl -n kube-system delete configmap kube-proxy'],
  },
  {
    what: 'no Node of our name',
    id: 'node-object',
    wrong: { api: api({ hasNode: { value: false } }) },
    result: 'fail',
    shows: ['node-1'],
    commands: ['kubectl get nodes -o name'],
  },
  {
    what: 'a small memory limit',
    id: 'memory',
    wrong: { memory: { value: { limit: 64_000_000, used: 60_000_000 } } },
    result: 'warn',
    shows: ['60', '64', '2', '70'],
    advises: ['resources.limits.memory: 106M'],
    commands: [],
  },
  {
    what: 'a configuration that is wrong',
    id: 'configuration',
    wrong: {
      configuration: {
        ...goodFacts.configuration,
        problems: ['config.conf:5: ipvs.syncPeriod must be a duration'],
      },
    },
    result: 'fail',
    shows: ['config.conf:5', 'ipvs.syncPeriod'],
    commands: ['kube-ipvs config validate config.conf'],
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
    shows: ['config.conf:7', 'ipvs.strictArp', 'ipvs.strictARP?'],
    commands: ['kube-ipvs config validate config.conf'],
  },
  {
    what: 'no capabilities',
    id: 'capabilities',
    wrong: { process: processOf({ user: 1_000, capabilities: [] }) },
    result: 'fail',
    shows: ['12', '1000', 'NET_ADMIN', 'IPVS'],
    commands: ['sudo kube-ipvs doctor'],
  },
  {
    what: 'few open files',
    id: 'open-files',
    wrong: { process: processOf({ openFiles: 256 }) },
    result: 'warn',
    shows: ['12', '256', '1024'],
    advises: ['LimitNOFILE=1024'],
    commands: ['ulimit -n 1024'],
  },
  {
    what: 'no daemon',
    id: 'daemon',
    wrong: {
      daemon: { value: { status: 0, eligible: undefined, healthy: undefined } },
      listening: { value: [] },
    },
    result: 'fail',
    shows: ['0.0.0.0:10256'],
    commands: ['kubectl -n kube-system logs -p -l k8s-app=kube-ipvs'],
  },
  {
    what: 'a daemon that is not healthy',
    id: 'daemon',
    wrong: { daemon: { value: { status: 503, eligible: true, healthy: false } } },
    result: 'fail',
    shows: ['0.0.0.0:10256', '503'],
    commands: ['kubectl -n kube-system logs -l k8s-app=kube-ipvs'],
  },
  {
    what: 'a node that is leaving',
    id: 'daemon',
    wrong: { daemon: { value: { status: 503, eligible: false, healthy: true } } },
    result: 'warn',
    shows: ['0.0.0.0:10256', '503'],
    commands: [],
  },
  {
    what: 'a watch that is lost',
    id: 'watches',
    wrong: { metrics: metrics({ 'kube_ipvs_watch_following{resource="services"}': 0 }) },
    result: 'fail',
    shows: [],
    commands: [],
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
    shows: ['12', '0.500'],
    commands: ['kubectl -n kube-system logs -l k8s-app=kube-ipvs'],
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
    shows: ['90', 'API', 'a:6443'],
    commands: ['kubectl -n kube-system logs -l k8s-app=kube-ipvs'],
  },
  {
    what: 'a source in trouble',
    id: 'sync',
    wrong: {
      status: status({ source: { name: 'API server a:6443', delivered: true, trouble: 'services: 403' } }),
    },
    result: 'fail',
    shows: ['API', 'a:6443', '403'],
    commands: [],
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
    shows: ['TCP', '10.96.0.10:53', 'kube-system/kube-dns'],
    commands: ['kubectl -n kube-system annotate service kube-dns ipvs.kube-ipvs.dev/take-over-foreign=true'],
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
    shows: ['1', 'TCP', '10.96.0.9:80', 'ENOENT'],
    commands: ['kubectl -n kube-system logs -l k8s-app=kube-ipvs'],
  },
  {
    what: 'operations that are refused, and no admin socket',
    id: 'refused-operations',
    wrong: {
      status: unavailable,
      metrics: metrics({ kube_ipvs_refused_objects: 2, kube_ipvs_operation_failures_total: 9 }),
    },
    result: 'fail',
    shows: ['2', '9'],
    commands: ['kubectl -n kube-system logs -l k8s-app=kube-ipvs'],
  },
  {
    what: 'drift',
    id: 'drift',
    wrong: { metrics: metrics({ kube_ipvs_drift_repaired_total: 4 }) },
    result: 'warn',
    shows: ['4'],
    commands: ['kubectl -n kube-system logs -l k8s-app=kube-ipvs'],
  },
];
