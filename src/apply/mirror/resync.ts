import { Yielder } from '../../base/async.js';
import type { BoundVips } from '../../model/vip-binding.js';
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
  /** The VIPs that are bound. */
  readonly boundVips: () => Promise<BoundVips>;
  /** Whether kube-ipvs owns a virtual server that it does not know yet. */
  readonly isOurs: (identity: VirtualServerIdentity) => boolean;
  /** Whether a Service defines the virtual server. */
  readonly isDesired: (key: VirtualServerKey) => boolean;
  readonly onUnreadable: UnreadableHandler;
}

/** What one round finds. */
interface Round {
  readonly listed: Set<VirtualServerKey>;
  readonly foreign: Map<VirtualServerKey, VirtualServerIdentity>;
  readonly drifted: Set<VirtualServerKey>;
  /** The virtual servers whose real servers a later slice compares. */
  readonly toRead: VirtualServerIdentity[];
}

/** Maximum time between two turns of the event loop. */
const maximumTurnMilliseconds = 5;

const sameRealServers = (a: ReadonlyMap<unknown, RealServer>, b: readonly RealServer[]): boolean =>
  a.size === b.length &&
  b.every((server) => {
    const known = a.get(server.key);
    return known !== undefined && sameRealServer(known, server);
  });

/**
 * Reads the kernel in slices, updates the engine's state and returns the keys that drifted, which the
 * reconciler repairs. One dump lists all virtual servers and addresses; real servers cost one dump per
 * virtual server, so a slice reads only some of them.
 */
export class Resync {
  #queue: VirtualServerIdentity[] = [];

  constructor(private readonly parts: ResyncParts) {}

  /** The number of virtual servers whose real servers this round has not read yet. */
  get remaining(): number {
    return this.#queue.length;
  }

  /** Whether kube-ipvs owns a virtual server that is recorded as foreign. The next round adopts it. */
  get hasMisclassified(): boolean {
    for (const identity of this.parts.state.virtualServers.foreign.values())
      if (this.parts.isOurs(identity)) return true;
    return false;
  }

  /**
   * Begins a round: compares all virtual servers and addresses, and reads new virtual servers with their real
   * servers. With `ignoreKnown`, reads the real servers of every virtual server.
   */
  async begin({ ignoreKnown = false }: { readonly ignoreKnown?: boolean } = {}): Promise<DirtyKeys> {
    const { ipvs, state } = this.parts;
    const addresses = await this.readAddresses();
    const round: Round = { listed: new Set(), foreign: new Map(), drifted: new Set(), toRead: [] };
    const turns = new Yielder(maximumTurnMilliseconds);
    for (const observation of await ipvs.virtualServersIncrementally()) {
      await turns.yieldIfDue();
      const server = withoutStatistics(observation);
      if (!this.#isOurs(server.identity)) round.foreign.set(server.key, server.identity);
      else if (ignoreKnown || state.virtualServer(server.key) === undefined) await this.#adopt(server, round);
      else this.#compare(server, round);
    }
    for (const key of await this.#removeUnlisted(round.listed)) round.drifted.add(key);
    state.virtualServers.endDoubt((key) => round.listed.has(key));
    state.virtualServers.setForeign(round.foreign);
    this.#enqueue(round.toRead);
    return dirtyKeys({ virtualServers: round.drifted, addresses });
  }

  /** Records the settings of a known virtual server. */
  #compare(server: VirtualServer, { listed, drifted, toRead }: Round): void {
    const { state } = this.parts;
    const known = state.virtualServer(server.key);
    listed.add(server.key);
    toRead.push(server.identity);
    if (known !== undefined && sameVirtualServer(known.server, server)) return;
    state.virtualServers.list(server);
    drifted.add(server.key);
  }

  /** Records that virtual servers no longer exist, and returns their keys. */
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
   * Whether the virtual server exists although the dump does not list it. An orphaned virtual server must be
   * checked, because no operation is sent that would detect it; for a desired one, the attempt to create it
   * does.
   */
  async #stillExists({ key, identity }: VirtualServer): Promise<boolean> {
    const { ipvs, isDesired, onUnreadable } = this.parts;
    if (isDesired(key)) return false;
    return (await tryReadVirtualServer(ipvs, identity, onUnreadable)) !== undefined;
  }

  /**
   * Reads one of kube-ipvs's virtual servers with its real servers. No operation is sent for it until its
   * real servers are known.
   */
  async #adopt(server: VirtualServer, { listed, drifted }: Round): Promise<void> {
    listed.add(server.key);
    drifted.add(server.key);
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

  /** Virtual servers that the previous round did not reach come first, so every one is read eventually. */
  #enqueue(identities: readonly VirtualServerIdentity[]): void {
    const unfinished = new Set(this.#queue.map(virtualServerKey));
    const isUnfinished = (identity: VirtualServerIdentity): boolean =>
      unfinished.has(virtualServerKey(identity));
    this.#queue =
      unfinished.size === 0
        ? [...identities]
        : [...identities.filter(isUnfinished), ...identities.filter((each) => !isUnfinished(each))];
  }

  /** Compares the real servers of up to `count` virtual servers from the queue. */
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

  /** Compares only the bindings of VIPs. Returns the VIPs that drifted. */
  async readAddresses(): Promise<DirtyKeys['addresses']> {
    return this.parts.state.setAddresses(await this.parts.boundVips());
  }

  #isOurs(identity: VirtualServerIdentity): boolean {
    const { isOurs, state } = this.parts;
    const key = virtualServerKey(identity);
    return state.virtualServer(key) !== undefined || state.virtualServers.mayBeOurs(key) || isOurs(identity);
  }
}
