import {
  familyOf,
  isIpv6LinkLocal,
  isLoopback,
  parseCidr,
  type Cidr,
  type Family,
  type IpAddress,
} from '../../base/ip.js';
import { noBinding, onlyBinding } from '../../model/settings/vip-binding.js';
import { nodePortOfMark } from '../../model/firewall-mark.js';
import {
  virtualServerKey,
  type VirtualServerIdentity,
  type VirtualServerKey,
} from '../../model/virtual-server.js';
import { nodePortAddressSet } from '../../plan/packet-rules/packet-sets.js';
import { nodePortServerAt } from '../../plan/shared-node-port-keys.js';
import { packetSourceFor, podTrafficFromRules, type SourceOption } from './packet-source.js';
import type { AddressIdentity, KernelFacts, ReportFacts, ServedVirtualServer } from './facts.js';
import { tracePacket, type Destination, type Trace } from './trace-packet.js';

/** At most this many virtual servers are traced. */
export const maximumTraces = 8;

const rangesOf = (
  { service }: ReportFacts,
  served: ServedVirtualServer | undefined,
  to: Destination,
): readonly Cidr[] => {
  if (service === undefined || served === undefined || served.frontend === 'NodePort') return [];
  if (!service.service.loadBalancerIps.includes(to.address)) return [];
  return service.service.loadBalancerSourceRanges
    .flatMap((text) => parseCidr(text) ?? [])
    .filter(({ address }) => familyOf(address) === familyOf(to.address));
};

const obstaclesOf = ({ node }: ReportFacts, family: Family): readonly string[] => {
  const ids = [family === 'IPv4' ? 'ipv4-forwarding' : 'ipv6-forwarding', 'vs-conntrack', 'forward-policy'];
  return node.filter(({ id, result }) => result === 'fail' && ids.includes(id)).map(({ seen }) => seen);
};

const locationText = (names: ServedVirtualServer['realServers'][string] | undefined): string =>
  [names?.pod?.split('/')[1], names?.node === undefined ? undefined : `on ${names.node}`]
    .filter((part) => part !== undefined)
    .join(' ');

/**
 * The source of the node's own packets to a VIP: undefined for the VIP itself. Linux never takes an IPv6 VIP that is only a local
 * route as a source; this address stands for those that it may take.
 */
const ownSource = (to: IpAddress, { vips, addresses }: KernelFacts): IpAddress | undefined => {
  if (familyOf(to) === 'IPv4' || vips.get(to) !== onlyBinding('route')) return undefined;
  return [...addresses].find(
    (address) =>
      familyOf(address) === 'IPv6' && !vips.has(address) && !isLoopback(address) && !isIpv6LinkLocal(address),
  );
};

/**
 * The virtual server with the key, the one on a firewall mark that serves its requests from the cluster or all to its
 * node port, and the names of the real servers of both.
 */
const servedAt = (key: VirtualServerKey, facts: ReportFacts) => {
  const served = facts.served.find((one) => one.key === key);
  const markedKey = served === undefined ? nodePortServerAt(key)?.server : served.inCluster;
  const marked = facts.served.find((one) => one.key === markedKey);
  return { served, markedKey, names: { ...served?.realServers, ...marked?.realServers } };
};

const traceTo = (
  to: AddressIdentity,
  from: SourceOption,
  facts: ReportFacts,
  kernel: KernelFacts,
): Trace | undefined => {
  const family = familyOf(to.address);
  const key = virtualServerKey(to);
  const rules = kernel.rules[family];
  const { service, endpoints } = facts;
  const { served, markedKey, names } = servedAt(key, facts);
  const isLocal = (address: typeof to.address): boolean => kernel.addresses.has(address);
  const isThisNode = (node: string | undefined): boolean => node === service?.node.name;
  const source = packetSourceFor(from, {
    family,
    podTraffic: rules && podTrafficFromRules(rules.table),
    isLocal,
    isPodLocal: (address) => {
      const endpoint = endpoints.find((one) => one.address === address);
      return endpoint && isThisNode(endpoint.node);
    },
    ranges: rangesOf(facts, served, to),
  });
  if (source === undefined) return undefined;
  return tracePacket({
    to,
    from: source.who === 'node' ? { ...source, address: ownSource(to.address, kernel) } : source,
    rules,
    isLocal,
    dummyInterface: kernel.dummyInterface,
    bindings: kernel.vips.get(to.address) ?? noBinding,
    virtualServer: kernel.virtualServers.get(key),
    markedServer: markedKey === undefined ? undefined : kernel.virtualServers.get(markedKey),
    nameOf: ({ key: real }) => locationText(names[real]),
    isOnThisNode: ({ key: real }) =>
      names[real]?.node === undefined ? undefined : isThisNode(names[real]?.node),
    obstacles: obstaclesOf(facts, family),
  });
};

/** What a virtual server serves: its address, or those of the node that share the node port of its mark. */
const destinationsOf = (
  identity: VirtualServerIdentity,
  { rules, addresses }: KernelFacts,
): readonly AddressIdentity[] => {
  if (identity.by === 'address') return [identity];
  const nodePort = nodePortOfMark(identity.fwmark);
  if (nodePort === undefined) return [];
  return [...addresses]
    .filter((address) => familyOf(address) === identity.family)
    .filter((address) => rules[identity.family]?.hasElement(nodePortAddressSet, [address]) === true)
    .map((address) => ({ by: 'address', address, ...nodePort }) as const);
};

const identitiesOf = ({ served }: ReportFacts, kernel: KernelFacts): readonly AddressIdentity[] => {
  const identities =
    served.length > 0
      ? served.map(({ identity }) => identity)
      : [...kernel.virtualServers.values()].map(({ server }) => server.identity);
  return identities.flatMap((identity) => destinationsOf(identity, kernel));
};

/** Traces a packet to each selected virtual server; to the target itself if there is none. */
export const traceTargets = (
  facts: ReportFacts,
  from: SourceOption,
  target: AddressIdentity | undefined,
): readonly Trace[] => {
  if (!('value' in facts.kernel)) return [];
  const kernel = facts.kernel.value;
  const identities = identitiesOf(facts, kernel);
  const exact = identities.filter(({ address, port }) => address === target?.address && port === target.port);
  const destinations =
    identities.length === 0 && target !== undefined ? [target] : exact.length > 0 ? exact : identities;
  return destinations.flatMap((to) => traceTo(to, from, facts, kernel) ?? []).slice(0, maximumTraces);
};
