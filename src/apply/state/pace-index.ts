import { DeadlineHeap } from '../../base/collections/deadline-heap.js';
import type { Pace, Paces, PaceSettings } from '../../model/pace.js';
import type { RealServerKey, VirtualServerKey } from '../../model/virtual-server.js';
import type { ElementKey, SetElement } from '../../nftables/declarations.js';
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
  /** The elements that record quarantines, by virtual server and by key. */
  readonly #recordKeys = new Map<VirtualServerKey, readonly ElementKey[]>();
  readonly #records = new Map<ElementKey, SetElement>();
  readonly #counts = { climbing: 0, quarantined: 0 };
  readonly #changes = new DeadlineHeap<PaceKey>(({ virtualServer, realServer }, at) => {
    const pace = this.#paces.get(virtualServer)?.get(realServer);
    return pace !== undefined && nextChange(pace) === at;
  });

  /** Undefined if the weights of the virtual server do not change over time, or are not known yet. */
  of(key: VirtualServerKey): Paces | undefined {
    return this.#paces.get(key);
  }

  /** The desired record of a quarantine with this key. */
  record(key: ElementKey): SetElement | undefined {
    return this.#records.get(key);
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

  /** Returns the keys of the records that were added or removed. */
  replace(
    key: VirtualServerKey,
    paces: Paces,
    settings: PaceSettings,
    records: readonly SetElement[],
  ): ReadonlySet<ElementKey> {
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
    return this.#replaceRecords(key, records);
  }

  /** Returns the keys of the records that were removed. */
  delete(key: VirtualServerKey): ReadonlySet<ElementKey> {
    this.#count(this.#paces.get(key), -1);
    this.#paces.delete(key);
    this.#watched.delete(key);
    return this.#replaceRecords(key, []);
  }

  #replaceRecords(of: VirtualServerKey, records: readonly SetElement[]): ReadonlySet<ElementKey> {
    const before = this.#recordKeys.get(of) ?? [];
    const after = records.map(({ key }) => key);
    const added = after.filter((key) => !this.#records.has(key));
    const removed = before.filter((key) => !after.includes(key));
    for (const key of removed) this.#records.delete(key);
    for (const record of records) this.#records.set(record.key, record);
    if (after.length > 0) this.#recordKeys.set(of, after);
    else this.#recordKeys.delete(of);
    return new Set([...added, ...removed]);
  }

  #count(paces: Paces | undefined, difference: 1 | -1): void {
    for (const { kind } of paces?.values() ?? []) this.#counts[kind] += difference;
  }
}
