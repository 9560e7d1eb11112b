import { familyOf, hostPrefixLength, ipFromBytes, type Family, type IpAddress } from '../../base/ip.js';
import {
  realServerKey,
  virtualServerKey,
  type Persistence,
  type RealServer,
  type RealServerObservation,
  type Statistics,
  type Tunnel,
  type VirtualServer,
  type VirtualServerIdentity,
  type VirtualServerObservation,
} from '../../model/virtual-server.js';
import { hostIsLittleEndian } from '../../netlink/constants.js';
import { ProtocolError } from '../../netlink/errors.js';
import type { Destination, DestinationValues, Service, ServiceValues } from './attributes.js';
import { flagBits, flagWords, ServiceFlag } from './flags.js';

/** The family of a virtual server's address. */
export const identityFamily = (identity: VirtualServerIdentity): Family =>
  identity.by === 'fwmark' ? identity.family : familyOf(identity.address);

const uint32Bytes = (value: number, littleEndian: boolean): Uint8Array => {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, littleEndian);
  return bytes;
};

/** IPVS_SVC_ATTR_NETMASK: IPv4 has a mask in network order there, IPv6 a prefix length in host order. */
export const netmaskBytes = (family: Family, prefixLength: number): Uint8Array => {
  if (!Number.isInteger(prefixLength) || prefixLength < 0 || prefixLength > hostPrefixLength(family))
    throw new ProtocolError(`${prefixLength} is not a valid prefix length for ${family}`, 'service.netmask');
  if (family === 'IPv6') return uint32Bytes(prefixLength, hostIsLittleEndian);
  return uint32Bytes(prefixLength === 0 ? 0 : (0xffffffff << (32 - prefixLength)) >>> 0, false);
};

/** The netmask of single clients, by far the most frequent. */
const hostNetmask: Readonly<Record<Family, Uint8Array>> = {
  IPv4: netmaskBytes('IPv4', 32),
  IPv6: netmaskBytes('IPv6', 128),
};

/** The reverse. A mask with holes, which ipvsadm can set, counts its one bits. */
export const prefixLengthOf = (family: Family, netmask: Uint8Array): number => {
  const view = new DataView(netmask.buffer, netmask.byteOffset, 4);
  if (family === 'IPv6') return view.getUint32(0, hostIsLittleEndian);
  return view.getUint32(0, false).toString(2).replaceAll('0', '').length;
};

/** The attributes that identify a virtual server in a request. */
export const identityValues = (identity: VirtualServerIdentity): ServiceValues =>
  identity.by === 'fwmark'
    ? { family: identity.family, fwmark: identity.fwmark }
    : {
        family: familyOf(identity.address),
        protocol: identity.protocol,
        address: identity.address,
        port: identity.port,
      };

/** All attributes, which the kernel requires for adding and changing. */
export const virtualServerValues = (server: VirtualServer): ServiceValues => {
  const { persistence } = server;
  const family = identityFamily(server.identity);
  const persistent = persistence === undefined ? 0 : ServiceFlag.persistent;
  return {
    ...identityValues(server.identity),
    scheduler: server.scheduler,
    flags: { flags: flagBits(server.flags) | persistent, mask: 0xffffffff },
    timeoutSeconds: persistence?.seconds ?? 0,
    netmask: persistence === undefined ? hostNetmask[family] : netmaskBytes(family, persistence.prefixLength),
  };
};

export const realServerValues = (server: RealServer): DestinationValues => ({
  address: server.address,
  port: server.port,
  forwarding: server.forwarding,
  weight: server.weight,
  upperThreshold: server.upperThreshold,
  lowerThreshold: server.lowerThreshold,
  family: familyOf(server.address),
});

/** The attributes that identify a real server for its removal. */
export const realServerIdentityValues = (server: RealServer): DestinationValues => ({
  address: server.address,
  port: server.port,
  family: familyOf(server.address),
});

const required = <T>(value: T | undefined, path: string): T => {
  if (value === undefined) throw new ProtocolError('is missing or unknown', path);
  return value;
};

const addressFrom = (family: Family, bytes: Uint8Array, path: string): IpAddress => {
  if (family === 'IPv4') return ipFromBytes(bytes.subarray(0, 4));
  if (bytes.length !== 16) throw new ProtocolError(`an IPv6 address of ${bytes.length} bytes`, path);
  return ipFromBytes(bytes);
};

const ipFamily = (family: Service['family'] | undefined, path: string): Family => {
  if (family === 'IPv4' || family === 'IPv6') return family;
  throw new ProtocolError('is neither IPv4 nor IPv6', path);
};

const identityFrom = (service: Service): VirtualServerIdentity => {
  const family = ipFamily(service.family, 'service.family');
  if (service.fwmark !== undefined && service.fwmark !== 0)
    return { by: 'fwmark', fwmark: service.fwmark, family };
  return {
    by: 'address',
    protocol: required(service.protocol, 'service.protocol'),
    address: addressFrom(family, required(service.address, 'service.address'), 'service.address'),
    port: required(service.port, 'service.port'),
  };
};

const persistenceFrom = (service: Service, family: Family): Persistence | undefined => {
  if (((service.flags?.flags ?? 0) & ServiceFlag.persistent) === 0) return undefined;
  return {
    seconds: required(service.timeoutSeconds, 'service.timeoutSeconds'),
    prefixLength:
      service.netmask === undefined ? hostPrefixLength(family) : prefixLengthOf(family, service.netmask),
  };
};

/** A ProtocolError where an attribute that the kernel always sends is missing. */
export const virtualServerFrom = (service: Service): VirtualServerObservation => {
  const identity = identityFrom(service);
  const scheduler = required(service.scheduler, 'service.scheduler');
  return {
    key: virtualServerKey(identity),
    identity,
    scheduler,
    persistence: persistenceFrom(service, identityFamily(identity)),
    flags: flagWords(service.flags?.flags ?? 0, scheduler),
    persistenceEngine: service.persistenceEngine,
    statistics: statisticsFrom(service),
  };
};

const tunnelFrom = (destination: Destination): Tunnel | undefined => {
  if (destination.forwarding !== 'tunnel' || destination.tunnelType === undefined) return undefined;
  return {
    type: destination.tunnelType,
    port: destination.tunnelPort ?? 0,
    flags: destination.tunnelFlags ?? 0,
  };
};

/** `of` has the family where an old kernel leaves it out. A ProtocolError where an attribute that the kernel always sends is missing. */
export const realServerFrom = (
  destination: Destination,
  of: VirtualServerIdentity,
): RealServerObservation => {
  const family = ipFamily(destination.family ?? identityFamily(of), 'destination.family');
  const address = addressFrom(family, destination.address, 'destination.address');
  return {
    key: realServerKey(address, destination.port),
    address,
    port: destination.port,
    weight: required(destination.weight, 'destination.weight'),
    forwarding: required(destination.forwarding, 'destination.forwarding'),
    upperThreshold: destination.upperThreshold ?? 0,
    lowerThreshold: destination.lowerThreshold ?? 0,
    activeConnections: destination.activeConnections ?? 0,
    inactiveConnections: destination.inactiveConnections ?? 0,
    persistentConnections: destination.persistentConnections ?? 0,
    tunnel: tunnelFrom(destination),
    statistics: statisticsFrom(destination),
  };
};

const statisticsFrom = (source: Service | Destination): Statistics | undefined => {
  if (source.statistics64 !== undefined) return source.statistics64;
  if (source.statistics === undefined) return undefined;
  const { statistics } = source;
  return {
    connections: BigInt(statistics.connections),
    inPackets: BigInt(statistics.inPackets),
    outPackets: BigInt(statistics.outPackets),
    inBytes: statistics.inBytes,
    outBytes: statistics.outBytes,
    connectionsPerSecond: BigInt(statistics.connectionsPerSecond),
    inPacketsPerSecond: BigInt(statistics.inPacketsPerSecond),
    outPacketsPerSecond: BigInt(statistics.outPacketsPerSecond),
    inBytesPerSecond: BigInt(statistics.inBytesPerSecond),
    outBytesPerSecond: BigInt(statistics.outBytesPerSecond),
  };
};
