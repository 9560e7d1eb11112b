import {
  cidrContains,
  cidrFamily,
  familyOf,
  hostPrefixLength,
  type Cidr,
  type Family,
  type IpAddress,
} from '../../base/ip.js';
import { nodePortMark, type NodePort } from '../../model/firewall-mark.js';
import type { NodeFacts } from '../../model/node.js';
import { markElement, setElement, type ElementKey, type SetElement } from '../../nftables/declarations.js';
import { hasVipAsOwnSource, type VipBinding } from '../../model/settings/vip-binding.js';
import { protocols, type Protocol } from '../../base/protocol.js';
import { type Service } from '../../model/service.js';
import {
  virtualServerKey,
  type VirtualServerIdentity,
  type VirtualServerKey,
} from '../../model/virtual-server.js';
import type { PortEndpoint } from '../endpoints/endpoints.js';
import type { Frontend } from '../render/frontends.js';
import {
  firewallMarkSet,
  inClusterMap,
  isNodePortSet,
  nodePortAddressSet,
  nodePortClassSet,
  nodePortMap,
  packetClasses,
  sourceRangeSet,
  takeOverSet,
  type NodePortClass,
  type PacketClass,
} from './packet-sets.js';

const isProtocol = (value: unknown): value is Protocol => protocols.some((protocol) => protocol === value);

export type ByAddress = Extract<VirtualServerIdentity, { by: 'address' }>;
export type ByMark = Extract<VirtualServerIdentity, { by: 'fwmark' }>;

/** The element that assigns a packet class to a virtual server. It is also the ownership marker. */
export const packetClassElement = (
  { address, protocol, port }: ByAddress,
  packetClass: PacketClass,
): SetElement => setElement(familyOf(address), packetClass, [address, protocol, port]);

/** The ownership marker of a virtual server on a firewall mark. */
export const firewallMarkElement = ({ fwmark, family }: ByMark): SetElement =>
  setElement(family, firewallMarkSet, [fwmark]);

/** The element that leads requests from the cluster to a frontend to the virtual server on a firewall mark. */
export const inClusterElement = ({ address, protocol, port }: ByAddress, fwmark: number): SetElement =>
  markElement(familyOf(address), inClusterMap, [address, protocol, port], fwmark);

/** The identity of the virtual server that serves a node port on all addresses of a family. */
export const nodePortIdentity = (nodePort: NodePort, family: Family): ByMark => ({
  by: 'fwmark',
  fwmark: nodePortMark(nodePort),
  family,
});

/** The elements of a shared node port: its packet class, and the map that leads to its virtual server. */
export const nodePortElements = (
  { protocol, port }: NodePort,
  family: Family,
  packetClass: NodePortClass,
): readonly SetElement[] => [
  setElement(family, nodePortClassSet(packetClass), [protocol, port]),
  markElement(family, nodePortMap, [protocol, port], nodePortMark({ protocol, port })),
];

/** The element of an address of this node that has shared node ports. */
export const nodePortAddressElement = (address: IpAddress): SetElement =>
  setElement(familyOf(address), nodePortAddressSet, [address]);

/** Whether the elements include an ownership marker of the virtual server. */
export const hasOwnershipMarker = (
  identity: VirtualServerIdentity,
  hasElement: (key: ElementKey) => boolean,
): boolean =>
  identity.by === 'address'
    ? packetClasses.some((name) => hasElement(packetClassElement(identity, name).key))
    : hasElement(firewallMarkElement(identity).key);

const nodePortServerOf = (
  family: Family,
  [protocol, port]: SetElement['fields'],
): VirtualServerKey | undefined =>
  isProtocol(protocol) && typeof port === 'number'
    ? virtualServerKey(nodePortIdentity({ protocol, port }, family))
    : undefined;

/** The virtual server of an element; undefined if the element belongs to none. */
export const virtualServerOf = ({ family, set, fields }: SetElement): VirtualServerKey | undefined => {
  if (set === firewallMarkSet) return virtualServerKey({ by: 'fwmark', fwmark: Number(fields[0]), family });
  if (isNodePortSet(set)) return nodePortServerOf(family, fields);
  const [address, protocol, port] = fields;
  if (typeof address !== 'string' || !isProtocol(protocol) || typeof port !== 'number') return undefined;
  return virtualServerKey({ by: 'address', protocol, address: address as IpAddress, port });
};

/** The virtual server on a firewall mark that an element of the map leads to. */
export const markedServerOf = ({ family, mark }: SetElement): VirtualServerKey | undefined =>
  mark === undefined ? undefined : virtualServerKey({ by: 'fwmark', fwmark: mark, family });

/** The sources that the node's own packets to a VIP may have. */
const ownSources = (vip: IpAddress, node: NodeFacts, vipBinding: VipBinding): readonly IpAddress[] => {
  const family = familyOf(vip);
  if (hasVipAsOwnSource(vipBinding, family)) return [vip];
  return node.addresses.map((entry) => entry.address).filter((source) => familyOf(source) === family);
};

/**
 * The elements that admit sources to a virtual server. The sources of the node's own packets are admitted if a
 * range includes an address of the Node object (kube-proxy-ipvs §4.4, KUBE-LOAD-BALANCER-SOURCE-IP), or any
 * address of the node if there is no Node object.
 */
export const sourceRangeElements = (
  { address, protocol, port }: ByAddress,
  ranges: readonly Cidr[],
  node: NodeFacts,
  vipBinding: VipBinding,
): readonly SetElement[] => {
  if (ranges.length === 0) return [];
  const family = familyOf(address);
  const admit = (source: IpAddress, prefixLength: number): SetElement =>
    setElement(family, sourceRangeSet(prefixLength), [address, protocol, port, source]);
  const own =
    node.statusAddresses.length > 0 ? node.statusAddresses : node.addresses.map((entry) => entry.address);
  const admitsNode = own.some((source) => ranges.some((range) => cidrContains(range, source)));
  return [
    setElement(family, 'restricted', [address, protocol, port]),
    ...ranges.map((range) => admit(range.address, range.prefixLength)),
    ...(admitsNode ? ownSources(address, node, vipBinding) : []).map((source) =>
      admit(source, hostPrefixLength(family)),
    ),
  ];
};

export const vipElement = (address: IpAddress): SetElement =>
  setElement(familyOf(address), 'vips', [address]);

/** The take-over markers of a family's table. */
export const takeOverElements = (family: Family): readonly SetElement[] =>
  protocols.map((protocol) => setElement(family, takeOverSet, [protocol]));

export const hairpinElements = (
  endpoints: readonly PortEndpoint[],
  protocol: Protocol,
  node: NodeFacts,
): readonly SetElement[] =>
  endpoints
    .filter(({ endpoint }) => node.name !== '' && endpoint.nodeName === node.name)
    .map(({ endpoint: { address }, port }) =>
      setElement(familyOf(address), 'hairpin', [address, address, protocol, port]),
    );

export const healthCheckElement = (family: Family, port: number): SetElement =>
  setElement(family, 'health-check-ports', [port]);

/**
 * The source ranges of the frontend's family. Only load balancer addresses have source ranges, even if they
 * are also external IPs.
 */
export const sourceRangesOf = (service: Service, { kind, address }: Frontend): readonly Cidr[] =>
  kind !== 'node-port' && service.loadBalancerIps.includes(address)
    ? service.loadBalancerSourceRanges.filter((range) => cidrFamily(range) === familyOf(address))
    : [];

/** Elements by key. */
export type PacketElements = ReadonlyMap<ElementKey, SetElement>;
