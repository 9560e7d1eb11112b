import { yieldToEventLoop } from '../../base/async.js';
import { families } from '../../base/ip.js';
import { logSampled } from '../../base/log-sampled.js';
import type { Logger } from '../../base/log.js';
import type { VirtualServerKey } from '../../model/virtual-server.js';
import type { DrainSettings } from '../../plan/drain/drain-step.js';
import {
  orphanEnd,
  orphanOf,
  type Orphan,
  type OrphanEnd,
  type OrphanFacts,
} from '../../plan/drain/orphan.js';
import { inClusterServerOf } from '../../plan/packet-rules/packet-elements.js';
import type { DesiredView } from '../../plan/operations/diff.js';
import { tryReadRealServers, type IpvsReads, type UnreadableHandler } from '../mirror/kernel-reader.js';
import type { SetElement } from '../../nftables/declarations.js';
import type { EngineState } from '../state/engine-state.js';

export interface OrphansParts extends Omit<OrphanFacts, 'observed' | 'leadingElements'> {
  readonly ipvs: Pick<IpvsReads, 'realServers'>;
  readonly state: EngineState;
  /** The desired state, orphaned virtual servers included. */
  readonly desired: DesiredView;
  readonly drainSettings: () => DrainSettings;
  readonly onUnreadable: UnreadableHandler;
  readonly log: Logger;
}

/** The elements that lead to virtual servers on firewall marks. */
const elementsByServer = (state: EngineState): ReadonlyMap<VirtualServerKey, readonly SetElement[]> => {
  const byServer = new Map<VirtualServerKey, SetElement[]>();
  for (const family of families)
    for (const element of state.elementsOf(family)) {
      const server = inClusterServerOf(element);
      if (server === undefined) continue;
      const elements = byServer.get(server) ?? [];
      byServer.set(server, elements);
      elements.push(element);
    }
  return byServer;
};

/** Virtual servers to read before yielding to the event loop. */
const readsPerTurn = 64;

/**
 * Decides which virtual servers become orphaned and when orphaned virtual servers are released, by their
 * connections.
 */
export class Orphans {
  constructor(private readonly parts: OrphansParts) {}

  /** Visits all elements at most once. */
  get #facts(): OrphanFacts {
    const { state } = this.parts;
    let byServer: ReadonlyMap<VirtualServerKey, readonly SetElement[]> | undefined;
    const leadingElements = (key: VirtualServerKey): readonly SetElement[] =>
      (byServer ??= elementsByServer(state)).get(key) ?? [];
    return { ...this.parts, observed: state, leadingElements };
  }

  /** Releases the orphaned virtual servers among these keys to which one of the reasons applies. */
  release(keys: Iterable<VirtualServerKey>, reasons: readonly OrphanEnd[]): void {
    const { state, log } = this.parts;
    const { orphans } = state.virtualServers;
    if (orphans.size === 0) return;
    const released: object[] = [];
    const facts = this.#facts;
    for (const key of keys) {
      const orphan = orphans.get(key);
      const end = orphan && orphanEnd(orphan, facts);
      if (end === undefined || !reasons.includes(end)) continue;
      state.virtualServers.setOrphan(key, undefined);
      released.push({ virtualServer: key, reason: end });
    }
    logSampled('orphan-released', released, (fields) => log.info(fields, 'Orphaned virtual server released'));
  }

  /**
   * Retains the virtual servers among these keys that no Service defines any more and that have open
   * connections.
   */
  async retain(keys: Iterable<VirtualServerKey>): Promise<void> {
    const { state, ipvs, onUnreadable, log } = this.parts;
    const retained: object[] = [];
    for (const [index, orphan] of this.#candidates(keys).entries()) {
      if (index % readsPerTurn === readsPerTurn - 1) await yieldToEventLoop();
      const { identity, key } = orphan.desired.server;
      const realServers = await tryReadRealServers(ipvs, identity, onUnreadable);
      // Its connections are unknown, so the virtual server stays until the next attempt.
      if (realServers === 'unreadable') continue;
      let connections = 0;
      for (const server of realServers) connections += server.activeConnections + server.inactiveConnections;
      if (connections === 0) continue;
      state.virtualServers.setOrphan(key, orphan);
      retained.push({ virtualServer: key, connections });
    }
    logSampled('virtual-server-orphaned', retained, (fields) =>
      log.info(fields, 'Virtual server kept for its open connections'),
    );
  }

  #candidates(keys: Iterable<VirtualServerKey>): readonly Orphan[] {
    const { desired, state, drainSettings } = this.parts;
    const settings = drainSettings();
    const facts = this.#facts;
    const found: Orphan[] = [];
    for (const key of keys) {
      const observed = desired.virtualServer(key) === undefined ? state.virtualServer(key) : undefined;
      const orphan = observed && orphanOf(observed, facts, settings);
      if (orphan !== undefined) found.push(orphan);
    }
    return found;
  }
}
