import { hostPrefixLength } from '../../base/ip.js';
import type { KeyField, SetDeclaration } from '../../nftables/declarations.js';

/**
 * The packet classes, each with a set, the most frequent first. A rule leads from each set to its chain; if
 * two sets contain a virtual server, as during a change of class, the first one applies. One map of verdicts
 * would need only one look-up, but the kernel walks such a map at each commit.
 */
export const packetClasses = ['cluster-ip', 'external', 'local', 'local-elsewhere', 'no-endpoints'] as const;
export type PacketClass = (typeof packetClasses)[number];

/** The packet classes of node ports. */
export type NodePortClass = Exclude<PacketClass, 'cluster-ip'>;
export const nodePortClasses: readonly NodePortClass[] = [
  'external',
  'local',
  'local-elsewhere',
  'no-endpoints',
];

export const isPacketClass = (set: string): set is PacketClass => packetClasses.some((name) => name === set);

/** The map from frontends with externalTrafficPolicy Local to the firewall marks of requests from the cluster. */
export const inClusterMap = 'in-cluster';
/** The set of the node's addresses that have shared node ports. */
export const nodePortAddressSet = 'node-port-addresses';
/** The map from shared node ports to their firewall marks. */
export const nodePortMap = 'node-port';
/** The set of the shared node ports of a packet class. */
export const nodePortClassSet = (packetClass: NodePortClass): string => `node-ports-${packetClass}`;

/** The set of the firewall marks in use: ownership markers of the virtual servers on them. */
export const firewallMarkSet = 'firewall-marks';
/** The set of drain records of virtual servers on firewall marks. No rule refers to it. */
export const drainingByMarkSet = 'draining-by-mark';

/** Whether an element of the set is an ownership marker of a virtual server. */
export const isOwnershipMarkerSet = (set: string): boolean => isPacketClass(set) || set === firewallMarkSet;

export const classDescriptions: Readonly<Record<PacketClass, string>> = {
  'no-endpoints': 'Services without endpoints',
  'cluster-ip': 'ClusterIPs',
  local: 'externalTrafficPolicy Local, endpoints on this node',
  'local-elsewhere': 'externalTrafficPolicy Local, endpoints only on other nodes',
  external: 'externalTrafficPolicy Cluster',
};

const frontendKey: readonly KeyField[] = ['address', 'protocol', 'port'];

/** The set of source addresses of one prefix length that may reach a restricted frontend. */
export const sourceRangeSet = (prefixLength: number): string => `sources-${prefixLength}`;

/** The prefix length of a set that `sourceRangeSet` named; undefined for any other set. */
export const sourceRangePrefixLength = (set: string): number | undefined => {
  const length = Number(/^sources-(\d{1,3})$/.exec(set)?.[1] ?? Number.NaN);
  return length <= hostPrefixLength('IPv6') ? length : undefined;
};

/** The set of take-over markers. It has elements only during a take-over from another service proxy. */
export const takeOverSet = 'take-over';

/** The set of drain records. No rule refers to it. */
export const drainingSet = 'draining';

export const fixedSets: readonly SetDeclaration[] = [
  ...packetClasses.map((name) => ({
    name,
    key: frontendKey,
    verdicts: false,
    comment: classDescriptions[name],
  })),
  { name: 'vips', key: ['address'], verdicts: false, comment: 'addresses of Services' },
  {
    name: 'hairpin',
    key: ['address', 'address', 'protocol', 'port'],
    verdicts: false,
    comment: 'endpoints on this node, as source and destination',
  },
  {
    name: 'health-check-ports',
    key: ['port'],
    verdicts: false,
    comment: 'health check node ports',
  },
  {
    name: 'restricted',
    key: frontendKey,
    verdicts: false,
    comment: 'load balancer addresses with loadBalancerSourceRanges',
  },
  {
    name: drainingSet,
    key: [...frontendKey, 'address', 'port'],
    verdicts: false,
    comment: 'draining real servers',
  },
  {
    name: takeOverSet,
    key: ['protocol'],
    verdicts: false,
    comment: 'take-over from another proxy, until the first sync has completed',
  },
];

// The sets that tables have only where they are or were in use.

export const inClusterSets: readonly SetDeclaration[] = [
  {
    name: inClusterMap,
    key: frontendKey,
    verdicts: false,
    marks: true,
    comment: 'externalTrafficPolicy Local: marks of requests from the cluster',
  },
];

export const nodePortSets: readonly SetDeclaration[] = [
  {
    name: nodePortAddressSet,
    key: ['address'],
    verdicts: false,
    comment: 'addresses of this node with shared node ports',
  },
  {
    name: nodePortMap,
    key: ['protocol', 'port'],
    verdicts: false,
    marks: true,
    comment: 'marks of shared node ports',
  },
  ...nodePortClasses.map(
    (name): SetDeclaration => ({
      name: nodePortClassSet(name),
      key: ['protocol', 'port'],
      verdicts: false,
      comment: `shared node ports: ${classDescriptions[name]}`,
    }),
  ),
];

/** They accompany both. */
export const firewallMarkSets: readonly SetDeclaration[] = [
  { name: firewallMarkSet, key: ['mark'], verdicts: false, comment: 'marks of virtual servers' },
  {
    name: drainingByMarkSet,
    key: ['mark', 'address', 'port'],
    verdicts: false,
    comment: 'draining real servers of virtual servers on marks',
  },
];

export const isNodePortSet = (set: string): boolean => nodePortSets.some(({ name }) => name === set);

/** The packet class of a set of shared node ports, or of other frontends; undefined for any other set. */
export const packetClassOfSet = (set: string): PacketClass | undefined =>
  packetClasses.find((name) => name === set) ??
  nodePortClasses.find((name) => nodePortClassSet(name) === set);

export const sourceRangeDeclaration = (prefixLength: number): SetDeclaration => ({
  name: sourceRangeSet(prefixLength),
  key: [...frontendKey, 'address'],
  verdicts: false,
  comment: `source ranges of prefix length ${prefixLength}`,
});

/** The declaration of a kube-ipvs set; undefined if no such set exists. */
export const setDeclaration = (name: string): SetDeclaration | undefined => {
  const length = sourceRangePrefixLength(name);
  return length === undefined
    ? [...fixedSets, ...inClusterSets, ...nodePortSets, ...firewallMarkSets].find((set) => set.name === name)
    : sourceRangeDeclaration(length);
};
