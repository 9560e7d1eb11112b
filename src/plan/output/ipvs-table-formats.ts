import {
  familyOf,
  formatSocketAddress,
  hostPrefixLength,
  type Family,
  type IpAddress,
} from '../../base/ip.js';
import type { Protocol } from '../../base/protocol.js';
import type { BoundVips } from '../../model/settings/vip-binding.js';
import type {
  Forwarding,
  Persistence,
  RealServer,
  RealServerObservation,
  Tunnel,
  VirtualServer,
  VirtualServerIdentity,
  VirtualServerObservation,
  VirtualServerEntry,
} from '../../model/virtual-server.js';
import { familyOfServer } from '../../model/virtual-server.js';
import {
  addressesInOrder,
  inIdentityOrder,
  realServersInOrder,
  virtualServersInOrder,
} from './sort-order.js';

/** A real server in the JSON contract of `render` and `dump`. Thresholds (connections) are absent where there is no limit. */
export interface RealServerJson {
  readonly weight: number;
  readonly forwarding: Forwarding;
  readonly upperThreshold?: number;
  readonly lowerThreshold?: number;
}

/** A virtual server in the JSON contract; settings that are not set are absent. */
export interface VirtualServerJson {
  readonly scheduler: string;
  /** Seconds of persistence. */
  readonly persistent?: number;
  /** Prefix length of the client networks that persistence groups; absent for single clients. */
  readonly persistentPrefixLength?: number;
  readonly flags?: readonly string[];
  /** By `10.0.0.1:80` or `[fd00::1]:80`. */
  readonly realServers: Readonly<Record<string, RealServerJson>>;
}

/** The JSON contract of `render -o json` and `dump -o json`. */
export interface IpvsTableJson {
  /** By `TCP 10.96.0.1:443`, `UDP [fd00::1]:53`, `FWM 5 IPv4`. */
  readonly virtualServers: Readonly<Record<string, VirtualServerJson>>;
  /** As `10.96.0.1/32`. */
  readonly dummyAddresses: readonly string[];
  /** The VIPs that are local routes (vips.binding: route); absent where none is. */
  readonly localRoutes?: readonly string[];
}

/** Virtual servers in print order. */
export const sortedVirtualServers = <Table extends VirtualServerEntry>(
  tables: Iterable<Table>,
): readonly Table[] => inIdentityOrder([...tables], ({ server }) => server.identity);

/** Real servers in print order. */
export const sortedRealServers = <Server extends RealServer>(
  table: VirtualServerEntry<Server>,
): readonly Server[] => realServersInOrder(table.realServers.values());

/** The prefix length of persistence; undefined for single clients. */
const netmaskOf = (server: VirtualServer, persistence: Persistence): number | undefined => {
  const whole = hostPrefixLength(familyOfServer(server.identity));
  return persistence.prefixLength === whole ? undefined : persistence.prefixLength;
};

export const realServerJson = ({
  weight,
  forwarding,
  upperThreshold,
  lowerThreshold,
}: RealServer): RealServerJson => {
  // A fast path: nearly all have no thresholds.
  if (upperThreshold === 0 && lowerThreshold === 0) return { weight, forwarding };
  return {
    weight,
    forwarding,
    ...(upperThreshold === 0 ? {} : { upperThreshold }),
    ...(lowerThreshold === 0 ? {} : { lowerThreshold }),
  };
};

const persistenceJson = (server: VirtualServer): Partial<VirtualServerJson> => {
  if (server.persistence === undefined) return {};
  const prefixLength = netmaskOf(server, server.persistence);
  return {
    persistent: server.persistence.seconds,
    ...(prefixLength === undefined ? {} : { persistentPrefixLength: prefixLength }),
  };
};

/** Without its real servers. */
export const virtualServerSettingsJson = (server: VirtualServer): Omit<VirtualServerJson, 'realServers'> => ({
  scheduler: server.scheduler,
  ...persistenceJson(server),
  ...(server.flags.length === 0 ? {} : { flags: server.flags }),
});

export const virtualServerJson = (table: VirtualServerEntry): VirtualServerJson => ({
  ...virtualServerSettingsJson(table.server),
  realServers: Object.fromEntries(
    sortedRealServers(table).map((server) => [server.key, realServerJson(server)]),
  ),
});

/** `10.96.0.1/32`, `fd00::1/128`. */
export const formatHostAddress = (address: IpAddress): string =>
  `${address}/${hostPrefixLength(familyOf(address))}`;

const inOrder = (addresses: Iterable<IpAddress>): readonly string[] =>
  addressesInOrder(addresses).map(formatHostAddress);

/** In print order. */
export const boundVipsJson = ({
  address,
  route,
}: BoundVips): Pick<IpvsTableJson, 'dummyAddresses' | 'localRoutes'> => ({
  dummyAddresses: inOrder(address),
  ...(route.length === 0 ? {} : { localRoutes: inOrder(route) }),
});

/** The whole table in the JSON contract, in print order. */
export const ipvsTableJson = (tables: Iterable<VirtualServerEntry>, bound: BoundVips): IpvsTableJson => ({
  virtualServers: Object.fromEntries(
    sortedVirtualServers(tables).map((table) => [table.server.key, virtualServerJson(table)]),
  ),
  ...boundVipsJson(bound),
});

const serviceOptions: Readonly<Record<Protocol, string>> = {
  TCP: '-t',
  UDP: '-u',
  SCTP: '--sctp-service',
};

/** The options by which ipvsadm identifies a virtual server: `-t 10.96.0.1:443`, `-f 5`, `-f 5 -6`. */
export const ipvsadmService = (identity: VirtualServerIdentity): string => {
  if (identity.by === 'address')
    return `${serviceOptions[identity.protocol]} ${formatSocketAddress(identity.address, identity.port)}`;
  return `-f ${identity.fwmark}${identity.family === 'IPv6' ? ' -6' : ''}`;
};

/** ipvsadm takes a dotted mask for IPv4 and a prefix length for IPv6. */
const ipvsadmNetmask = (family: Family, prefixLength: number): string => {
  if (family === 'IPv6') return String(prefixLength);
  const octet = (index: number): number =>
    256 - 2 ** (8 - Math.min(8, Math.max(0, prefixLength - index * 8)));
  return [0, 1, 2, 3].map(octet).join('.');
};

const ipvsadmPersistence = (server: VirtualServer): readonly string[] => {
  if (server.persistence === undefined) return [];
  const prefixLength = netmaskOf(server, server.persistence);
  const mask =
    prefixLength === undefined ? [] : [`-M ${ipvsadmNetmask(familyOfServer(server.identity), prefixLength)}`];
  return [`-p ${server.persistence.seconds}`, ...mask];
};

const ipvsadmFlags = (server: VirtualServer): readonly string[] => {
  const schedulerFlags = server.flags.filter((flag) => flag !== 'ops');
  return [
    ...(server.flags.includes('ops') ? ['-o'] : []),
    ...(schedulerFlags.length === 0 ? [] : [`-b ${schedulerFlags.join(',')}`]),
  ];
};

/** The kernel sets `local` and `bypass` itself: ipvsadm has no option for them. */
const forwardingOptions: Readonly<Record<Forwarding, readonly string[]>> = {
  masquerade: ['-m'],
  direct: ['-g'],
  tunnel: ['-i'],
  local: [],
  bypass: [],
};

const thresholds = (server: RealServer): readonly string[] => [
  ...(server.upperThreshold === 0 ? [] : [`-x ${server.upperThreshold}`]),
  ...(server.lowerThreshold === 0 ? [] : [`-y ${server.lowerThreshold}`]),
];

/** A server with settings of the kernel that kube-ipvs never uses. */
type MaybeObserved<Server, Observation, Extra extends keyof Observation> = Server &
  Partial<Pick<Observation, Extra>>;

/** include/uapi/linux/ip_vs.h: IP_VS_TUNNEL_ENCAP_FLAG_*, as ipvsadm names them. */
const tunnelChecksum = (flags: number): string => {
  if ((flags & 2) !== 0) return '--tun-remcsum';
  return (flags & 1) === 0 ? '--tun-nocsum' : '--tun-csum';
};

const ipvsadmTunnel = (tunnel: Tunnel | undefined): readonly string[] => {
  if (tunnel === undefined) return [];
  return [
    `--tun-type ${tunnel.type}`,
    ...(tunnel.type === 'gue' ? [`--tun-port ${tunnel.port}`] : []),
    ...(tunnel.type === 'ipip' ? [] : [tunnelChecksum(tunnel.flags)]),
  ];
};

/** The line that adds the virtual server: `-A -t 10.96.0.1:443 -s rr -p 10800 -b mh-port`. */
export const ipvsadmVirtualServer = (
  server: MaybeObserved<VirtualServer, VirtualServerObservation, 'persistenceEngine'>,
): string =>
  [
    '-A',
    ipvsadmService(server.identity),
    `-s ${server.scheduler}`,
    ...ipvsadmPersistence(server),
    ...(server.persistenceEngine === undefined ? [] : [`--pe ${server.persistenceEngine}`]),
    ...ipvsadmFlags(server),
  ].join(' ');

/**
 * The line that adds the real server: `-a -t 10.96.0.1:443 -r 10.0.0.7:6443 -m -w 1`. It includes thresholds, which `ipvsadm -R`
 * reads although `ipvsadm -S` does not print them.
 */
export const ipvsadmRealServer = (
  of: VirtualServerIdentity,
  server: MaybeObserved<RealServer, RealServerObservation, 'tunnel'>,
): string =>
  [
    '-a',
    ipvsadmService(of),
    `-r ${server.key}`,
    ...forwardingOptions[server.forwarding],
    `-w ${server.weight}`,
    ...ipvsadmTunnel(server.tunnel),
    ...thresholds(server),
  ].join(' ');

/** The table as `ipvsadm -Sn` prints it and `ipvsadm -R` reads it, in the order given: a line each, with a newline at the end. */
export function* ipvsadmLines(tables: Iterable<VirtualServerEntry>): Iterable<string> {
  for (const { server, realServers } of tables) {
    yield `${ipvsadmVirtualServer(server)}\n`;
    for (const real of realServers.values()) yield `${ipvsadmRealServer(server.identity, real)}\n`;
  }
}

/** The same as one text, in the order of every table. */
export const ipvsadmText = (tables: Iterable<VirtualServerEntry>): string =>
  [...ipvsadmLines(virtualServersInOrder(tables))].join('');
