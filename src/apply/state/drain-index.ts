import { CounterMap } from '../../base/collections/counter-map.js';
import { DeadlineHeap } from '../../base/collections/deadline-heap.js';
import type { RealServerKey, VirtualServerKey } from '../../model/virtual-server.js';
import type { ElementKey, SetElement } from '../../nftables/declarations.js';
import type { Draining, DrainingServer, DrainingServers } from '../../plan/drain/drain-step.js';

interface DrainKey {
  readonly virtualServer: VirtualServerKey;
  readonly realServer: RealServerKey;
}

export const noDrainingServers: DrainingServers = new Map();

/**
 * The draining real servers of all entries, indexed by virtual server, deadline and node, and the elements
 * that record them.
 */
export class DrainIndex {
  readonly #draining = new Map<VirtualServerKey, DrainingServers>();
  readonly #records = new Map<ElementKey, SetElement>();
  readonly #nodes = new CounterMap<string>();
  readonly #suspectNodes = new CounterMap<string>();
  readonly #deadlines: DeadlineHeap<DrainKey>;
  #size = 0;

  /** `isHeldBack` returns whether to ignore the deadlines of a virtual server for now. */
  constructor(isHeldBack: (key: VirtualServerKey) => boolean) {
    this.#deadlines = new DeadlineHeap(
      ({ virtualServer, realServer }, at) =>
        this.of(virtualServer).get(realServer)?.until === at && !isHeldBack(virtualServer),
    );
  }

  get draining(): Draining {
    return this.#draining;
  }

  /** The number of draining real servers. */
  get size(): number {
    return this.#size;
  }

  of(key: VirtualServerKey): DrainingServers {
    return this.#draining.get(key) ?? noDrainingServers;
  }

  /** The desired drain record with this key. */
  record(key: ElementKey): SetElement | undefined {
    return this.#records.get(key);
  }

  /** The number of draining real servers on the node. */
  countOnNode(name: string): number {
    return this.#nodes.get(name);
  }

  /**
   * Nodes that may be deleted: a real server on them drains although its endpoint was not seen terminating.
   */
  suspectNodes(): ReadonlySet<string> {
    return new Set(this.#suspectNodes.keys());
  }

  get nextDeadline(): number | undefined {
    return this.#deadlines.next;
  }

  /** Takes the virtual servers whose deadline has passed. */
  takeDue(now: number): ReadonlySet<VirtualServerKey> {
    return new Set(this.#deadlines.takeDue(now).map(({ virtualServer }) => virtualServer));
  }

  /**
   * Replaces the draining real servers of a virtual server. Returns the keys of the drain records that were
   * added or removed.
   */
  replace(key: VirtualServerKey, after: DrainingServers): readonly ElementKey[] {
    const before = this.of(key);
    if (before.size === 0 && after.size === 0) return [];
    for (const server of before.values()) this.#count(server, -1);
    for (const server of after.values()) this.#count(server, 1);
    for (const [realServer, { until }] of after)
      if (before.get(realServer)?.until !== until)
        this.#deadlines.push({ virtualServer: key, realServer }, until);
    if (after.size === 0) this.#draining.delete(key);
    else this.#draining.set(key, after);
    return [...this.#replaceRecords(before, after)];
  }

  /** Schedules the deadlines of a virtual server again after it was held back. */
  restoreDeadlines(key: VirtualServerKey): void {
    for (const [realServer, { until }] of this.of(key))
      this.#deadlines.push({ virtualServer: key, realServer }, until);
  }

  *#replaceRecords(before: DrainingServers, after: DrainingServers): Iterable<ElementKey> {
    for (const [realServer, { record }] of before) {
      if (after.has(realServer)) continue;
      this.#records.delete(record.key);
      yield record.key;
    }
    for (const [realServer, { record }] of after) {
      this.#records.set(record.key, record);
      if (!before.has(realServer)) yield record.key;
    }
  }

  #count({ node }: DrainingServer, difference: number): void {
    this.#size += difference;
    if (node === undefined) return;
    this.#nodes.add(node.name, difference);
    if (node.isSuspect) this.#suspectNodes.add(node.name, difference);
  }
}
