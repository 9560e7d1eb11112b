import { yieldToEventLoop } from '../../base/async.js';
import type { Logger } from '../../base/log.js';
import type { VirtualServerKey } from '../../model/virtual-server.js';
import { isEmpty, dirtyKeys, union, type DirtyKeys, type DesiredView } from '../../plan/operations/diff.js';
import type { DrainSettings } from '../../plan/drain/drain-step.js';
import type { OrphanedVirtualServers, OrphanEnd } from '../../plan/drain/orphaned-virtual-servers.js';
import { tryReadRealServers, type IpvsReads, type UnreadableHandler } from '../mirror/kernel-reader.js';
import { logSampled } from '../../base/log-sampled.js';
import type { ObservedState } from '../mirror/observed-state.js';

export interface OrphanReleaseParts {
  readonly ipvs: Pick<IpvsReads, 'realServers'>;
  readonly observed: ObservedState;
  /** All that is wanted, what lingers included. */
  readonly desired: DesiredView;
  readonly orphans: OrphanedVirtualServers;
  readonly drainSettings: () => DrainSettings;
  readonly onUnreadable: UnreadableHandler;
  readonly log: Logger;
}

/** Virtual servers that are read in a row before the event loop has its turn. */
const readsPerTurn = 64;

/** All keys of all parts; many parts cost no more than their keys. */
const unionOfAll = (parts: readonly DirtyKeys[]): DirtyKeys => ({
  virtualServers: new Set(parts.flatMap(({ virtualServers }) => [...virtualServers])),
  addresses: new Set(parts.flatMap(({ addresses }) => [...addresses])),
  elements: new Set(parts.flatMap(({ elements }) => [...elements])),
});

/** Decides by their connections which of the virtual servers linger that nobody wants any more, and says when they begin and end. */
export class OrphanRelease {
  constructor(private readonly parts: OrphanReleaseParts) {}

  /**
   * To be called before touched keys are diffed: what has become unwanted is read once. Gives the keys with those that are wanted
   * otherwise as virtual servers linger, or linger no more.
   */
  async expandDirtyKeys(dirty: DirtyKeys): Promise<DirtyKeys> {
    const ended = this.release(dirty.virtualServers, ['wanted-again', 'gone']);
    const begun = await this.#retainOrphans(dirty.virtualServers);
    return isEmpty(ended) && isEmpty(begun) ? dirty : union(dirty, union(ended, begun));
  }

  /** Lets go of those that end in one of these ways; gives what is wanted otherwise by that. */
  release(keys: Iterable<VirtualServerKey>, reasons: readonly OrphanEnd[]): DirtyKeys {
    const { orphans, observed, log } = this.parts;
    if (orphans.size === 0) return dirtyKeys();
    const changed: DirtyKeys[] = [];
    const released: object[] = [];
    for (const key of keys) {
      const end = orphans.endOf(key, observed);
      if (end === undefined || !reasons.includes(end)) continue;
      changed.push(orphans.release(key));
      released.push({ virtualServer: key, end });
    }
    logSampled(released, (fields) => log.info(fields, 'a virtual server lingers no more'));
    return unionOfAll(changed);
  }

  async #retainOrphans(keys: Iterable<VirtualServerKey>): Promise<DirtyKeys> {
    const { orphans, observed, desired, ipvs, drainSettings, onUnreadable, log } = this.parts;
    const changed: DirtyKeys[] = [];
    const retained: object[] = [];
    const candidates = orphans.candidates(keys, desired, observed, drainSettings());
    for (const [index, observedServer] of candidates.entries()) {
      if (index % readsPerTurn === readsPerTurn - 1) await yieldToEventLoop();
      const realServers = await tryReadRealServers(ipvs, observedServer.server.identity, onUnreadable);
      // Whether it has connections is not known: it stays until its next try.
      if (realServers === 'unreadable') continue;
      const connections = realServers.reduce(
        (sum, { activeConnections, inactiveConnections }) => sum + activeConnections + inactiveConnections,
        0,
      );
      if (connections === 0) continue;
      changed.push(orphans.retain(observedServer, observed));
      retained.push({ virtualServer: observedServer.server.key, connections });
    }
    logSampled(retained, (fields) =>
      log.info(fields, 'no Service asks for a virtual server any more; it stays for its open connections'),
    );
    return unionOfAll(changed);
  }
}
