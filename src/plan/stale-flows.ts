import { familyOf, type Family, type IpAddress } from '../base/ip.js';
import type { Flow, FlowQuery } from '../model/flow.js';
import type { Protocol } from '../base/protocol.js';
import {
  realServerKey,
  virtualServerKey,
  type RealServerKey,
  type VirtualServerIdentity,
  type VirtualServerKey,
} from '../model/virtual-server.js';

/**
 * A virtual server identified by address, and all its real servers, draining ones included; empty if the
 * virtual server does not exist or has none.
 */
export interface ServedFrontend {
  readonly identity: VirtualServerIdentity;
  readonly realServers: ReadonlySet<RealServerKey>;
}

/** A real server that was deleted from a virtual server on a firewall mark whose frontends are not known any more. */
export interface DeletedRealServer {
  readonly family: Family;
  readonly protocol: Protocol;
  readonly realServer: RealServerKey;
}

/** Frontends and deleted real servers whose flows one dump returns. */
export interface FlowGroup {
  readonly query: FlowQuery;
  readonly frontends: ReadonlyMap<VirtualServerKey, ServedFrontend>;
  readonly deletedRealServers: ReadonlySet<RealServerKey>;
}

interface Members {
  readonly family: Family;
  readonly protocol: Protocol;
  readonly addresses: Set<IpAddress>;
  readonly ports: Set<number>;
  readonly frontends: Map<VirtualServerKey, ServedFrontend>;
  readonly deletedRealServers: Set<RealServerKey>;
}

const newMembers = (family: Family, protocol: Protocol): Members => ({
  family,
  protocol,
  addresses: new Set(),
  ports: new Set(),
  frontends: new Map(),
  deletedRealServers: new Set(),
});

/** One dump for all members; of deleted real servers the destination of the flows is not known. */
const flowGroup = ({
  family,
  protocol,
  addresses,
  ports,
  frontends,
  deletedRealServers,
}: Members): FlowGroup => ({
  query:
    deletedRealServers.size > 0
      ? { family, protocol }
      : { family, protocol, destination: onlyOne(addresses), destinationPort: onlyOne(ports) },
  frontends,
  deletedRealServers,
});

const onlyOne = <T>(values: ReadonlySet<T>): T | undefined => {
  const [value] = values;
  return values.size === 1 ? value : undefined;
};

/**
 * Groups frontends and deleted real servers by family and protocol, because the kernel walks its whole table for each
 * dump. Of two frontends with the same key, the last one wins.
 */
export const flowGroups = (
  frontends: Iterable<ServedFrontend>,
  deletedRealServers: Iterable<DeletedRealServer> = [],
): readonly FlowGroup[] => {
  const groups = new Map<string, Members>();
  const membersOf = (family: Family, protocol: Protocol): Members => {
    const name = `${family} ${protocol}`;
    const members = groups.get(name) ?? newMembers(family, protocol);
    groups.set(name, members);
    return members;
  };
  for (const frontend of frontends) {
    const { identity } = frontend;
    if (identity.by !== 'address') continue;
    const members = membersOf(familyOf(identity.address), identity.protocol);
    members.addresses.add(identity.address);
    members.ports.add(identity.port);
    members.frontends.set(virtualServerKey(identity), frontend);
  }
  for (const { family, protocol, realServer } of deletedRealServers)
    membersOf(family, protocol).deletedRealServers.add(realServer);
  return [...groups.values()].map(flowGroup);
};

/**
 * Whether the flow is not translated. Outside zone 0, such flows are requests that Open vSwitch tracks on
 * their way to kube-ipvs.
 */
const isUntranslated = ({ original, reply }: Flow): boolean =>
  reply.source === original.destination && reply.sourcePort === original.destinationPort;

/** Whether the real server serves the frontend now. */
export type IsServedBy = (frontend: VirtualServerIdentity, realServer: RealServerKey) => boolean;

/**
 * The flows to the address and port of a frontend whose replies come from none of its real servers: from a
 * former one, or from the frontend address itself if the flow is older than the frontend. Of flows to other
 * addresses (kube-proxy treats a node port on every address as its own: kube-proxy-ipvs §8 Q52), those are stale
 * that IPVS, not NAT, leads to a deleted real server which does not serve that address any more.
 */
export const staleFlows = (
  flows: Iterable<Flow>,
  { frontends, deletedRealServers }: Pick<FlowGroup, 'frontends' | 'deletedRealServers'>,
  isServedBy: IsServedBy,
): readonly Flow[] => {
  const isStale = (flow: Flow): boolean => {
    const { protocol, original, reply, zone } = flow;
    const isUntouched = isUntranslated(flow);
    if (zone !== 0 && isUntouched) return false;
    const realServer = realServerKey(reply.source, reply.sourcePort);
    const { destination: address, destinationPort: port } = original;
    const identity = { by: 'address', protocol, address, port } as const;
    const frontend = frontends.get(virtualServerKey(identity));
    if (frontend !== undefined) return !frontend.realServers.has(realServer);
    if (isUntouched || flow.hasDestinationNat || !deletedRealServers.has(realServer)) return false;
    return !isServedBy(identity, realServer);
  };
  return [...flows].filter(isStale);
};
