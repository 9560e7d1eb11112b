import { familyOf, ipToBytes, type IpAddress } from '../base/ip.js';
import type {
  RealServer,
  RealServerKey,
  VirtualServer,
  VirtualServerIdentity,
} from '../model/virtual-server.js';

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

const inPlaces = <T>(items: Iterable<T>, place: (item: T) => Place): readonly T[] => {
  const placed: { readonly item: T; readonly place: Place }[] = [];
  for (const item of items) placed.push({ item, place: place(item) });
  return placed.toSorted((a, b) => comparePlaces(a.place, b.place)).map(({ item }) => item);
};

const identityPlace = (identity: VirtualServerIdentity): Place =>
  identity.by === 'address' ? placeOf(identity.address, identity.port) : lastPlace;

/** In the order people look for them: IPv4 before IPv6, addresses and ports by number, fwmarks last. */
export const inIdentityOrder = <T>(
  items: readonly T[],
  identityOf: (item: T) => VirtualServerIdentity,
): readonly T[] =>
  items
    .map((item) => ({ item, identity: identityOf(item), place: identityPlace(identityOf(item)) }))
    .toSorted((a, b) => comparePlaces(a.place, b.place) || compareIdentities(a.identity, b.identity))
    .map(({ item }) => item);

/** Things in the order of their sockets, of several the first that differs. */
export const inSocketOrder = <T>(
  items: readonly T[],
  socketsOf: (item: T) => readonly (readonly [IpAddress, number])[],
): readonly T[] =>
  items
    .map((item) => ({ item, places: socketsOf(item).map((socket) => placeOf(...socket)) }))
    .toSorted((a, b) =>
      a.places.reduce<number>(
        (order, place, index) => order || comparePlaces(place, b.places[index] ?? lastPlace),
        0,
      ),
    )
    .map(({ item }) => item);

/** Addresses in that order. */
export const addressesInOrder = (addresses: Iterable<IpAddress>): readonly IpAddress[] =>
  inPlaces(addresses, (address) => placeOf(address, 0));

/** Real servers in that order. */
export const realServersInOrder = <Server extends RealServer>(servers: Iterable<Server>): readonly Server[] =>
  inPlaces(servers, ({ address, port }) => placeOf(address, port));

interface Table<Server, Real> {
  readonly server: Server;
  readonly realServers: ReadonlyMap<RealServerKey, Real>;
}

/** Virtual servers with their real servers in that order. */
export const tablesInOrder = <Server extends VirtualServer, Real extends RealServer>(
  tables: Iterable<Table<Server, Real>>,
): readonly Table<Server, Real>[] =>
  inIdentityOrder([...tables], ({ server }) => server.identity).map(({ server, realServers }) => ({
    server,
    realServers: new Map(realServersInOrder(realServers.values()).map((real) => [real.key, real])),
  }));
