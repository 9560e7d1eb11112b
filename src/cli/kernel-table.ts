import { familyOf, ipToBytes, type IpAddress } from '../base/ip.js';
import type {
  RealServerKey,
  RealServerObservation,
  VirtualServerIdentity,
  VirtualServerObservation,
} from '../model/virtual-server.js';

/** A virtual server of the kernel with its real servers and all counters. */
export interface ObservedTable {
  readonly server: VirtualServerObservation;
  readonly realServers: ReadonlyMap<RealServerKey, RealServerObservation>;
}

/** What the kernel holds: virtual servers, and the addresses on kube-ipvs0. */
export interface KernelTable {
  readonly tables: readonly ObservedTable[];
  readonly dummyAddresses: readonly IpAddress[];
}

const compareAddresses = (a: IpAddress, b: IpAddress): number =>
  familyOf(a) === familyOf(b)
    ? Buffer.compare(ipToBytes(a), ipToBytes(b))
    : Number(familyOf(a) === 'IPv6') - Number(familyOf(b) === 'IPv6');

/** The order in which tables are printed. */
export const compareIdentities = (a: VirtualServerIdentity, b: VirtualServerIdentity): number => {
  if (a.by === 'address' && b.by === 'address')
    return (
      compareAddresses(a.address, b.address) ||
      a.port - b.port ||
      Number(a.protocol > b.protocol) - Number(a.protocol < b.protocol)
    );
  if (a.by === 'fwmark' && b.by === 'fwmark')
    return a.fwmark - b.fwmark || Number(a.family > b.family) - Number(a.family < b.family);
  return Number(a.by === 'fwmark') - Number(b.by === 'fwmark');
};

const realServersInOrder = (table: ObservedTable): readonly RealServerObservation[] =>
  [...table.realServers.values()].toSorted(
    (a, b) => compareAddresses(a.address, b.address) || a.port - b.port,
  );

/** In the order people look for them, real servers too: IPv4 before IPv6, addresses and ports by number, fwmarks last. */
export const inAddressOrder = (tables: readonly ObservedTable[]): readonly ObservedTable[] =>
  tables
    .toSorted((a, b) => compareIdentities(a.server.identity, b.server.identity))
    .map((table) => ({
      server: table.server,
      realServers: new Map(realServersInOrder(table).map((server) => [server.key, server])),
    }));
