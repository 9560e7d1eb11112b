import { messageOf } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import type { NodeState } from '../../model/node.js';
import type { DeletedNodeResponse } from '../../admin-api/responses.js';
import type { Source } from '../../watch/source.js';
import { NamedTimers } from '../../base/named-timers.js';

/** Milliseconds. */
export interface DeletedNodesTiming {
  /** The first question about a node comes at random within this time: all nodes of a cluster lose it together. */
  readonly spread: number;
  /** From an answer to the next question, for as long as something of the node drains. */
  readonly recheckInterval: number;
  /** So long `gone` counts: a node that comes back is not to lose what it serves then. */
  readonly validity: number;
  /** Questions that may be under way together. */
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
  /** The nodes of which something drains that did not leave as pods do that are deleted. */
  readonly suspects: () => ReadonlySet<string>;
  /** How many real servers of the node drain. */
  readonly drainCountOf: (nodeName: string) => number;
  /** Is told that another node is gone. */
  readonly deletionFound: () => void;
  readonly log: Logger;
  readonly timing?: DeletedNodesTiming;
  /** Milliseconds of a clock that nobody sets; performance.now where nothing is said. */
  readonly now?: () => number;
}

/**
 * Asks the source of a node whether it is there, where endpoints left without a word and connections to them are open: what was
 * on a node that is gone does not come back. A normal rollout asks nothing.
 */
export class DeletedNodes {
  readonly #timing: DeletedNodesTiming;
  readonly #now: () => number;
  readonly #deletedAt = new Map<string, number>();
  readonly #timers = new NamedTimers();
  readonly #waiting = new Set<string>();
  readonly #querying = new Set<string>();
  readonly #results = { there: 0, gone: 0, failed: 0 };
  /** The oldest first. */
  readonly #history: { readonly node: string; readonly at: number; readonly realServers: number }[] = [];
  #query: ((name: string) => Promise<NodeState>) | undefined;
  #queryFailed = false;

  constructor(private readonly parts: DeletedNodesParts) {
    this.#timing = parts.timing ?? defaultTiming;
    this.#now = parts.now ?? (() => performance.now());
  }

  /** How many questions had which answer; `failed`: none, and so the node counts as there. */
  get results(): Readonly<Record<NodeState | 'failed', number>> {
    return this.#results;
  }

  /** The nodes that were found to be gone while something of them drained, the latest first. */
  deletedNodes(): readonly DeletedNodeResponse[] {
    const now = this.#now();
    return this.#history
      .map(({ node, at, realServers }) => ({ node, secondsAgo: (now - at) / 1_000, realServers }))
      .toReversed();
  }

  /** From now on the source is asked; ended by what this gives. */
  start(source: Pick<Source, 'nodeState'>): Disposable {
    const stop = new AbortController();
    this.#query = (name) => source.nodeState(name, stop.signal);
    return {
      [Symbol.dispose]: () => {
        this.#query = undefined;
        this.#timers.stop();
        stop.abort();
      },
    };
  }

  isDeleted(name: string): boolean {
    const deletedAt = this.#deletedAt.get(name);
    return deletedAt !== undefined && this.#now() - deletedAt < this.#timing.validity;
  }

  /** To be called when something may have begun to drain. */
  checkSuspects(): void {
    if (this.#query === undefined) return;
    for (const name of this.parts.suspects())
      if (!this.#timers.has(name) && !this.#waiting.has(name) && !this.#querying.has(name))
        this.#scheduleQuery(name, Math.random() * this.#timing.spread);
  }

  #scheduleQuery(name: string, milliseconds: number): void {
    this.#timers.after(name, milliseconds, () => {
      this.#waiting.add(name);
      this.#startQueries();
    });
  }

  #startQueries(): void {
    for (const name of this.#waiting) {
      if (this.#querying.size >= this.#timing.concurrency) return;
      this.#waiting.delete(name);
      if (this.parts.suspects().has(name)) void this.#check(name);
      else this.#deletedAt.delete(name);
    }
  }

  async #check(name: string): Promise<void> {
    this.#querying.add(name);
    const result = await this.#resultOf(name);
    this.#querying.delete(name);
    if (this.#query === undefined) return;
    this.#results[result] += 1;
    this.#scheduleQuery(name, this.#timing.recheckInterval);
    if (result === 'gone') this.#markDeleted(name);
    this.#startQueries();
  }

  async #resultOf(name: string): Promise<NodeState | 'failed'> {
    try {
      const state = await this.#query?.(name);
      this.#queryFailed = false;
      return state ?? 'failed';
    } catch (error) {
      if (this.#query !== undefined && !this.#queryFailed)
        this.parts.log.info(
          { node: name, error: messageOf(error) },
          'cannot ask whether a node is gone: what drains there does so until its deadline',
        );
      this.#queryFailed = true;
      return 'failed';
    }
  }

  #markDeleted(name: string): void {
    this.#deletedAt.set(name, this.#now());
    const realServers = this.parts.drainCountOf(name);
    if (realServers === 0) return;
    this.#history.push({ node: name, at: this.#now(), realServers });
    if (this.#history.length > maximumHistory) this.#history.shift();
    this.parts.log.warn({ node: name, realServers }, 'a node is gone: what drains there is ended');
    this.parts.deletionFound();
  }
}
