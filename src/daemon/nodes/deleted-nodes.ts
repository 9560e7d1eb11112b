import { messageOf } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import { StateLog } from '../../base/state-log.js';
import { Wakeups } from '../../base/wakeups.js';
import type { NodeState } from '../../model/node.js';
import type { DeletedNodeResponse } from '../../admin-api/responses.js';
import type { Source } from '../../watch/source.js';

/** Times are milliseconds. */
export interface DeletedNodesTiming {
  /** The first query about a node is sent at a random moment within this time, as all nodes of a cluster lose it together. */
  readonly spread: number;
  /** From a result to the next query, while real servers of the node drain. */
  readonly recheckInterval: number;
  /** How long a deletion counts: a node that is created again keeps the connections of its new pods. */
  readonly validity: number;
  /** How many queries may run together. */
  readonly concurrency: number;
}

const defaultTiming: DeletedNodesTiming = {
  spread: 1_000,
  recheckInterval: 10_000,
  validity: 5_000,
  concurrency: 2,
};

const maximumHistory = 100;

export interface DeletedNodesParts {
  /** Called when another node is found to be deleted. */
  readonly deletionFound: () => void;
  readonly log: Logger;
  readonly timing?: DeletedNodesTiming;
  /** A monotonic clock in milliseconds; `performance.now` by default. */
  readonly now?: () => number;
}

/** Draining real servers by node. */
export interface DrainsByNode {
  /** The nodes of real servers that drain although their pods were not deleted. */
  nodesToCheck(): ReadonlySet<string>;
  /** How many real servers of the node drain. */
  countOnNode(nodeName: string): number;
}

interface Running {
  readonly nodeState: (name: string) => Promise<NodeState>;
  readonly drains: DrainsByNode;
}

/**
 * Queries the source for a node whose endpoints disappeared while connections to them were open. The pods of a deleted node do
 * not come back. A normal rollout queries nothing.
 */
export class DeletedNodes {
  readonly #timing: DeletedNodesTiming;
  readonly #now: () => number;
  readonly #deletedAt = new Map<string, number>();
  readonly #wakeups: Wakeups;
  readonly #waiting = new Set<string>();
  readonly #querying = new Set<string>();
  readonly #results = { there: 0, gone: 0, failed: 0 };
  /** The oldest first. */
  readonly #history: { readonly node: string; readonly at: number; readonly realServers: number }[] = [];
  readonly #queryFailure = new StateLog();
  #running: Running | undefined;

  constructor(private readonly parts: DeletedNodesParts) {
    this.#timing = parts.timing ?? defaultTiming;
    this.#now = parts.now ?? (() => performance.now());
    this.#wakeups = new Wakeups((name) => {
      this.#waiting.add(name);
      this.#startQueries();
    }, this.#now);
  }

  /** How many queries had which result. `failed`: the node counts as present. */
  get results(): Readonly<Record<NodeState | 'failed', number>> {
    return this.#results;
  }

  /** The nodes that were found to be deleted while one of their real servers drained, the latest first. */
  deletedNodes(): readonly DeletedNodeResponse[] {
    const now = this.#now();
    return this.#history
      .map(({ node, at, realServers }) => ({ node, secondsAgo: (now - at) / 1_000, realServers }))
      .toReversed();
  }

  /** Queries the source about the nodes of these drains until the result is disposed. */
  start(source: Pick<Source, 'nodeState'>, drains: DrainsByNode): Disposable {
    const stop = new AbortController();
    this.#running = { nodeState: (name) => source.nodeState(name, stop.signal), drains };
    return {
      [Symbol.dispose]: () => {
        this.#running = undefined;
        this.#wakeups.stop();
        stop.abort();
      },
    };
  }

  isDeleted(name: string): boolean {
    const deletedAt = this.#deletedAt.get(name);
    return deletedAt !== undefined && this.#now() - deletedAt < this.#timing.validity;
  }

  /** Schedules a query for each node that has none yet. */
  checkSuspects(): void {
    for (const name of this.#running?.drains.nodesToCheck() ?? [])
      if (!this.#wakeups.isScheduled(name) && !this.#waiting.has(name) && !this.#querying.has(name))
        this.#wakeups.schedule(name, Math.random() * this.#timing.spread);
  }

  #startQueries(): void {
    for (const name of this.#waiting) {
      if (this.#running === undefined || this.#querying.size >= this.#timing.concurrency) return;
      this.#waiting.delete(name);
      if (this.#running.drains.nodesToCheck().has(name)) void this.#check(name, this.#running);
      else this.#deletedAt.delete(name);
    }
  }

  async #check(name: string, running: Running): Promise<void> {
    this.#querying.add(name);
    const result = await this.#query(name, running);
    this.#querying.delete(name);
    if (this.#running === undefined) return;
    this.#results[result] += 1;
    this.#wakeups.schedule(name, this.#timing.recheckInterval);
    if (result === 'gone') this.#markDeleted(name, running.drains);
    this.#startQueries();
  }

  async #query(name: string, running: Running): Promise<NodeState | 'failed'> {
    try {
      const state = await running.nodeState(name);
      this.#queryFailure.end('');
      return state;
    } catch (error) {
      if (this.#running !== undefined)
        this.#queryFailure.begin('', 'failed', () =>
          this.parts.log.info(
            { event: 'node-query-failed', node: name, error: messageOf(error) },
            'Querying a Node failed; its real servers drain until their deadline',
          ),
        );
      return 'failed';
    }
  }

  #markDeleted(name: string, drains: DrainsByNode): void {
    this.#deletedAt.set(name, this.#now());
    const realServers = drains.countOnNode(name);
    if (realServers === 0) return;
    this.#history.push({ node: name, at: this.#now(), realServers });
    if (this.#history.length > maximumHistory) this.#history.shift();
    this.parts.log.warn(
      { event: 'draining-node-deleted', node: name, realServers },
      'Node deleted; its draining real servers are removed',
    );
    this.parts.deletionFound();
  }
}
