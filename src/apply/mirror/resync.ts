import { Yielder } from '../../base/async.js';
import type { IpAddress } from '../../base/ip.js';
import {
  virtualServerKey,
  sameRealServer,
  sameVirtualServer,
  type RealServer,
  type VirtualServer,
  type VirtualServerIdentity,
  type VirtualServerKey,
} from '../../model/virtual-server.js';
import { dirtyKeys, type DirtyKeys } from '../../plan/operations/diff.js';
import {
  toRealServer,
  tryReadRealServers,
  tryReadVirtualServer,
  withoutStatistics,
  type IpvsReads,
  type UnreadableHandler,
} from './kernel-reader.js';
import type { EngineState } from '../state/engine-state.js';

export interface ResyncParts {
  readonly ipvs: IpvsReads;
  readonly state: EngineState;
  /** The addresses on kube-ipvs0 now. */
  readonly dummyAddresses: () => Promise<readonly IpAddress[]>;
  /** Whether a virtual server that is not known yet is ours. */
  readonly isOurs: (identity: VirtualServerIdentity) => boolean;
  /** Whether a Service asks for it. */
  readonly isDesired: (key: VirtualServerKey) => boolean;
  readonly onUnreadable: UnreadableHandler;
}

/** What a dump of all virtual servers lists. */
interface Listing {
  readonly ours: VirtualServer[];
  readonly foreign: Map<VirtualServerKey, VirtualServerIdentity>;
}

/** What is read and compared between two turns of the event loop takes no longer. */
const maximumTurnMilliseconds = 5;

const sameRealServers = (a: ReadonlyMap<unknown, RealServer>, b: readonly RealServer[]): boolean =>
  a.size === b.length &&
  b.every((server) => {
    const known = a.get(server.key);
    return known !== undefined && sameRealServer(known, server);
  });

/**
 * Reads the kernel in slices and brings the engine's state up to date; gives the keys that drifted, for the reconciler to repair.
 * One dump lists all virtual servers and addresses; real servers cost a dump each, so a slice reads only some of them.
 */
export class Resync {
  #queue: VirtualServerIdentity[] = [];

  constructor(private readonly parts: ResyncParts) {}

  /** How many virtual servers' real servers this round has still to read. */
  get remaining(): number {
    return this.#queue.length;
  }

  /** Whether a foreign virtual server is ours by what is known now: the next round adopts it. */
  get hasMisclassified(): boolean {
    for (const identity of this.parts.state.virtualServers.foreign.values())
      if (this.parts.isOurs(identity)) return true;
    return false;
  }

  /**
   * Begins a round: compares all virtual servers and addresses, and reads those that are new to us whole. `ignoreKnown`: reads
   * all of them whole.
   */
  async begin({ ignoreKnown = false }: { readonly ignoreKnown?: boolean } = {}): Promise<DirtyKeys> {
    const { virtualServers } = this.parts.state;
    const addresses = await this.readAddresses();
    const { ours, foreign } = await this.#list();
    const listed = new Set(ours.map(({ key }) => key));
    const drifted = new Set<VirtualServerKey>();
    const toRead: VirtualServerIdentity[] = [];
    const turns = new Yielder(maximumTurnMilliseconds);
    for (const server of ours) {
      await turns.yieldIfDue();
      if (ignoreKnown || this.parts.state.virtualServer(server.key) === undefined) {
        await this.#adopt(server);
        drifted.add(server.key);
      } else {
        toRead.push(server.identity);
        if (this.#compare(server)) drifted.add(server.key);
      }
    }
    for (const key of await this.#removeUnlisted(listed)) drifted.add(key);
    virtualServers.endDoubt((key) => listed.has(key));
    virtualServers.setForeign(foreign);
    this.#enqueue(toRead);
    return dirtyKeys({ virtualServers: drifted, addresses });
  }

  async #list(): Promise<Listing> {
    const listing: Listing = { ours: [], foreign: new Map() };
    const turns = new Yielder(maximumTurnMilliseconds);
    for (const observation of await this.parts.ipvs.virtualServersIncrementally()) {
      await turns.yieldIfDue();
      const server = withoutStatistics(observation);
      if (this.#isOurs(server.identity)) listing.ours.push(server);
      else listing.foreign.set(server.key, server.identity);
    }
    return listing;
  }

  /** Takes in how a known virtual server is set up; gives whether that drifted. */
  #compare(server: VirtualServer): boolean {
    const { state } = this.parts;
    const known = state.virtualServer(server.key);
    if (known !== undefined && sameVirtualServer(known.server, server)) return false;
    state.virtualServers.list(server);
    return true;
  }

  /** Takes in that virtual servers of ours are gone; gives them. */
  async #removeUnlisted(listed: ReadonlySet<VirtualServerKey>): Promise<readonly VirtualServerKey[]> {
    const { state } = this.parts;
    const removed: VirtualServerKey[] = [];
    for (const key of state.virtualServerKeys()) {
      const known = listed.has(key) ? undefined : state.virtualServer(key);
      if (known === undefined || (await this.#stillExists(known.server))) continue;
      state.virtualServers.apply(known.server.identity, { kind: 'not-listed' });
      removed.push(key);
    }
    return removed;
  }

  /**
   * Whether it exists although the dump does not list it. The attempt to create it tells that of what is desired; but no
   * operation tells it of what only waits for the end of its connections.
   */
  async #stillExists({ key, identity }: VirtualServer): Promise<boolean> {
    const { ipvs, isDesired, onUnreadable } = this.parts;
    if (isDesired(key)) return false;
    return (await tryReadVirtualServer(ipvs, identity, onUnreadable)) !== undefined;
  }

  /** Reads a virtual server of ours whole. It is known to exist; nothing is done to it until its real servers can be read. */
  async #adopt(server: VirtualServer): Promise<void> {
    const { ipvs, state, onUnreadable } = this.parts;
    const revision = state.virtualServers.revision(server.key);
    const found = await tryReadRealServers(ipvs, server.identity, onUnreadable);
    if (found === 'unreadable') {
      state.virtualServers.list(server);
      return;
    }
    const realServers = found.map(toRealServer);
    state.virtualServers.read(server.identity, { server, realServers }, { isAdopted: true, revision });
  }

  /** What the round before did not come to is read first, so that everything has its turn. */
  #enqueue(identities: readonly VirtualServerIdentity[]): void {
    const unfinished = new Set(this.#queue.map(virtualServerKey));
    const isUnfinished = (identity: VirtualServerIdentity): boolean =>
      unfinished.has(virtualServerKey(identity));
    this.#queue =
      unfinished.size === 0
        ? [...identities]
        : [...identities.filter(isUnfinished), ...identities.filter((each) => !isUnfinished(each))];
  }

  /** Compares the real servers of the next virtual servers, at most `count`. */
  async step(count: number): Promise<DirtyKeys> {
    const { ipvs, state, onUnreadable } = this.parts;
    const drifted = new Set<VirtualServerKey>();
    const turns = new Yielder(maximumTurnMilliseconds);
    for (const identity of this.#queue.splice(0, count)) {
      await turns.yieldIfDue();
      const key = virtualServerKey(identity);
      const known = state.virtualServer(key);
      if (known === undefined) continue;
      const revision = state.virtualServers.revision(key);
      const found = await tryReadRealServers(ipvs, identity, onUnreadable);
      if (found === 'unreadable') continue;
      const realServers = found.map(toRealServer);
      if (sameRealServers(known.realServers, realServers)) continue;
      state.virtualServers.read(
        identity,
        { server: known.server, realServers },
        { isAdopted: true, revision },
      );
      drifted.add(key);
    }
    return dirtyKeys({ virtualServers: drifted });
  }

  /** Compares the addresses on kube-ipvs0 alone; gives those that drifted. */
  async readAddresses(): Promise<DirtyKeys['addresses']> {
    return this.parts.state.setAddresses(await this.parts.dummyAddresses());
  }

  #isOurs(identity: VirtualServerIdentity): boolean {
    const { isOurs, state } = this.parts;
    const key = virtualServerKey(identity);
    return state.virtualServer(key) !== undefined || state.virtualServers.mayBeOurs(key) || isOurs(identity);
  }
}
