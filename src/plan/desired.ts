import type { IpAddress } from '../base/ip.js';
import type { ElementKey, SetElement } from '../model/nftables.js';
import type { ServiceKey } from '../model/service.js';
import type {
  EndpointServer,
  RealServerKey,
  VirtualServerKey,
  WantedTable,
} from '../model/virtual-server.js';
import type { Endpoint } from '../model/endpoint.js';
import type { Touched, Wanted } from './diff.js';
import { FormerEndpoints, type Owned } from './former-endpoints.js';
import type { Fragment, Problem } from './fragment.js';
import { LocalShortages } from './local-shortage.js';
import { virtualServerOf } from './packet-elements.js';
import { NodePortUse } from './node-port-use.js';
import { isUrgentService, type Urgency } from './order.js';

/** The older Service first, then by namespace and name: the first one has what two claim. */
const beforeInClash = (a: Fragment, b: Fragment): number =>
  a.createdAt - b.createdAt || (a.service < b.service ? -1 : Number(a.service > b.service));

/** Who asks for one thing, the winner first; never empty. */
type Claims = readonly [Fragment, ...Fragment[]];

const withClaim = (claims: Claims | undefined, fragment: Fragment): Claims =>
  claims === undefined
    ? [fragment]
    : ([...claims, fragment].toSorted(beforeInClash) as [Fragment, ...Fragment[]]);

const withoutClaim = (claims: Claims | undefined, fragment: Fragment): Claims | undefined => {
  const [first, ...rest] = (claims ?? []).filter((claim) => claim !== fragment);
  return first === undefined ? undefined : [first, ...rest];
};

const claim = <Key>(claims: Map<Key, Claims>, keys: Iterable<Key>, fragment: Fragment): void => {
  for (const key of keys) claims.set(key, withClaim(claims.get(key), fragment));
};

const giveUp = <Key>(claims: Map<Key, Claims>, keys: Iterable<Key>, fragment: Fragment): void => {
  for (const key of keys) {
    const left = withoutClaim(claims.get(key), fragment);
    if (left === undefined) claims.delete(key);
    else claims.set(key, left);
  }
};

/** Adds who asks for things that all may have; in no order, for many may ask for one. */
const share = <Key>(asking: Map<Key, Fragment[]>, keys: Iterable<Key>, fragment: Fragment): void => {
  for (const key of keys) {
    const others = asking.get(key);
    if (others === undefined) asking.set(key, [fragment]);
    else others.push(fragment);
  }
};

const unshare = <Key>(asking: Map<Key, Fragment[]>, keys: Iterable<Key>, fragment: Fragment): void => {
  for (const key of keys) {
    const all = asking.get(key) ?? [];
    const place = all.indexOf(fragment);
    const last = all.pop();
    if (last !== undefined && last !== fragment) all[place] = last;
    if (all.length === 0) asking.delete(key);
  }
};

const union = <Key>(before: Iterable<Key> | undefined, now: Iterable<Key> | undefined): ReadonlySet<Key> => {
  const all = new Set(before);
  for (const key of now ?? []) all.add(key);
  return all;
};

const clashProblem = (key: VirtualServerKey, winner: Fragment, loser: Fragment): Problem => ({
  service: loser.service,
  reason: 'AddressInUse',
  message: `${key} is served for the Service ${winner.service}, which is older; ${loser.service} gets it when that one gives it up`,
});

/**
 * What all Services together want of this node. A virtual server that several claim is the oldest one's (then by
 * namespace/name), and goes to the next when that one goes; an address is wanted while anybody wants it.
 */
export class Desired implements Wanted {
  readonly #fragments = new Map<ServiceKey, Fragment>();
  readonly #virtualServers = new Map<VirtualServerKey, Claims>();
  /** Who asks for an address; never empty. */
  readonly #addresses = new Map<IpAddress, Fragment[]>();
  /** Who asks for an element that Services share; never empty. */
  readonly #shared = new Map<ElementKey, Fragment[]>();
  /** Elements of virtual servers: of the Service that has the virtual server. */
  readonly #packets = new Map<ElementKey, SetElement>();
  readonly #clashing = new Set<VirtualServerKey>();
  /** Which ports are free for masqueraded connections. */
  readonly nodePorts = new NodePortUse();
  readonly localShortages = new LocalShortages();
  readonly formerEndpoints = new FormerEndpoints();

  /** Puts the fragment in the place of what the Service asked before; undefined: it asks nothing. Costs O(fragment); gives the keys to diff. */
  replace(key: ServiceKey, fragment: Fragment | undefined): Touched {
    const before = this.#fragments.get(key);
    const virtualServers = union(before?.virtualServers.keys(), fragment?.virtualServers.keys());
    const elements = new Set([...(before?.elements.keys() ?? []), ...(fragment?.elements.keys() ?? [])]);
    for (const element of this.#packetsOf(virtualServers)) {
      elements.add(element.key);
      this.#packets.delete(element.key);
    }
    const tables = new Map(
      [...virtualServers].map((virtualServer) => [
        virtualServer,
        { service: this.ownerOf(virtualServer), table: this.virtualServer(virtualServer) },
      ]),
    );
    if (before !== undefined) this.#remove(before);
    if (fragment !== undefined) this.#add(fragment);
    for (const element of this.#packetsOf(virtualServers)) {
      elements.add(element.key);
      this.#packets.set(element.key, element);
    }
    for (const [virtualServer, owned] of tables) {
      this.#noteClash(virtualServer);
      this.#noteEndpoints(virtualServer, owned);
    }
    return { virtualServers, addresses: union(before?.addresses, fragment?.addresses), elements };
  }

  #add(fragment: Fragment): void {
    claim(this.#virtualServers, fragment.virtualServers.keys(), fragment);
    share(this.#addresses, fragment.addresses, fragment);
    share(this.#shared, fragment.elements.keys(), fragment);
    this.nodePorts.add(fragment.nodePorts);
    this.localShortages.add(fragment.localShortages);
    this.#fragments.set(fragment.service, fragment);
  }

  #remove(fragment: Fragment): void {
    giveUp(this.#virtualServers, fragment.virtualServers.keys(), fragment);
    unshare(this.#addresses, fragment.addresses, fragment);
    unshare(this.#shared, fragment.elements.keys(), fragment);
    this.nodePorts.remove(fragment.nodePorts);
    this.localShortages.remove(fragment.localShortages);
    this.#fragments.delete(fragment.service);
  }

  #packetsOf(virtualServers: Iterable<VirtualServerKey>): readonly SetElement[] {
    return [...virtualServers].flatMap((key) => this.#virtualServers.get(key)?.[0].packets.get(key) ?? []);
  }

  #noteClash(key: VirtualServerKey): void {
    if ((this.#virtualServers.get(key)?.length ?? 0) > 1) this.#clashing.add(key);
    else this.#clashing.delete(key);
  }

  #noteEndpoints(key: VirtualServerKey, before: Owned): void {
    const unready = this.#virtualServers.get(key)?.[0].unreadyEndpoints;
    this.formerEndpoints.note(key, before, this.virtualServer(key), unready);
  }

  /** The endpoint, as it was last seen, of a real server that is not wanted any more. */
  formerEndpoint(key: VirtualServerKey, realServer: RealServerKey): Endpoint | undefined {
    return (
      this.formerEndpoints.of(key, realServer) ??
      this.#virtualServers.get(key)?.[0].unreadyEndpoints.get(realServer)
    );
  }

  virtualServer(key: VirtualServerKey): WantedTable<EndpointServer> | undefined {
    return this.#virtualServers.get(key)?.[0].virtualServers.get(key);
  }

  element(key: ElementKey): SetElement | undefined {
    return this.#packets.get(key) ?? this.#shared.get(key)?.[0]?.elements.get(key);
  }

  wantsAddress(address: IpAddress): boolean {
    return this.#addresses.has(address);
  }

  /** The Service that has the virtual server. */
  ownerOf(key: VirtualServerKey): ServiceKey | undefined {
    return this.#virtualServers.get(key)?.[0].service;
  }

  /** Whether the Service that has it says that it is to be ours, whoever made it. */
  isGiven(key: VirtualServerKey): boolean {
    return this.#virtualServers.get(key)?.[0].takesOverForeign === true;
  }

  /** The packet-rule elements of the virtual server. */
  elementsOf(key: VirtualServerKey): readonly SetElement[] {
    return this.#packetsOf([key]);
  }

  /** The virtual servers for whose sake an address is to be bound. */
  *virtualServersAt(address: IpAddress): Iterable<VirtualServerKey> {
    for (const { virtualServers } of this.#addresses.get(address) ?? [])
      for (const [key, { server }] of virtualServers)
        if (server.identity.by === 'address' && server.identity.address === address) yield key;
  }

  fragment(key: ServiceKey): Fragment | undefined {
    return this.#fragments.get(key);
  }

  get serviceCount(): number {
    return this.#fragments.size;
  }

  fragments(): Iterable<Fragment> {
    return this.#fragments.values();
  }

  *virtualServers(): Iterable<WantedTable> {
    for (const [key, [winner]] of this.#virtualServers) {
      const table = winner.virtualServers.get(key);
      if (table !== undefined) yield table;
    }
  }

  addresses(): Iterable<IpAddress> {
    return this.#addresses.keys();
  }

  /** Every key that is wanted: with those that the kernel holds of ours, what a whole diff has to look at. */
  keys(): Touched {
    return {
      virtualServers: new Set(this.#virtualServers.keys()),
      addresses: new Set(this.#addresses.keys()),
      elements: new Set([...this.#packets.keys(), ...this.#shared.keys()]),
    };
  }

  /** One problem for each Service that does not get a virtual server it asks for. */
  clashes(): readonly Problem[] {
    return [...this.#clashing].flatMap((key) => this.clashesAt(key));
  }

  /** The same for one virtual server. */
  clashesAt(key: VirtualServerKey): readonly Problem[] {
    if (!this.#clashing.has(key)) return [];
    const [winner, ...losers] = this.#virtualServers.get(key) ?? [];
    return winner === undefined ? [] : losers.map((loser) => clashProblem(key, winner, loser));
  }

  /** Which things are of the Services that everything else in a cluster needs first: give it to `phases`. */
  get urgency(): Urgency {
    return {
      virtualServer: (key) => isUrgentService(this.#virtualServers.get(key)?.[0].service),
      address: (address) =>
        this.#addresses.get(address)?.some((claim) => isUrgentService(claim.service)) ?? false,
      element: (key) => this.#isUrgentElement(key),
    };
  }

  #isUrgentElement(key: ElementKey): boolean {
    const element = this.#packets.get(key);
    if (element === undefined)
      return this.#shared.get(key)?.some((claim) => isUrgentService(claim.service)) ?? false;
    const virtualServer = virtualServerOf(element);
    return virtualServer !== undefined && isUrgentService(this.ownerOf(virtualServer));
  }
}
