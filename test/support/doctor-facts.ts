import { defaultInstance } from '../../src/model/instance-names.js';
import { parseFlags } from '../../src/config/parse-flags.js';
import { resolveSettings, type Settings } from '../../src/config/settings.js';
import type { ApiFacts, ChainFact, Facts, NetworkFacts } from '../../src/doctor/facts.js';
import { advise } from '../../src/doctor/remedy.js';
import { podPermissions, requiredPermissions } from '../../src/doctor/collect/api.js';
import type { KernelParameterValue } from '../../src/kernel/sysctl.js';
import type { ForwardFilter } from '../../src/model/forward-filter.js';
import type { Service } from '../../src/model/service.js';
import type { StatusResponse } from '../../src/admin-api/responses.js';
import { toService } from '../../src/watch/objects/parse-objects.js';
import { ip, serviceObject, type ServiceSpec } from './objects.js';

/** Settings as these flags make them. */
export const settingsOf = (...flags: readonly string[]): Settings =>
  resolveSettings({ flags: parseFlags(['--proxy-mode=ipvs', ...flags]), files: [], hostname: 'node-1' });

export const service = (key: string, spec: ServiceSpec): Service => {
  const { value } = toService(serviceObject(key, spec));
  if (value === undefined) throw new Error(`${key} is not served`);
  return value;
};

/** What a node has on which nothing is wrong. */
export const goodNumbers: Readonly<Record<string, KernelParameterValue>> = {
  'net.ipv4.vs.conntrack': 1,
  'net.ipv4.vs.conn_reuse_mode': 1,
  'net.ipv4.vs.expire_nodest_conn': 1,
  'net.ipv4.vs.expire_quiescent_template': 1,
  'net.ipv4.vs.run_estimation': 1,
  'net.ipv4.vs.drop_packet': 0,
  'net.ipv4.vs.drop_entry': 0,
  'net.ipv4.vs.secure_tcp': 0,
  'net.ipv4.vs.pmtu_disc': 1,
  'net.ipv4.vs.est_cpulist': { text: '0-3' },
  'net.ipv4.vs.est_nice': 0,
  'ip_vs.conn_tab_bits': 12,
  'net.ipv4.ip_forward': 1,
  'net.ipv4.tcp_keepalive_time': 600,
  'net.ipv4.conf.all.route_localnet': 0,
  'net.ipv4.conf.all.rp_filter': 2,
  'net.ipv4.conf.all.arp_ignore': 1,
  'net.ipv4.conf.all.arp_announce': 2,
  'net.ipv6.conf.all.forwarding': 1,
  'net.bridge.bridge-nf-call-iptables': 1,
  'net.bridge.bridge-nf-call-ip6tables': 1,
  'net.netfilter.nf_conntrack_count': 1_000,
  'net.netfilter.nf_conntrack_max': 131_072,
  'net.netfilter.nf_conntrack_buckets': 32_768,
  'net.netfilter.nf_conntrack_tcp_timeout_established': 86_400,
  'net.netfilter.nf_conntrack_tcp_timeout_close_wait': 3_600,
  'net.netfilter.nf_conntrack_udp_timeout': 30,
  'net.netfilter.nf_conntrack_udp_timeout_stream': 120,
  'net.netfilter.nf_conntrack_tcp_be_liberal': 0,
};

export const numbers = (
  changes: Readonly<Record<string, KernelParameterValue>> = {},
): Facts['kernelSettings'] => new Map(Object.entries({ ...goodNumbers, ...changes }));

const link = (index: number, name: string, kind?: string, mtu = 1500) => ({
  index,
  name,
  kind,
  up: true,
  mtu,
});

const goodLinks: NetworkFacts['links'] = [
  link(1, 'lo', undefined, 65_536),
  link(2, 'eth0'),
  link(3, 'cni0', 'bridge', 1450),
  link(4, 'flannel.1', 'vxlan', 1450),
  { ...link(5, 'kube-ipvs0', 'dummy'), up: false },
];

/** `10.0.0.5/24 eth0`. */
export const address = (text: string, links = goodLinks): NetworkFacts['addresses'][number] => {
  const [place = '', interfaceName = ''] = text.split(' ');
  const [host = '', length] = place.split('/');
  const interfaceIndex = links.find(({ name }) => name === interfaceName)?.index ?? 0;
  return { address: ip(host), prefixLength: Number(length), interfaceName, interfaceIndex };
};

export const network = (changes: Partial<NetworkFacts> = {}): Facts['network'] => ({
  value: {
    dummyInterface: defaultInstance.dummyInterface,
    links: goodLinks,
    addresses: [
      '127.0.0.1/8 lo',
      '192.0.2.5/24 eth0',
      '10.244.0.1/24 cni0',
      '10.96.0.1/32 kube-ipvs0',
      '10.96.0.10/32 kube-ipvs0',
    ].map((text) => address(text)),
    gateways: [ip('192.0.2.1')],
    vipRoutes: [],
    foreignLocalRoutes: [],
    ...changes,
  },
});

export const moreLinks = (...extra: NetworkFacts['links']): NetworkFacts['links'] => [...goodLinks, ...extra];
export { link };

const now = Date.parse('2026-11-23T10:00:00Z');
export const hour = 3_600_000;

export const api = (changes: Partial<ApiFacts> = {}): Facts['api'] => ({
  value: {
    reached: true,
    server: 'https://192.0.2.9:6443',
    version: 'v1.36.2',
    milliseconds: 12,
    clockAhead: 0,
    credential: { kind: 'token', ends: now + hour },
    permissions: {
      value: requiredPermissions.map(({ verb, group, resource }) => ({
        verb,
        resource: group === '' ? resource : `${resource}.${group}`,
        allowed: true,
      })),
    },
    podPermissions: {
      value: podPermissions.map(({ verb, resource }) => ({ verb, resource, allowed: false })),
    },
    hasNode: { value: true },
    kubeProxy: { value: { daemonSet: undefined, hasConfigMap: false, kubeadm: undefined, pods: [] } },
    ...changes,
  },
});

export const chain = (
  family: ChainFact['family'],
  table: string,
  name: string,
  more: Partial<ChainFact> = {},
): ChainFact => ({ by: 'nftables', family, table, chain: name, hook: undefined, ...more });

export const filter = (changes: Partial<ForwardFilter> = {}): ForwardFilter => ({
  by: 'nftables',
  family: 'inet',
  table: 'firewall',
  chain: 'forward',
  priority: 0,
  policy: 'accept',
  chains: new Map(),
  ...changes,
});

export const server = (address: string, port: number) => ({
  identity: { by: 'address' as const, protocol: 'TCP' as const, address: ip(address), port },
  scheduler: 'rr',
  ours: true,
});

export const status = (changes: Partial<StatusResponse> = {}): Facts['status'] => ({
  value: {
    version: 1,
    programVersion: '0.1.0',
    pid: 12,
    startedAt: '2026-11-23T09:00:00.000Z',
    uptimeSeconds: 3_600,
    node: 'node-1',
    kernelRelease: '6.12.48',
    scheduler: 'rr',
    configDigest: '0123456789ab',
    configFiles: ['config.conf'],
    source: { name: 'API server 192.0.2.9:6443', delivered: true },
    synced: true,
    healthy: true,
    lastSync: {
      at: '2026-11-23T09:59:55.000Z',
      secondsAgo: 5,
      tookSeconds: 0.0421,
      succeeded: true,
      applied: 3,
      failed: 0,
    },
    counts: {
      services: 2,
      virtualServers: 2,
      realServers: 3,
      addresses: 2,
      packetRuleElements: 7,
      foreignVirtualServers: 0,
      draining: 0,
      lingering: 0,
      problems: 0,
    },
    refused: [],
    refusedCount: 0,
    contested: [],
    lingering: [],
    lostNodes: [],
    drift: [],
    packetRules: { IPv4: { inForce: true }, IPv6: { inForce: true } },
    ports: { health: '0.0.0.0:10256', metrics: '127.0.0.1:10249' },
    ...changes,
  },
});

/** A node on which every check passes. */
export const goodFacts: Facts = {
  now,
  release: '6.12.48',
  cpus: 4,
  configuration: { files: ['config.conf'], settings: settingsOf(), problems: [] },
  kernelSettings: numbers(),
  localPorts: { value: { first: 32_768, last: 60_999, reserved: '' } },
  initialNetwork: true,
  dummyDriver: { value: 'in use' },
  ipvs: { value: { version: '1.2.1', buckets: 4096, virtualServers: 2, realServers: 3, connections: 40 } },
  ipvsTimeouts: { value: { tcpSeconds: 900, tcpFinSeconds: 120, udpSeconds: 300 } },
  virtualServers: { value: [server('10.96.0.1', 443), server('10.96.0.10', 53)] },
  syncDaemons: { value: [] },
  schedulers: { value: [{ name: 'rr', requestedBy: 'the configuration', present: true }] },
  conntrackNetlink: { value: true },
  nftables: { value: ['IPv4', 'IPv6'] },
  chains: { value: [chain('ip', 'filter', 'KUBE-FIREWALL')] },
  legacyChains: { value: [] },
  ipsets: { value: ['others'] },
  ownRules: {
    value: [
      { family: 'IPv4', hooks: 5, elements: 7 },
      { family: 'IPv6', hooks: 5, elements: 0 },
    ],
  },
  forwarding: { value: [] },
  legacyForwarding: { value: [] },
  network: network(),
  programs: { value: [{ name: 'kube-ipvs', pid: 12 }] },
  listening: { value: [10_249, 10_256] },
  process: {
    value: {
      processName: 'the daemon (process 12)',
      user: 65_532,
      capabilities: ['NET_ADMIN'],
      openFiles: 1_048_576,
    },
  },
  memory: { value: { limit: undefined, used: 96_000_000 } },
  services: {
    value: [
      service('default/kubernetes', { clusterIP: '10.96.0.1', ports: ['https:443'] }),
      service('kube-system/kube-dns', { clusterIP: '10.96.0.10', ports: ['dns-tcp:53'] }),
    ],
  },
  api: api(),
  apiServerAddress: ip('192.0.2.9'),
  runningKubeProxy: { value: undefined },
  proxyMode: { value: undefined },
  dependentRules: { value: [] },
  daemon: { value: { status: 200, eligible: true, healthy: true } },
  status: status(),
  metrics: {
    value: new Map([
      ['kube_ipvs_virtual_servers', 2],
      ['kube_ipvs_refused_objects', 0],
      ['kube_ipvs_drift_repaired_total', 0],
      ['kube_ipvs_watch_following{resource="services"}', 1],
      ['kube_ipvs_watch_following{resource="endpointslices"}', 1],
      ['kube_ipvs_watch_following{resource="nodes"}', 1],
    ]),
  },
};

/** Facts of a process that may read nothing. */
export const blindFacts: Facts = {
  ...goodFacts,
  kernelSettings: new Map(Object.keys(goodNumbers).map((name) => [name, 'unreadable'])),
  ...(Object.fromEntries(
    Object.entries(goodFacts)
      .filter(
        ([, part]: readonly [string, unknown]) =>
          typeof part === 'object' && part !== null && 'value' in part,
      )
      .map(([name]) => [name, { unavailable: `no ${name}`, remedies: [advise('Run as root.')] }]),
  ) as Partial<Facts>),
};
