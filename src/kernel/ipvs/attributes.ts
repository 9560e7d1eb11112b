import {
  attributes,
  attr,
  optional,
  received,
  type Decoded,
  type Encoded,
} from '../../netlink/codec/attributes.js';
import { AddressFamily } from '../../netlink/constants.js';
import { paddedAddressBytes } from '../../netlink/codec/address-bytes.js';
import { be16, cstring, enumeration, rawBytes, u16, u32, u64, u8 } from '../../netlink/codec/scalars.js';
import { struct } from '../../netlink/codec/struct.js';
import { syncDaemonAttributes } from './sync-daemons.js';

/** include/uapi/linux/ip_vs.h: IPVS_GENL_NAME, IPVS_GENL_VERSION */
export const familyName = 'IPVS';
export const familyVersion = 1;

/** include/uapi/linux/ip_vs.h: IPVS_CMD_* */
export const Command = {
  newService: 1,
  setService: 2,
  deleteService: 3,
  getService: 4,
  newDestination: 5,
  setDestination: 6,
  deleteDestination: 7,
  getDestination: 8,
  newDaemon: 9,
  deleteDaemon: 10,
  getDaemon: 11,
  setConfig: 12,
  getConfig: 13,
  setInfo: 14,
  getInfo: 15,
  zero: 16,
  flush: 17,
} as const;

/** include/uapi/linux/in.h: IPPROTO_* */
const transport = enumeration(u16, { TCP: 6, UDP: 17, SCTP: 132 });
const addressFamily = enumeration(u16, AddressFamily);

/** include/uapi/linux/ip_vs.h: IP_VS_CONN_F_MASQ … IP_VS_CONN_F_BYPASS, the values under IP_VS_CONN_F_FWD_MASK */
const forwarding = enumeration(u32, { masquerade: 0, local: 1, tunnel: 2, direct: 3, bypass: 4 });

/** include/uapi/linux/ip_vs.h: IP_VS_CONN_F_TUNNEL_TYPE_* */
const tunnelType = enumeration(u8, { ipip: 0, gue: 1, gre: 2 });

/** struct ip_vs_flags: the kernel sets the bits in the mask to the flags and keeps the others. */
const flagsAndMask = struct('flags', { flags: u32, mask: u32 });

/** include/uapi/linux/ip_vs.h: IPVS_STATS_ATTR_*, as IPVS_SVC_ATTR_STATS64 and IPVS_DEST_ATTR_STATS64 hold them */
export const statistics64 = attributes('statistics64', {
  connections: attr(1, u64),
  inPackets: attr(2, u64),
  outPackets: attr(3, u64),
  inBytes: attr(4, u64),
  outBytes: attr(5, u64),
  connectionsPerSecond: attr(6, u64),
  inPacketsPerSecond: attr(7, u64),
  outPacketsPerSecond: attr(8, u64),
  inBytesPerSecond: attr(9, u64),
  outBytesPerSecond: attr(10, u64),
});

/** The same from kernels before 4.1, with counters that wrap. */
export const statistics32 = attributes('statistics', {
  connections: attr(1, u32),
  inPackets: attr(2, u32),
  outPackets: attr(3, u32),
  inBytes: attr(4, u64),
  outBytes: attr(5, u64),
  connectionsPerSecond: attr(6, u32),
  inPacketsPerSecond: attr(7, u32),
  outPacketsPerSecond: attr(8, u32),
  inBytesPerSecond: attr(9, u32),
  outBytesPerSecond: attr(10, u32),
});

/** include/uapi/linux/ip_vs.h: IPVS_SVC_ATTR_* */
const serviceRows = {
  family: attr(1, addressFamily),
  protocol: optional(2, transport),
  address: optional(3, paddedAddressBytes),
  port: optional(4, be16),
  fwmark: optional(5, u32),
  scheduler: optional(6, cstring),
  flags: optional(7, flagsAndMask),
  timeoutSeconds: optional(8, u32),
  /** IPv4: a mask in network order; IPv6: a prefix length in host order. */
  netmask: optional(9, rawBytes(4)),
  persistenceEngine: optional(11, cstring),
  statistics: received(10, statistics32),
  statistics64: received(12, statistics64),
};

export const service = attributes('service', serviceRows);

/** include/uapi/linux/ip_vs.h: IPVS_DEST_ATTR_* */
const destinationRows = {
  address: attr(1, paddedAddressBytes),
  port: attr(2, be16),
  forwarding: optional(3, forwarding),
  weight: optional(4, u32),
  upperThreshold: optional(5, u32),
  lowerThreshold: optional(6, u32),
  /** Kernels before 3.18 leave it out: the service's family then. */
  family: optional(11, addressFamily),
  tunnelType: optional(13, tunnelType),
  tunnelPort: optional(14, be16),
  tunnelFlags: optional(15, u16),
  activeConnections: received(7, u32),
  inactiveConnections: received(8, u32),
  persistentConnections: received(9, u32),
  statistics: received(10, statistics32),
  statistics64: received(12, statistics64),
};

export const destination = attributes('destination', destinationRows);

const messageAttributeSet = (services: typeof service, destinations: typeof destination) =>
  attributes('ipvs', {
    service: optional(1, services),
    destination: optional(2, destinations),
    daemon: optional(3, syncDaemonAttributes),
    tcpSeconds: optional(4, u32),
    tcpFinSeconds: optional(5, u32),
    udpSeconds: optional(6, u32),
  });

/** include/uapi/linux/ip_vs.h: IPVS_CMD_ATTR_*, the outermost attributes of every message but the answer to GET_INFO */
export const messageAttributes = messageAttributeSet(service, destination);

/** Without the counters, which are most of a large table. */
export const messageAttributesWithoutStatistics = messageAttributeSet(
  attributes('service', serviceRows, ['statistics', 'statistics64']),
  attributes('destination', destinationRows, ['statistics', 'statistics64']),
);

/** include/uapi/linux/ip_vs.h: IPVS_INFO_ATTR_*, the outermost attributes of the answer to GET_INFO */
export const infoAttributes = attributes('ipvs-info', {
  version: received(1, u32),
  connectionTableSize: received(2, u32),
});

export type Service = Decoded<typeof service>;
export type ServiceValues = Encoded<typeof service>;
export type Destination = Decoded<typeof destination>;
export type DestinationValues = Encoded<typeof destination>;
