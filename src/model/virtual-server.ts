import type { Brand } from '../base/brand.js';
import { familyOf, formatSocketAddress, type Family, type IpAddress } from '../base/ip.js';
import type { Endpoint } from './endpoint.js';
import { protocolOfMark } from './firewall-mark.js';
import type { PaceSettings } from './pace.js';
import { protocols, type Protocol } from '../base/protocol.js';

/** `TCP 10.96.0.1:443`, `UDP [fd00::1]:53`, `FWM 5 IPv4`: one text per identity. */
export type VirtualServerKey = Brand<string, 'VirtualServerKey'>;
/** `10.244.0.7:8080`, `[fd00::7]:8080`. */
export type RealServerKey = Brand<string, 'RealServerKey'>;

/** ipvsadm's words for the flag bits a user can set (include/uapi/linux/ip_vs.h); the scheduler decides which word a bit has. */
export type VirtualServerFlag =
  | 'ops'
  | 'sh-fallback'
  | 'sh-port'
  | 'mh-fallback'
  | 'mh-port'
  | 'flag-1'
  | 'flag-2'
  | 'flag-3';

export type VirtualServerIdentity =
  | {
      readonly by: 'address';
      readonly protocol: Protocol;
      readonly address: IpAddress;
      readonly port: number;
    }
  | { readonly by: 'fwmark'; readonly fwmark: number; readonly family: Family };

export interface Persistence {
  readonly seconds: number;
  /** Clients within one network of this prefix length share their real server; 32 or 128: each client has its own. */
  readonly prefixLength: number;
}

export interface VirtualServer {
  readonly key: VirtualServerKey;
  readonly identity: VirtualServerIdentity;
  readonly scheduler: string;
  readonly persistence: Persistence | undefined;
  /** Sorted, so that equal sets are equal lists. */
  readonly flags: readonly VirtualServerFlag[];
}

export type Forwarding = 'masquerade' | 'local' | 'tunnel' | 'direct' | 'bypass';

export interface RealServer {
  readonly key: RealServerKey;
  readonly address: IpAddress;
  readonly port: number;
  /** 0: gets no new connections. */
  readonly weight: number;
  readonly forwarding: Forwarding;
  /** Connections; 0: no limit. */
  readonly upperThreshold: number;
  readonly lowerThreshold: number;
}

/** A desired real server, with the endpoint that it stands for. */
export interface DesiredRealServer extends RealServer {
  readonly endpoint: Endpoint;
}

/** Statistics of the kernel (IPVS_STATS_ATTR_*): totals since creation, and rates per second. */
export interface Statistics {
  readonly connections: bigint;
  readonly inPackets: bigint;
  readonly outPackets: bigint;
  readonly inBytes: bigint;
  readonly outBytes: bigint;
  readonly connectionsPerSecond: bigint;
  readonly inPacketsPerSecond: bigint;
  readonly outPacketsPerSecond: bigint;
  readonly inBytesPerSecond: bigint;
  readonly outBytesPerSecond: bigint;
}

/** How forwarding `tunnel` wraps packets (IP_VS_CONN_F_TUNNEL_TYPE_*). */
export interface Tunnel {
  readonly type: 'ipip' | 'gue' | 'gre';
  /** UDP port of GUE; 0 for the others. */
  readonly port: number;
  /** IP_VS_TUNNEL_ENCAP_FLAG_*: checksums. */
  readonly flags: number;
}

export interface RealServerObservation extends RealServer {
  readonly activeConnections: number;
  readonly inactiveConnections: number;
  readonly persistentConnections: number;
  /** Only for forwarding `tunnel`, from kernel 5.3 on. */
  readonly tunnel?: Tunnel | undefined;
  readonly statistics: Statistics | undefined;
}

export interface VirtualServerObservation extends VirtualServer {
  /** ipvsadm's --pe, as `sip`; kube-ipvs sets none. */
  readonly persistenceEngine?: string | undefined;
  readonly statistics: Statistics | undefined;
}

/** A virtual server with all its real servers. */
export interface VirtualServerEntry<Server extends RealServer = RealServer> {
  readonly server: VirtualServer;
  readonly realServers: ReadonlyMap<RealServerKey, Server>;
}

/** A desired virtual server. */
export interface DesiredVirtualServer<Server extends RealServer = RealServer>
  extends VirtualServerEntry<Server> {
  /** How long its real servers may drain; undefined: as configured for the protocol. */
  readonly drainMilliseconds?: number | undefined;
  /** How the weights of its real servers change over time; undefined: they do not. */
  readonly pace?: PaceSettings | undefined;
}

export const virtualServerKey = (identity: VirtualServerIdentity): VirtualServerKey =>
  (identity.by === 'address'
    ? `${identity.protocol} ${formatSocketAddress(identity.address, identity.port)}`
    : `FWM ${identity.fwmark} ${identity.family}`) as VirtualServerKey;

/** Undefined for a virtual server on a firewall mark. */
export const addressOfServer = (identity: VirtualServerIdentity): IpAddress | undefined =>
  identity.by === 'address' ? identity.address : undefined;

export const familyOfServer = (identity: VirtualServerIdentity): Family =>
  identity.by === 'address' ? familyOf(identity.address) : identity.family;

/** The protocol of the virtual server; undefined for one on a firewall mark of another program. */
export const protocolOfServer = (identity: VirtualServerIdentity): Protocol | undefined =>
  identity.by === 'address' ? identity.protocol : protocolOfMark(identity.fwmark);

/** The same for its key. */
export const protocolOfKey = (key: VirtualServerKey): Protocol | undefined =>
  key.startsWith('FWM ')
    ? protocolOfMark(Number(key.split(' ', 2)[1]))
    : protocols.find((protocol) => key.startsWith(`${protocol} `));

export const realServerKey = (address: IpAddress, port: number): RealServerKey =>
  formatSocketAddress(address, port) as RealServerKey;

const sameFlags = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((flag, index) => flag === b[index]);

/** Whether two virtual servers with the same key have the same settings. */
export const sameVirtualServer = (a: VirtualServer, b: VirtualServer): boolean =>
  a.scheduler === b.scheduler &&
  a.persistence?.seconds === b.persistence?.seconds &&
  a.persistence?.prefixLength === b.persistence?.prefixLength &&
  sameFlags(a.flags, b.flags);

/** Whether two real servers with the same key have the same settings. */
export const sameRealServer = (a: RealServer, b: RealServer): boolean =>
  a.weight === b.weight &&
  a.forwarding === b.forwarding &&
  a.upperThreshold === b.upperThreshold &&
  a.lowerThreshold === b.lowerThreshold;
