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

/** Frontends whose flows one dump returns. */
export interface FrontendGroup {
  readonly query: FlowQuery;
  readonly frontends: ReadonlyMap<VirtualServerKey, ServedFrontend>;
}

interface Members {
  readonly family: Family;
  readonly protocol: Protocol;
  readonly addresses: Set<IpAddress>;
  readonly ports: Set<number>;
  readonly frontends: Map<VirtualServerKey, ServedFrontend>;
}

const onlyOne = <T>(values: ReadonlySet<T>): T | undefined => {
  const [value] = values;
  return values.size === 1 ? value : undefined;
};

/**
 * Groups frontends by family and protocol, because the kernel walks its whole table for each dump. Of two
 * frontends with the same key, the last one wins.
 */
export const frontendGroups = (frontends: Iterable<ServedFrontend>): readonly FrontendGroup[] => {
  const groups = new Map<string, Members>();
  for (const frontend of frontends) {
    const { identity } = frontend;
    if (identity.by !== 'address') continue;
    const { address, port, protocol } = identity;
    const family = familyOf(address);
    const name = `${family} ${protocol}`;
    const members = groups.get(name) ?? {
      family,
      protocol,
      addresses: new Set(),
      ports: new Set(),
      frontends: new Map(),
    };
    groups.set(name, members);
    members.addresses.add(address);
    members.ports.add(port);
    members.frontends.set(virtualServerKey(identity), frontend);
  }
  return [...groups.values()].map(({ family, protocol, addresses, ports, frontends: ofGroup }) => ({
    query: { family, protocol, destination: onlyOne(addresses), destinationPort: onlyOne(ports) },
    frontends: ofGroup,
  }));
};

/**
 * Whether the flow is not translated. Outside zone 0, such flows are requests that Open vSwitch tracks on
 * their way to kube-ipvs.
 */
const isUntranslated = ({ original, reply }: Flow): boolean =>
  reply.source === original.destination && reply.sourcePort === original.destinationPort;

/**
 * The flows to the address and port of a frontend whose replies come from none of its real servers: from a
 * former one, or from the frontend address itself if the flow is older than the frontend. Flows to other
 * addresses are never stale (kube-proxy treats a node port on every address as its own: kube-proxy-ipvs §8
 * Q52).
 */
export const staleFlows = (
  flows: Iterable<Flow>,
  frontends: ReadonlyMap<VirtualServerKey, ServedFrontend>,
): readonly Flow[] => {
  const stale: Flow[] = [];
  for (const flow of flows) {
    const { protocol, original, reply, zone } = flow;
    if (zone !== 0 && isUntranslated(flow)) continue;
    const key = virtualServerKey({
      by: 'address',
      protocol,
      address: original.destination,
      port: original.destinationPort,
    });
    const frontend = frontends.get(key);
    if (frontend !== undefined && !frontend.realServers.has(realServerKey(reply.source, reply.sourcePort)))
      stale.push(flow);
  }
  return stale;
};
