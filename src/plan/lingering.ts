import type { IpAddress } from '../base/ip.js';
import type { ElementKey, SetElement } from '../model/nftables.js';
import type { ServiceKey } from '../model/service.js';
import type {
  RealServer,
  VirtualServerIdentity,
  VirtualServerKey,
  VirtualServerTable,
  WantedTable,
} from '../model/virtual-server.js';
import { touch, type Observed, type Touched, type Wanted } from './diff.js';
import { drains, type DrainSettings } from './drain.js';
import { drainRecordKey, recordedDeadline } from './drain-records.js';
import type { FormerVirtualServer } from './former-endpoints.js';
import type { Urgency } from './order.js';
import { serviceElement, vipElement } from './packet-elements.js';

type ByAddress = VirtualServerIdentity & { readonly by: 'address' };

/** A virtual server that no Service asks for, kept for its connections. */
interface Lingerer {
  readonly table: WantedTable;
  /** Whose it was; undefined where an earlier process knew that. */
  readonly service: ServiceKey | undefined;
  readonly address: IpAddress;
  /** Whether kube-ipvs0 has the address for its sake too. */
  readonly isBound: boolean;
  /** What makes it known as ours and refuses new connections. */
  readonly element: SetElement;
}

/** How a virtual server comes to linger no more; `gone`: somebody deleted it, or its address is not local any more. */
export type LingerEnd = 'idle' | 'wanted-again' | 'gone';

export interface LingeringParts {
  /** What Services want. */
  readonly wanted: Wanted & { readonly urgency: Urgency };
  /** What was wanted until now. */
  readonly former: (key: VirtualServerKey) => FormerVirtualServer | undefined;
  /** Whether an interface of this node other than kube-ipvs0 has the address. */
  readonly isOnInterface: (address: IpAddress) => boolean;
}

const noRealServers: WantedTable['realServers'] = new Map();

/** How long its Service let it drain, by what an earlier process left with its real servers. */
const recordedFor = (
  of: VirtualServerIdentity,
  realServers: Iterable<RealServer>,
  observed: Observed,
): number | undefined => {
  if (of.by !== 'address') return undefined;
  for (const server of realServers) {
    const deadline = recordedDeadline(observed.element(drainRecordKey(of, server)));
    if (deadline !== undefined) return deadline;
  }
  return undefined;
};

const byAddress = ({ server }: VirtualServerTable): ByAddress | undefined =>
  server.identity.by === 'address' ? server.identity : undefined;

/**
 * What Services want, and besides it the virtual servers that they do not want any more but that have connections: these stay, as
 * the kernel has them, with their addresses; their real servers drain, and new connections are refused. Add them when they become
 * unwanted, and `end` them when they have no real servers left.
 */
export class Lingering implements Wanted {
  readonly #lingerers = new Map<VirtualServerKey, Lingerer>();
  readonly #elements = new Map<ElementKey, SetElement>();
  /** How many lingering virtual servers are on a bound address. */
  readonly #bound = new Map<IpAddress, number>();

  constructor(private readonly parts: LingeringParts) {}

  get size(): number {
    return this.#lingerers.size;
  }

  get urgency(): Urgency {
    return this.parts.wanted.urgency;
  }

  has(key: VirtualServerKey): boolean {
    return this.#lingerers.has(key);
  }

  /** The Service whose it was; undefined where an earlier process knew that, or it does not linger. */
  formerOwner(key: VirtualServerKey): ServiceKey | undefined {
    return this.#lingerers.get(key)?.service;
  }

  /** All that linger. */
  virtualServers(): Iterable<VirtualServerKey> {
    return this.#lingerers.keys();
  }

  virtualServer(key: VirtualServerKey): WantedTable | undefined {
    return this.parts.wanted.virtualServer(key) ?? this.#lingerers.get(key)?.table;
  }

  wantsAddress(address: IpAddress): boolean {
    return this.parts.wanted.wantsAddress(address) || this.#keeps(address);
  }

  element(key: ElementKey): SetElement | undefined {
    const asked = this.parts.wanted.element(key);
    if (asked !== undefined) return asked;
    const element = this.#elements.get(key);
    return element?.set === 'vips' && !this.#keeps(element.fields[0] as IpAddress) ? undefined : element;
  }

  /** An address that another interface gets is left to it. */
  #keeps(address: IpAddress): boolean {
    return this.#bound.has(address) && !this.parts.isOnInterface(address);
  }

  /** Everything that is wanted for the sake of what lingers. */
  keys(): Touched {
    return touch({
      virtualServers: new Set(this.#lingerers.keys()),
      addresses: new Set(this.#bound.keys()),
      elements: new Set(this.#elements.keys()),
    });
  }

  /**
   * The virtual servers among these that have become unwanted (`wanted` is all that is wanted, lingering or not) and may linger:
   * read their real servers, and let those linger that have connections. The others go at once.
   */
  candidates(
    keys: Iterable<VirtualServerKey>,
    wanted: Wanted,
    observed: Observed,
    settings: DrainSettings,
  ): readonly VirtualServerTable[] {
    const found: VirtualServerTable[] = [];
    for (const key of keys) {
      if (wanted.virtualServer(key) !== undefined) continue;
      const have = observed.virtualServer(key);
      const identity = have && byAddress(have);
      if (have === undefined || identity === undefined || have.realServers.size === 0) continue;
      const isLocal = observed.hasAddress(identity.address) || this.parts.isOnInterface(identity.address);
      if (isLocal && drains(this.#tableOf(have, observed), settings)) found.push(have);
    }
    return found;
  }

  #tableOf({ server, realServers }: VirtualServerTable, observed: Observed): WantedTable {
    const drainMilliseconds =
      this.parts.former(server.key)?.drainMilliseconds ??
      recordedFor(server.identity, realServers.values(), observed);
    return { server, realServers: noRealServers, drainMilliseconds };
  }

  /** Keeps a virtual server as the kernel has it now; gives what is wanted otherwise by that. */
  add(have: VirtualServerTable, observed: Observed): Touched {
    const identity = byAddress(have);
    if (identity === undefined) return touch();
    const { address } = identity;
    const element = serviceElement(identity, 'no-endpoints');
    const isBound = observed.hasAddress(address);
    const service = this.parts.former(have.server.key)?.service;
    const lingerer = { table: this.#tableOf(have, observed), service, address, isBound, element };
    this.#lingerers.set(have.server.key, lingerer);
    this.#elements.set(element.key, element);
    if (isBound) {
      this.#bound.set(address, (this.#bound.get(address) ?? 0) + 1);
      const vip = vipElement(address);
      this.#elements.set(vip.key, vip);
    }
    return touchedBy(have.server.key, lingerer);
  }

  /** How the virtual server's lingering ends now, if it lingers and does. */
  endOf(key: VirtualServerKey, observed: Observed): LingerEnd | undefined {
    const lingerer = this.#lingerers.get(key);
    if (lingerer === undefined) return undefined;
    if (this.parts.wanted.virtualServer(key) !== undefined) return 'wanted-again';
    const have = observed.virtualServer(key);
    if (have === undefined || (!lingerer.isBound && !this.parts.isOnInterface(lingerer.address)))
      return 'gone';
    return have.realServers.size === 0 ? 'idle' : undefined;
  }

  /** Keeps the virtual server no longer; gives what is wanted otherwise by that. */
  end(key: VirtualServerKey): Touched {
    const lingerer = this.#lingerers.get(key);
    if (lingerer === undefined) return touch();
    this.#lingerers.delete(key);
    this.#elements.delete(lingerer.element.key);
    if (lingerer.isBound) this.#release(lingerer.address);
    return touchedBy(key, lingerer);
  }

  #release(address: IpAddress): void {
    const left = (this.#bound.get(address) ?? 0) - 1;
    if (left > 0) this.#bound.set(address, left);
    else {
      this.#bound.delete(address);
      this.#elements.delete(vipElement(address).key);
    }
  }
}

const touchedBy = (key: VirtualServerKey, { address, isBound, element }: Lingerer): Touched => ({
  virtualServers: new Set([key]),
  addresses: new Set(isBound ? [address] : []),
  elements: new Set([element.key, ...(isBound ? [vipElement(address).key] : [])]),
});
