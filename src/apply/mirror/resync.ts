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
import type { ForeignVirtualServers } from '../../plan/ownership/foreign-virtual-servers.js';
import { dirtyKeys, type DirtyKeys } from '../../plan/operations/diff.js';
import {
  toRealServer,
  tryReadRealServers,
  tryReadVirtualServer,
  withoutStatistics,
  type IpvsReads,
  type UnreadableHandler,
} from './kernel-reader.js';
import type { ObservedState } from './observed-state.js';

export interface ResyncParts {
  readonly ipvs: IpvsReads;
  readonly observed: ObservedState;
  /** The addresses on kube-ipvs0 now. */
  readonly dummyAddresses: () => Promise<readonly IpAddress[]>;
  /** Whether a virtual server that we know nothing of yet is ours. */
  readonly isOurs: (identity: VirtualServerIdentity) => boolean;
  /** Whether a Service asks for it. */
  readonly isDesired: (key: VirtualServerKey) => boolean;
  readonly onUnreadable: UnreadableHandler;
  /** Is told which virtual servers of ours are not there any more, as far as a dump can tell; at every round. */
  readonly onMissing?: (missing: ReadonlySet<VirtualServerKey>) => void;
  /** Is given those that are not, at every round. */
  readonly foreign: Pick<ForeignVirtualServers, 'replace' | 'identities'>;
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
 * Reads the kernel in slices and brings the mirror up to date; gives the keys that drifted, for the reconciler to repair.
 * One dump tells all virtual servers and addresses; real servers cost a dump each, so a slice reads only some of them.
 */
export class Resync {
  #queue: VirtualServerIdentity[] = [];

  constructor(private readonly parts: ResyncParts) {}

  /** How many virtual servers' real servers this round has still to read. */
  get remaining(): number {
    return this.#queue.length;
  }

  /** Whether something was taken for somebody else's that is ours by what is known now: the next round adopts it. */
  get hasMisclassified(): boolean {
    for (const identity of this.parts.foreign.identities()) if (this.parts.isOurs(identity)) return true;
    return false;
  }

  /**
   * Begins a round: compares all virtual servers and addresses, and reads those that are new to us whole. `anew`: nothing
   * that is known counts, but for whose a virtual server is.
   */
  async begin({ ignoreKnown = false }: { readonly ignoreKnown?: boolean } = {}): Promise<DirtyKeys> {
    const { ipvs, observed } = this.parts;
    const addresses = await this.readAddresses();
    const drifted = new Set<VirtualServerKey>();
    const present = new Set<VirtualServerKey>();
    const queue: VirtualServerIdentity[] = [];
    const foreign = new Map<VirtualServerKey, VirtualServerIdentity>();
    const turns = new Yielder(maximumTurnMilliseconds);
    for (const observation of await ipvs.virtualServersIncrementally()) {
      await turns.yieldIfDue();
      const server = withoutStatistics(observation);
      if (!this.#isOurs(server.identity)) {
        foreign.set(server.key, server.identity);
        continue;
      }
      present.add(server.key);
      const known = ignoreKnown ? undefined : observed.virtualServer(server.key);
      if (known === undefined) {
        await this.#adopt(server);
      } else {
        queue.push(server.identity);
        if (sameVirtualServer(known.server, server)) continue;
        observed.setVirtualServer(server.key, { server, realServers: known.realServers.values() });
      }
      drifted.add(server.key);
    }
    const missing = new Set([...observed.virtualServerKeys()].filter((known) => !present.has(known)));
    for (const key of missing) {
      if (await this.#stillExists(key)) continue;
      observed.setVirtualServer(key, undefined);
      drifted.add(key);
    }
    this.parts.onMissing?.(missing);
    // What the round before did not come to is read first, so that everything has its turn.
    const unfinished = new Set(this.#queue.map(virtualServerKey));
    const isUnfinished = (identity: VirtualServerIdentity): boolean =>
      unfinished.has(virtualServerKey(identity));
    this.#queue =
      unfinished.size === 0
        ? queue
        : [...queue.filter(isUnfinished), ...queue.filter((each) => !isUnfinished(each))];
    this.parts.foreign.replace(foreign);
    return dirtyKeys({ virtualServers: drifted, addresses });
  }

  /**
   * Whether it is there although the dump did not have it. Of what is wanted the attempt to make it tells; but nobody would look
   * again for what only waits for the end of its connections.
   */
  async #stillExists(key: VirtualServerKey): Promise<boolean> {
    const { ipvs, observed, isDesired, onUnreadable } = this.parts;
    const known = observed.virtualServer(key);
    if (known === undefined || isDesired(key)) return false;
    return (await tryReadVirtualServer(ipvs, known.server.identity, onUnreadable)) !== undefined;
  }

  async #adopt(server: VirtualServer): Promise<void> {
    const { ipvs, observed, onUnreadable } = this.parts;
    const read = await tryReadRealServers(ipvs, server.identity, onUnreadable);
    // It is known to be there; nothing is done to it until it can be read.
    const realServers =
      read === 'unreadable'
        ? (observed.virtualServer(server.key)?.realServers.values() ?? [])
        : read.map(toRealServer);
    observed.setVirtualServer(server.key, { server, realServers });
  }

  /** Compares the real servers of the next virtual servers, at most `count`. */
  async step(count: number): Promise<DirtyKeys> {
    const { ipvs, observed, onUnreadable } = this.parts;
    const drifted = new Set<VirtualServerKey>();
    const turns = new Yielder(maximumTurnMilliseconds);
    for (const identity of this.#queue.splice(0, count)) {
      await turns.yieldIfDue();
      const key = virtualServerKey(identity);
      const known = observed.virtualServer(key);
      if (known === undefined) continue;
      const read = await tryReadRealServers(ipvs, identity, onUnreadable);
      if (read === 'unreadable') continue;
      const realServers = read.map(toRealServer);
      if (sameRealServers(known.realServers, realServers)) continue;
      observed.setVirtualServer(key, { server: known.server, realServers });
      drifted.add(key);
    }
    return dirtyKeys({ virtualServers: drifted });
  }

  /** Compares the addresses on kube-ipvs0 alone; gives those that drifted. */
  async readAddresses(): Promise<DirtyKeys['addresses']> {
    const { observed } = this.parts;
    const before = new Set(observed.addresses());
    observed.setAddresses(await this.parts.dummyAddresses());
    const after = observed.addresses();
    return new Set([
      ...[...after].filter((address) => !before.has(address)),
      ...[...before].filter((address) => !after.has(address)),
    ]);
  }

  #isOurs(identity: VirtualServerIdentity): boolean {
    const { isOurs, observed } = this.parts;
    return observed.virtualServer(virtualServerKey(identity)) !== undefined || isOurs(identity);
  }
}
