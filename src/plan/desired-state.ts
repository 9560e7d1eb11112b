import type { IpAddress } from '../base/ip.js';
import type { ElementKey, SetElement } from '../nftables/declarations.js';
import type { ServiceKey } from '../model/service.js';
import type {
  DesiredRealServer,
  RealServerKey,
  VirtualServerIdentity,
  VirtualServerKey,
  DesiredVirtualServer,
} from '../model/virtual-server.js';
import {
  noBinding,
  onlyBinding,
  type BoundVips,
  type VipBinding,
  type VipBindings,
} from '../model/settings/vip-binding.js';
import type { Endpoint } from '../model/endpoint.js';
import {
  addShared,
  claim,
  removeClaims,
  removeShared,
  type Claims,
  type SharedClaims,
  type SoleClaim,
} from './claims.js';
import type { DirtyKeys, DesiredView } from './operations/diff.js';
import { FormerEndpoints, type OwnedVirtualServer } from './endpoints/former-endpoints.js';
import type { MarkedFrontends } from './marked-frontends.js';
import { markedServerOf, virtualServerOf } from './packet-rules/packet-elements.js';
import type { Fragment, Problem } from './render/fragment.js';
import { LocalEndpointShortages } from './endpoints/local-endpoint-shortages.js';
import { nodePortFrontendsOf, nodePortOfKey, nodePortServerAt } from './shared-node-port-keys.js';
import { NodePortUsage } from './render/node-port-usage.js';
import { isUrgentService, type Urgency } from './operations/phases.js';

const unionOfKeys = <Key>(before: Iterable<Key> | undefined, now: Iterable<Key> | undefined): Set<Key> => {
  const all = new Set(before);
  for (const key of now ?? []) all.add(key);
  return all;
};

const clashProblem = (key: VirtualServerKey, winner: Fragment, loser: Fragment): Problem => ({
  service: loser.service,
  reason: 'AddressInUse',
  message: `${key} is served for the Service ${winner.service}, which is older; ${loser.service} is not served there until that Service releases it`,
});

/**
 * What all Services together define for this node. The oldest Service (then the lowest namespace/name) that
 * claims a virtual server owns it, and the next one follows when it is deleted; an address is desired as long
 * as any Service claims it.
 */
export class DesiredState implements DesiredView, MarkedFrontends {
  readonly #fragments = new Map<ServiceKey, Fragment>();
  readonly #virtualServers = new Map<VirtualServerKey, Claims>();
  /** The Services that claim an address; never empty. */
  readonly #addresses: SharedClaims<IpAddress> = new Map();
  /** The Services that claim a shared element; never empty. */
  readonly #sharedElements: SharedClaims<ElementKey> = new Map();
  /** The elements of virtual servers, as defined by their owner. */
  readonly #virtualServerElements = new Map<ElementKey, SetElement>();
  readonly #clashing = new Set<VirtualServerKey>();
  /** Of all fragments. */
  #problemCount = 0;
  /** The ports that are free for masqueraded connections. */
  readonly nodePortUsage = new NodePortUsage();
  readonly localShortages = new LocalEndpointShortages();
  readonly formerEndpoints = new FormerEndpoints();

  /** `configuredBinding` is how VIPs become local; a change makes every address dirty. */
  constructor(private readonly configuredBinding: () => VipBinding = () => 'address') {}

  get vipBinding(): VipBinding {
    return this.configuredBinding();
  }

  /**
   * Replaces what the Service defined before; undefined if it defines nothing any more. Costs O(fragment).
   * Returns the keys to compare.
   */
  replace(key: ServiceKey, fragment: Fragment | undefined): DirtyKeys {
    const before = this.#fragments.get(key);
    const virtualServers = unionOfKeys(before?.virtualServers.keys(), fragment?.virtualServers.keys());
    if ((before?.inClusterServers ?? fragment?.inClusterServers) !== undefined)
      this.#addFrontendsOfSharedMarks(key, virtualServers);
    const elements = new Set([
      ...(before?.sharedElements.keys() ?? []),
      ...(fragment?.sharedElements.keys() ?? []),
    ]);
    for (const element of this.#setElementsOf(virtualServers)) {
      elements.add(element.key);
      this.#virtualServerElements.delete(element.key);
    }
    const owners = new Map(
      [...virtualServers].map((virtualServer) => [
        virtualServer,
        { service: this.ownerOf(virtualServer), entry: this.virtualServer(virtualServer) },
      ]),
    );
    if (before !== undefined) this.#remove(before);
    if (fragment !== undefined) this.#add(fragment);
    for (const element of this.#setElementsOf(virtualServers)) {
      elements.add(element.key);
      this.#virtualServerElements.set(element.key, element);
    }
    for (const [virtualServer, owned] of owners) {
      this.#noteClash(virtualServer);
      this.#noteEndpoints(virtualServer, owned);
    }
    return { virtualServers, addresses: unionOfKeys(before?.addresses, fragment?.addresses), elements };
  }

  #add(fragment: Fragment): void {
    const sole: SoleClaim = [fragment];
    claim(this.#virtualServers, fragment.virtualServers.keys(), sole);
    addShared(this.#addresses, fragment.addresses, sole);
    addShared(this.#sharedElements, fragment.sharedElements.keys(), sole);
    this.nodePortUsage.add(fragment.portsOnNode);
    this.localShortages.add(fragment.localShortages);
    this.#problemCount += fragment.problems.length;
    this.#fragments.set(fragment.service, fragment);
  }

  #remove(fragment: Fragment): void {
    removeClaims(this.#virtualServers, fragment.virtualServers.keys(), fragment);
    removeShared(this.#addresses, fragment.addresses, fragment);
    removeShared(this.#sharedElements, fragment.sharedElements.keys(), fragment);
    this.nodePortUsage.remove(fragment.portsOnNode);
    this.localShortages.remove(fragment.localShortages);
    this.#problemCount -= fragment.problems.length;
    this.#fragments.delete(fragment.service);
  }

  #setElementsOf(virtualServers: Iterable<VirtualServerKey>): readonly SetElement[] {
    const elements: SetElement[] = [];
    for (const key of virtualServers) {
      const fragment = this.#virtualServers.get(key)?.[0];
      for (const element of fragment?.virtualServers.get(key)?.setElements ?? [])
        if (element.mark === undefined || this.#ownsMark(fragment, element)) elements.push(element);
    }
    return elements;
  }

  #ownsMark(fragment: Fragment | undefined, element: SetElement): boolean {
    const server = markedServerOf(element);
    return server !== undefined && this.#virtualServers.get(server)?.[0] === fragment;
  }

  /** Another owner of a firewall mark that two Services have changes the elements of both. */
  #addFrontendsOfSharedMarks(service: ServiceKey, virtualServers: Set<VirtualServerKey>): void {
    for (const key of virtualServers) {
      if (!key.startsWith('FWM ')) continue;
      const others = this.#virtualServers.get(key)?.filter((other) => other.service !== service) ?? [];
      for (const other of others)
        for (const { server } of this.#frontendsIn(other, key)) virtualServers.add(server.key);
    }
  }

  *#frontendsIn(fragment: Fragment | undefined, server: VirtualServerKey): Iterable<DesiredVirtualServer> {
    for (const [frontend, inCluster] of fragment?.inClusterServers ?? []) {
      const entry = inCluster === server ? fragment?.virtualServers.get(frontend) : undefined;
      if (entry !== undefined) yield entry;
    }
  }

  markedServerOf(frontend: VirtualServerKey): VirtualServerKey | undefined {
    const owner = this.#virtualServers.get(frontend)?.[0];
    return owner === undefined ? this.#nodePortServerOf(frontend) : owner.inClusterServers?.get(frontend);
  }

  #nodePortServerOf(frontend: VirtualServerKey): VirtualServerKey | undefined {
    const found = nodePortServerAt(frontend);
    const fragment = found && this.#virtualServers.get(found.server)?.[0];
    return found !== undefined && fragment?.nodePortAddresses?.[found.family].includes(found.address) === true
      ? found.server
      : undefined;
  }

  *frontendsOf(server: VirtualServerKey): Iterable<VirtualServerIdentity> {
    const service = this.ownerOf(server) ?? this.formerEndpoints.virtualServer(server)?.service;
    const fragment = service === undefined ? undefined : this.#fragments.get(service);
    for (const entry of this.#frontendsIn(fragment, server)) yield entry.server.identity;
    yield* nodePortFrontendsOf(server, fragment?.nodePortAddresses);
  }

  isReplaced(key: VirtualServerKey): boolean {
    if (this.#virtualServers.has(key)) return false;
    return nodePortOfKey(key) !== undefined || this.#nodePortServerOf(key) !== undefined;
  }

  #noteClash(key: VirtualServerKey): void {
    if ((this.#virtualServers.get(key)?.length ?? 0) > 1) this.#clashing.add(key);
    else this.#clashing.delete(key);
  }

  #noteEndpoints(key: VirtualServerKey, before: OwnedVirtualServer): void {
    const unready = this.#virtualServers.get(key)?.[0].unreadyEndpoints;
    this.formerEndpoints.recordChange(key, before, this.virtualServer(key), unready);
  }

  /** The last known endpoint of a real server that is no longer desired. */
  formerEndpoint(key: VirtualServerKey, realServer: RealServerKey): Endpoint | undefined {
    return (
      this.formerEndpoints.get(key, realServer) ??
      this.#virtualServers.get(key)?.[0].unreadyEndpoints.get(realServer)
    );
  }

  /** The endpoint of a real server that is desired, or its last known one. */
  endpointOf(key: VirtualServerKey, realServer: RealServerKey): Endpoint | undefined {
    const desired = this.virtualServer(key)?.realServers.get(realServer);
    return desired?.endpoint ?? this.formerEndpoint(key, realServer);
  }

  virtualServer(key: VirtualServerKey): DesiredVirtualServer<DesiredRealServer> | undefined {
    return this.#virtualServers.get(key)?.[0].virtualServers.get(key);
  }

  element(key: ElementKey): SetElement | undefined {
    return (
      this.#virtualServerElements.get(key) ?? this.#sharedElements.get(key)?.[0]?.sharedElements.get(key)
    );
  }

  bindings(address: IpAddress): VipBindings {
    return this.#addresses.has(address) ? onlyBinding(this.vipBinding) : noBinding;
  }

  /** The Service that owns the virtual server. */
  ownerOf(key: VirtualServerKey): ServiceKey | undefined {
    return this.#virtualServers.get(key)?.[0].service;
  }

  /** One of the Services that claim the address. */
  claimantAt(address: IpAddress): ServiceKey | undefined {
    return this.#addresses.get(address)?.[0]?.service;
  }

  /** The Service that owns the element's virtual server, or one of those that share the element. */
  claimantOfElement(key: ElementKey): ServiceKey | undefined {
    const shared = this.#sharedElements.get(key)?.[0]?.service;
    if (shared !== undefined) return shared;
    const element = this.#virtualServerElements.get(key);
    const virtualServer = element && virtualServerOf(element);
    return virtualServer && this.ownerOf(virtualServer);
  }

  /** Whether the owner adopts the virtual server even if another program created it. */
  adoptForeign(key: VirtualServerKey): boolean {
    return this.#virtualServers.get(key)?.[0].adoptForeign === true;
  }

  /** The packet-rule elements of the virtual server; of one on a firewall mark, those of its frontends too. */
  elementsOf(key: VirtualServerKey): readonly SetElement[] {
    const fragment = key.startsWith('FWM ') ? this.#virtualServers.get(key)?.[0] : undefined;
    const frontends = [...this.#frontendsIn(fragment, key)].map(({ server }) => server.key);
    return this.#setElementsOf([key, ...frontends]);
  }

  /** The virtual servers that need the address bound. */
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

  /** The reasons why parts of Services are not served as requested, clashes included. */
  get problemCount(): number {
    return this.#problemCount + this.clashes().length;
  }

  fragments(): Iterable<Fragment> {
    return this.#fragments.values();
  }

  *virtualServers(): Iterable<DesiredVirtualServer> {
    for (const [key, [winner]] of this.#virtualServers) {
      const entry = winner.virtualServers.get(key);
      if (entry !== undefined) yield entry;
    }
  }

  boundVips(): BoundVips {
    return { address: [], route: [], [this.vipBinding]: [...this.#addresses.keys()] };
  }

  /** All desired keys. A full comparison also needs the keys of the observed objects. */
  keys(): DirtyKeys {
    return {
      virtualServers: new Set(this.#virtualServers.keys()),
      addresses: new Set(this.#addresses.keys()),
      elements: new Set([...this.#virtualServerElements.keys(), ...this.#sharedElements.keys()]),
    };
  }

  /** One problem per Service and virtual server that an older Service owns. */
  clashes(): readonly Problem[] {
    return [...this.#clashing].flatMap((key) => this.clashesAt(key));
  }

  /** The problems of one virtual server. */
  clashesAt(key: VirtualServerKey): readonly Problem[] {
    if (!this.#clashing.has(key)) return [];
    const [winner, ...losers] = this.#virtualServers.get(key) ?? [];
    return winner === undefined ? [] : losers.map((loser) => clashProblem(key, winner, loser));
  }

  /** The objects of the Services that the rest of the cluster depends on. Pass it to `phases`. */
  get urgency(): Urgency {
    return {
      virtualServer: (key) => isUrgentService(this.#virtualServers.get(key)?.[0].service),
      address: (address) =>
        this.#addresses.get(address)?.some((claim) => isUrgentService(claim.service)) ?? false,
      element: (key) => this.#isUrgentElement(key),
    };
  }

  #isUrgentElement(key: ElementKey): boolean {
    const element = this.#virtualServerElements.get(key);
    if (element === undefined)
      return this.#sharedElements.get(key)?.some((claim) => isUrgentService(claim.service)) ?? false;
    const virtualServer = virtualServerOf(element);
    return virtualServer !== undefined && isUrgentService(this.ownerOf(virtualServer));
  }
}
