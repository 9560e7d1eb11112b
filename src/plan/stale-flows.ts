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

/** A virtual server, by address, with all real servers that may be answering its clients: also those that drain. None: it is gone, or has none. */
export interface ServedFrontend {
  readonly identity: VirtualServerIdentity;
  readonly realServers: ReadonlySet<RealServerKey>;
}

/** Frontends whose flows one dump finds. */
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

/** The frontends by family and protocol; of two on one key the last counts. The kernel walks its whole table for each group. */
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

/** Whether it was taken in as it came. Outside of zone 0 that is how an Open vSwitch sees requests on their way to us. */
const isUntranslated = ({ original, reply }: Flow): boolean =>
  reply.source === original.destination && reply.sourcePort === original.destinationPort;

/**
 * The flows to exactly one of the frontends, address and port, that are not answered by one of its real servers: by one that
 * left, or by the frontend itself, as before it was one, so that the kernel goes on sending their packets there. Flows to
 * anything else are never among them, whatever their port (kube-proxy takes a node port on every address for its own:
 * kube-proxy-ipvs §8 Q52).
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
