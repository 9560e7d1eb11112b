import { familyOf, ipToBytes, type IpAddress } from '../../base/ip.js';
import type {
  RealServer,
  RealServerKey,
  VirtualServer,
  VirtualServerIdentity,
} from '../../model/virtual-server.js';

/** Computed once for each item. Numbers come before texts. */
type SortKey = number | string;

/** IPv4 with a port is a number below 2^48; IPv6 with a port is a text that sorts in the same order. */
const sortKeyOf = (address: IpAddress, port: number): SortKey => {
  const bytes = ipToBytes(address);
  if (familyOf(address) === 'IPv4') return bytes.reduce((sum, byte) => sum * 256 + byte, 0) * 65_536 + port;
  return String.fromCharCode(...bytes, port);
};

const compareSortKeys = (a: SortKey, b: SortKey): number => {
  if (typeof a === 'number') return typeof b === 'number' ? a - b : -1;
  if (typeof b === 'number') return 1;
  return a < b ? -1 : Number(a > b);
};

/** For equal sort keys. */
const compareIdentities = (a: VirtualServerIdentity, b: VirtualServerIdentity): number => {
  if (a.by === 'address' && b.by === 'address')
    return Number(a.protocol > b.protocol) - Number(a.protocol < b.protocol);
  if (a.by === 'fwmark' && b.by === 'fwmark')
    return a.fwmark - b.fwmark || Number(a.family > b.family) - Number(a.family < b.family);
  return Number(a.by === 'fwmark') - Number(b.by === 'fwmark');
};

/** After every address. */
const lastSortKey: SortKey = '\uffff';

const sortedByKey = <T>(items: Iterable<T>, sortKey: (item: T) => SortKey): readonly T[] => {
  const keyed: { readonly item: T; readonly sortKey: SortKey }[] = [];
  for (const item of items) keyed.push({ item, sortKey: sortKey(item) });
  return keyed.toSorted((a, b) => compareSortKeys(a.sortKey, b.sortKey)).map(({ item }) => item);
};

const identitySortKey = (identity: VirtualServerIdentity): SortKey =>
  identity.by === 'address' ? sortKeyOf(identity.address, identity.port) : lastSortKey;

/** Print order: IPv4 before IPv6, addresses and ports by number, fwmarks last. */
export const inIdentityOrder = <T>(
  items: readonly T[],
  identityOf: (item: T) => VirtualServerIdentity,
): readonly T[] =>
  items
    .map((item) => ({ item, identity: identityOf(item), sortKey: identitySortKey(identityOf(item)) }))
    .toSorted((a, b) => compareSortKeys(a.sortKey, b.sortKey) || compareIdentities(a.identity, b.identity))
    .map(({ item }) => item);

/** Sorts by sockets, the first that differs. */
export const inSocketOrder = <T>(
  items: readonly T[],
  socketsOf: (item: T) => readonly (readonly [IpAddress, number])[],
): readonly T[] =>
  items
    .map((item) => ({ item, sortKeys: socketsOf(item).map((socket) => sortKeyOf(...socket)) }))
    .toSorted((a, b) =>
      a.sortKeys.reduce<number>(
        (order, sortKey, index) => order || compareSortKeys(sortKey, b.sortKeys[index] ?? lastSortKey),
        0,
      ),
    )
    .map(({ item }) => item);

/** Addresses in print order. */
export const addressesInOrder = (addresses: Iterable<IpAddress>): readonly IpAddress[] =>
  sortedByKey(addresses, (address) => sortKeyOf(address, 0));

/** Real servers in print order. */
export const realServersInOrder = <Server extends RealServer>(servers: Iterable<Server>): readonly Server[] =>
  sortedByKey(servers, ({ address, port }) => sortKeyOf(address, port));

interface Entry<Server, Real> {
  readonly server: Server;
  readonly realServers: ReadonlyMap<RealServerKey, Real>;
}

/** Virtual servers with their real servers, both in print order. */
export const virtualServersInOrder = <Server extends VirtualServer, Real extends RealServer>(
  tables: Iterable<Entry<Server, Real>>,
): readonly Entry<Server, Real>[] =>
  inIdentityOrder([...tables], ({ server }) => server.identity).map(({ server, realServers }) => ({
    server,
    realServers: new Map(realServersInOrder(realServers.values()).map((real) => [real.key, real])),
  }));
