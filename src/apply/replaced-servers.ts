import type { VirtualServerKey } from '../model/virtual-server.js';
import type { MarkedFrontends } from '../plan/marked-frontends.js';
import { keptOf, type DirtyKeys } from '../plan/operations/diff.js';

/** The replaced virtual servers (`MarkedFrontends.isReplaced`) among the keys of one run. */
export class ReplacedServers {
  readonly #keys = new Set<VirtualServerKey>();

  constructor(private readonly marked: Pick<MarkedFrontends, 'isReplaced'>) {}

  get keys(): ReadonlySet<VirtualServerKey> {
    return this.#keys;
  }

  /** The keys without the replaced virtual servers, which are remembered. */
  setAside(dirty: DirtyKeys): DirtyKeys {
    for (const key of dirty.virtualServers) if (this.marked.isReplaced(key)) this.#keys.add(key);
    return { ...dirty, virtualServers: keptOf(dirty.virtualServers, (key) => this.#keys.has(key)) };
  }
}
