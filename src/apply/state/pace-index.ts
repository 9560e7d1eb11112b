import { DeadlineHeap } from '../../base/collections/deadline-heap.js';
import type { Pace, Paces, PaceSettings } from '../../model/pace.js';
import type { RealServerKey, VirtualServerKey } from '../../model/virtual-server.js';
import { nextChange } from '../../plan/pace/pace-step.js';

interface PaceKey {
  readonly virtualServer: VirtualServerKey;
  readonly realServer: RealServerKey;
}

/**
 * The real servers that do not have their full weight, by virtual server, and when their weights change next.
 * Has an entry for each virtual server whose weights change over time.
 */
export class PaceIndex {
  readonly #paces = new Map<VirtualServerKey, Paces>();
  /** The virtual servers whose real servers may be quarantined. */
  readonly #watched = new Set<VirtualServerKey>();
  readonly #counts = { climbing: 0, quarantined: 0 };
  readonly #changes = new DeadlineHeap<PaceKey>(({ virtualServer, realServer }, at) => {
    const pace = this.#paces.get(virtualServer)?.get(realServer);
    return pace !== undefined && nextChange(pace) === at;
  });

  /** Undefined if the weights of the virtual server do not change over time, or are not known yet. */
  of(key: VirtualServerKey): Paces | undefined {
    return this.#paces.get(key);
  }

  /** The number of real servers. */
  get counts(): Readonly<Record<Pace['kind'], number>> {
    return this.#counts;
  }

  get watched(): ReadonlySet<VirtualServerKey> {
    return this.#watched;
  }

  /** When the first weight changes. */
  get nextChange(): number | undefined {
    return this.#changes.next;
  }

  /** Takes the virtual servers with a weight that changes now. */
  takeDue(now: number): Set<VirtualServerKey> {
    return new Set(this.#changes.takeDue(now).map(({ virtualServer }) => virtualServer));
  }

  replace(key: VirtualServerKey, paces: Paces, settings: PaceSettings): void {
    const before = this.#paces.get(key);
    this.#count(before, -1);
    this.#count(paces, 1);
    this.#paces.set(key, paces);
    if (settings.quarantineMilliseconds > 0) this.#watched.add(key);
    else this.#watched.delete(key);
    for (const [realServer, pace] of paces) {
      const known = before?.get(realServer);
      const at = nextChange(pace);
      if (known === undefined || nextChange(known) !== at)
        this.#changes.push({ virtualServer: key, realServer }, at);
    }
  }

  delete(key: VirtualServerKey): void {
    this.#count(this.#paces.get(key), -1);
    this.#paces.delete(key);
    this.#watched.delete(key);
  }

  #count(paces: Paces | undefined, difference: 1 | -1): void {
    for (const { kind } of paces?.values() ?? []) this.#counts[kind] += difference;
  }
}
