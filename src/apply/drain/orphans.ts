import { yieldToEventLoop } from '../../base/async.js';
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
import type { DesiredView } from '../../plan/operations/diff.js';
import { tryReadRealServers, type IpvsReads, type UnreadableHandler } from '../mirror/kernel-reader.js';
import type { EngineState } from '../state/engine-state.js';

export interface OrphansParts extends Omit<OrphanFacts, 'observed'> {
  readonly ipvs: Pick<IpvsReads, 'realServers'>;
  readonly state: EngineState;
  /** All that is desired, orphans included. */
  readonly desired: DesiredView;
  readonly drainSettings: () => DrainSettings;
  readonly onUnreadable: UnreadableHandler;
  readonly log: Logger;
}

/** Virtual servers that are read before the event loop gets its turn. */
const readsPerTurn = 64;

/** Decides by their connections which virtual servers become orphans, and which orphans end. */
export class Orphans {
  readonly #facts: OrphanFacts;

  constructor(private readonly parts: OrphansParts) {
    this.#facts = { ...parts, observed: parts.state };
  }

  /** Ends the orphans among these for which one of the reasons holds. */
  release(keys: Iterable<VirtualServerKey>, reasons: readonly OrphanEnd[]): void {
    const { state, log } = this.parts;
    const { orphans } = state.virtualServers;
    if (orphans.size === 0) return;
    const released: object[] = [];
    for (const key of keys) {
      const orphan = orphans.get(key);
      const end = orphan && orphanEnd(orphan, this.#facts);
      if (end === undefined || !reasons.includes(end)) continue;
      state.virtualServers.setOrphan(key, undefined);
      released.push({ virtualServer: key, reason: end });
    }
    logSampled('orphan-released', released, (fields) => log.info(fields, 'Orphaned virtual server released'));
  }

  /** Keeps those of these virtual servers that no Service asks for any more and that have open connections. */
  async retain(keys: Iterable<VirtualServerKey>): Promise<void> {
    const { state, ipvs, onUnreadable, log } = this.parts;
    const retained: object[] = [];
    for (const [index, orphan] of this.#candidates(keys).entries()) {
      if (index % readsPerTurn === readsPerTurn - 1) await yieldToEventLoop();
      const { identity, key } = orphan.desired.server;
      const realServers = await tryReadRealServers(ipvs, identity, onUnreadable);
      // Whether it has connections is not known: it stays until its next try.
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
    const found: Orphan[] = [];
    for (const key of keys) {
      const observed = desired.virtualServer(key) === undefined ? state.virtualServer(key) : undefined;
      const orphan = observed && orphanOf(observed, this.#facts, settings);
      if (orphan !== undefined) found.push(orphan);
    }
    return found;
  }
}
