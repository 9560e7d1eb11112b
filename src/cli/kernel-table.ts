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

/** Where something stands, worked out once and not at each comparison: numbers before texts. */
type Place = number | string;

/** IPv4 and a port are less than 2^48, and so one exact number; IPv6 is a text that sorts alike. */
const placeOf = (address: IpAddress, port: number): Place => {
  const bytes = ipToBytes(address);
  if (familyOf(address) === 'IPv4') return bytes.reduce((sum, byte) => sum * 256 + byte, 0) * 65_536 + port;
  return String.fromCharCode(...bytes, port);
};

const comparePlaces = (a: Place, b: Place): number => {
  if (typeof a === 'number') return typeof b === 'number' ? a - b : -1;
  if (typeof b === 'number') return 1;
  return a < b ? -1 : Number(a > b);
};

/** Of what has the same place. */
const compareIdentities = (a: VirtualServerIdentity, b: VirtualServerIdentity): number => {
  if (a.by === 'address' && b.by === 'address')
    return Number(a.protocol > b.protocol) - Number(a.protocol < b.protocol);
  if (a.by === 'fwmark' && b.by === 'fwmark')
    return a.fwmark - b.fwmark || Number(a.family > b.family) - Number(a.family < b.family);
  return Number(a.by === 'fwmark') - Number(b.by === 'fwmark');
};

/** Behind every address. */
const lastPlace: Place = '\uffff';

const identityPlace = (identity: VirtualServerIdentity): Place =>
  identity.by === 'address' ? placeOf(identity.address, identity.port) : lastPlace;

type RealServers = ObservedTable['realServers'];

const realServersInOrder = (realServers: RealServers): RealServers => {
  const placed: { readonly server: RealServerObservation; readonly place: Place }[] = [];
  let ordered = true;
  let before: Place = -1;
  for (const server of realServers.values()) {
    const place = placeOf(server.address, server.port);
    ordered &&= comparePlaces(before, place) <= 0;
    before = place;
    placed.push({ server, place });
  }
  if (ordered) return realServers;
  placed.sort((a, b) => comparePlaces(a.place, b.place));
  return new Map(placed.map(({ server }) => [server.key, server]));
};

/** In the order people look for them: IPv4 before IPv6, addresses and ports by number, fwmarks last. */
export const inIdentityOrder = <T>(
  items: readonly T[],
  identityOf: (item: T) => VirtualServerIdentity,
): readonly T[] =>
  items
    .map((item) => ({ item, identity: identityOf(item), place: identityPlace(identityOf(item)) }))
    .toSorted((a, b) => comparePlaces(a.place, b.place) || compareIdentities(a.identity, b.identity))
    .map(({ item }) => item);

/** In that order, real servers too. */
export const inAddressOrder = (tables: readonly ObservedTable[]): readonly ObservedTable[] =>
  inIdentityOrder(tables, ({ server }) => server.identity).map(({ server, realServers }) => ({
    server,
    realServers: realServersInOrder(realServers),
  }));
