import type { IpAddress } from '../../base/ip.js';
import type { ElementKey, SetElement } from '../../nftables/declarations.js';
import type { ServiceKey } from '../../model/service.js';
import type {
  RealServer,
  VirtualServerIdentity,
  VirtualServerKey,
  VirtualServerEntry,
  DesiredVirtualServer,
} from '../../model/virtual-server.js';
import { dirtyKeys, type ObservedView, type DirtyKeys, type DesiredView } from '../operations/diff.js';
import { isDrainable, type DrainSettings } from './drain-step.js';
import { drainRecordKey, recordedDeadline } from './drain-records.js';
import type { FormerVirtualServer } from '../endpoints/former-endpoints.js';
import type { Urgency } from '../operations/phases.js';
import { packetClassElement, vipElement } from '../packet-rules/packet-elements.js';

type ByAddress = VirtualServerIdentity & { readonly by: 'address' };

/** A virtual server that no Service asks for, kept for its connections. */
interface OrphanedVirtualServer {
  readonly entry: DesiredVirtualServer;
  /** Whose it was; undefined where an earlier process knew that. */
  readonly service: ServiceKey | undefined;
  readonly address: IpAddress;
  /** Whether kube-ipvs0 has the address for its sake too. */
  readonly isBound: boolean;
  /** What makes it known as ours and refuses new connections. */
  readonly element: SetElement;
}

/** How a virtual server comes to linger no more; `gone`: somebody deleted it, or its address is not local any more. */
export type OrphanEnd = 'idle' | 'wanted-again' | 'gone';

export interface OrphanedVirtualServersParts {
  /** What Services want. */
  readonly desired: DesiredView & { readonly urgency: Urgency };
  /** What was wanted until now. */
  readonly formerVirtualServer: (key: VirtualServerKey) => FormerVirtualServer | undefined;
  /** Whether an interface of this node other than kube-ipvs0 has the address. */
  readonly isOnInterface: (address: IpAddress) => boolean;
}

const noRealServers: DesiredVirtualServer['realServers'] = new Map();

/** How long its Service let it drain, by what an earlier process left with its real servers. */
const recordedDeadlineFor = (
  of: VirtualServerIdentity,
  realServers: Iterable<RealServer>,
  observed: ObservedView,
): number | undefined => {
  if (of.by !== 'address') return undefined;
  for (const server of realServers) {
    const deadline = recordedDeadline(observed.element(drainRecordKey(of, server)));
    if (deadline !== undefined) return deadline;
  }
  return undefined;
};

const byAddress = ({ server }: VirtualServerEntry): ByAddress | undefined =>
  server.identity.by === 'address' ? server.identity : undefined;

/**
 * What Services want, and besides it the virtual servers that they do not want any more but that have connections: these stay, as
 * the kernel has them, with their addresses; their real servers drain, and new connections are refused. Add them when they become
 * unwanted, and `end` them when they have no real servers left.
 */
export class OrphanedVirtualServers implements DesiredView {
  readonly #orphans = new Map<VirtualServerKey, OrphanedVirtualServer>();
  readonly #elements = new Map<ElementKey, SetElement>();
  /** How many lingering virtual servers are on a bound address. */
  readonly #boundAddresses = new Map<IpAddress, number>();

  constructor(private readonly parts: OrphanedVirtualServersParts) {}

  get size(): number {
    return this.#orphans.size;
  }

  get urgency(): Urgency {
    return this.parts.desired.urgency;
  }

  has(key: VirtualServerKey): boolean {
    return this.#orphans.has(key);
  }

  /** The Service whose it was; undefined where an earlier process knew that, or it does not linger. */
  formerOwner(key: VirtualServerKey): ServiceKey | undefined {
    return this.#orphans.get(key)?.service;
  }

  /** All that linger. */
  virtualServers(): Iterable<VirtualServerKey> {
    return this.#orphans.keys();
  }

  virtualServer(key: VirtualServerKey): DesiredVirtualServer | undefined {
    return this.parts.desired.virtualServer(key) ?? this.#orphans.get(key)?.entry;
  }

  hasAddress(address: IpAddress): boolean {
    return this.parts.desired.hasAddress(address) || this.#retainsAddress(address);
  }

  element(key: ElementKey): SetElement | undefined {
    const desiredElement = this.parts.desired.element(key);
    if (desiredElement !== undefined) return desiredElement;
    const element = this.#elements.get(key);
    return element?.set === 'vips' && !this.#retainsAddress(element.fields[0] as IpAddress)
      ? undefined
      : element;
  }

  /** An address that another interface gets is left to it. */
  #retainsAddress(address: IpAddress): boolean {
    return this.#boundAddresses.has(address) && !this.parts.isOnInterface(address);
  }

  /** Everything that is wanted for the sake of what lingers. */
  keys(): DirtyKeys {
    return dirtyKeys({
      virtualServers: new Set(this.#orphans.keys()),
      addresses: new Set(this.#boundAddresses.keys()),
      elements: new Set(this.#elements.keys()),
    });
  }

  /**
   * The virtual servers among these that have become unwanted (`wanted` is all that is wanted, lingering or not) and may linger:
   * read their real servers, and let those linger that have connections. The others go at once.
   */
  candidates(
    keys: Iterable<VirtualServerKey>,
    desired: DesiredView,
    observed: ObservedView,
    settings: DrainSettings,
  ): readonly VirtualServerEntry[] {
    const found: VirtualServerEntry[] = [];
    for (const key of keys) {
      if (desired.virtualServer(key) !== undefined) continue;
      const observedServer = observed.virtualServer(key);
      const identity = observedServer && byAddress(observedServer);
      if (observedServer === undefined || identity === undefined || observedServer.realServers.size === 0)
        continue;
      const isLocal = observed.hasAddress(identity.address) || this.parts.isOnInterface(identity.address);
      if (isLocal && isDrainable(this.#desiredEntryOf(observedServer, observed), settings))
        found.push(observedServer);
    }
    return found;
  }

  #desiredEntryOf({ server, realServers }: VirtualServerEntry, observed: ObservedView): DesiredVirtualServer {
    const drainMilliseconds =
      this.parts.formerVirtualServer(server.key)?.drainMilliseconds ??
      recordedDeadlineFor(server.identity, realServers.values(), observed);
    return { server, realServers: noRealServers, drainMilliseconds };
  }

  /** Keeps a virtual server as the kernel has it now; gives what is wanted otherwise by that. */
  retain(observedServer: VirtualServerEntry, observed: ObservedView): DirtyKeys {
    const identity = byAddress(observedServer);
    if (identity === undefined) return dirtyKeys();
    const { address } = identity;
    const element = packetClassElement(identity, 'no-endpoints');
    const isBound = observed.hasAddress(address);
    const service = this.parts.formerVirtualServer(observedServer.server.key)?.service;
    const orphan = {
      entry: this.#desiredEntryOf(observedServer, observed),
      service,
      address,
      isBound,
      element,
    };
    this.#orphans.set(observedServer.server.key, orphan);
    this.#elements.set(element.key, element);
    if (isBound) {
      this.#boundAddresses.set(address, (this.#boundAddresses.get(address) ?? 0) + 1);
      const vip = vipElement(address);
      this.#elements.set(vip.key, vip);
    }
    return dirtyKeysOf(observedServer.server.key, orphan);
  }

  /** How the virtual server's lingering ends now, if it lingers and does. */
  endOf(key: VirtualServerKey, observed: ObservedView): OrphanEnd | undefined {
    const orphan = this.#orphans.get(key);
    if (orphan === undefined) return undefined;
    if (this.parts.desired.virtualServer(key) !== undefined) return 'wanted-again';
    const observedServer = observed.virtualServer(key);
    if (observedServer === undefined || (!orphan.isBound && !this.parts.isOnInterface(orphan.address)))
      return 'gone';
    return observedServer.realServers.size === 0 ? 'idle' : undefined;
  }

  /** Keeps the virtual server no longer; gives what is wanted otherwise by that. */
  release(key: VirtualServerKey): DirtyKeys {
    const orphan = this.#orphans.get(key);
    if (orphan === undefined) return dirtyKeys();
    this.#orphans.delete(key);
    this.#elements.delete(orphan.element.key);
    if (orphan.isBound) this.#releaseAddress(orphan.address);
    return dirtyKeysOf(key, orphan);
  }

  #releaseAddress(address: IpAddress): void {
    const left = (this.#boundAddresses.get(address) ?? 0) - 1;
    if (left > 0) this.#boundAddresses.set(address, left);
    else {
      this.#boundAddresses.delete(address);
      this.#elements.delete(vipElement(address).key);
    }
  }
}

const dirtyKeysOf = (
  key: VirtualServerKey,
  { address, isBound, element }: OrphanedVirtualServer,
): DirtyKeys => ({
  virtualServers: new Set([key]),
  addresses: new Set(isBound ? [address] : []),
  elements: new Set([element.key, ...(isBound ? [vipElement(address).key] : [])]),
});
