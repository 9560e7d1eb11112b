import { messageOf } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import type { NodeState } from '../model/node.js';
import type { LostNodeAnswer } from '../plan/admin-answers.js';
import type { Source } from '../watch/source.js';
import { NamedTimers } from './named-timers.js';

/** Milliseconds. */
export interface LostNodesTiming {
  /** The first question about a node comes at random within this time: all nodes of a cluster lose it together. */
  readonly spread: number;
  /** From an answer to the next question, for as long as something of the node drains. */
  readonly again: number;
  /** So long `gone` counts: a node that comes back is not to lose what it serves then. */
  readonly fresh: number;
  /** Questions that may be under way together. */
  readonly atOnce: number;
}

const defaultTiming: LostNodesTiming = { spread: 1_000, again: 10_000, fresh: 5_000, atOnce: 2 };

const mostLost = 100;

export interface LostNodesParts {
  /** The nodes of which something drains that did not leave as pods do that are deleted. */
  readonly suspects: () => ReadonlySet<string>;
  /** How many real servers of the node drain. */
  readonly drainsOf: (nodeName: string) => number;
  /** Is told that another node is gone. */
  readonly found: () => void;
  readonly log: Logger;
  readonly timing?: LostNodesTiming;
  /** Milliseconds of a clock that nobody sets; performance.now where nothing is said. */
  readonly now?: () => number;
}

/**
 * Asks the source of a node whether it is there, where endpoints left without a word and connections to them are open: what was
 * on a node that is gone does not come back. A normal rollout asks nothing.
 */
export class LostNodes {
  readonly #timing: LostNodesTiming;
  readonly #now: () => number;
  readonly #goneAt = new Map<string, number>();
  readonly #timers = new NamedTimers();
  readonly #waiting = new Set<string>();
  readonly #asking = new Set<string>();
  readonly #answers = { there: 0, gone: 0, failed: 0 };
  /** The oldest first. */
  readonly #lost: { readonly node: string; readonly at: number; readonly realServers: number }[] = [];
  #ask: ((name: string) => Promise<NodeState>) | undefined;
  #troubled = false;

  constructor(private readonly parts: LostNodesParts) {
    this.#timing = parts.timing ?? defaultTiming;
    this.#now = parts.now ?? (() => performance.now());
  }

  /** How many questions had which answer; `failed`: none, and so the node counts as there. */
  get answers(): Readonly<Record<NodeState | 'failed', number>> {
    return this.#answers;
  }

  /** The nodes that were found to be gone while something of them drained, the latest first. */
  lost(): readonly LostNodeAnswer[] {
    const now = this.#now();
    return this.#lost
      .map(({ node, at, realServers }) => ({ node, secondsAgo: (now - at) / 1_000, realServers }))
      .toReversed();
  }

  /** From now on the source is asked; ended by what this gives. */
  start(source: Pick<Source, 'nodeState'>): Disposable {
    const stop = new AbortController();
    this.#ask = (name) => source.nodeState(name, stop.signal);
    return {
      [Symbol.dispose]: () => {
        this.#ask = undefined;
        this.#timers.stop();
        stop.abort();
      },
    };
  }

  isGone(name: string): boolean {
    const goneAt = this.#goneAt.get(name);
    return goneAt !== undefined && this.#now() - goneAt < this.#timing.fresh;
  }

  /** To be called when something may have begun to drain. */
  look(): void {
    if (this.#ask === undefined) return;
    for (const name of this.parts.suspects())
      if (!this.#timers.has(name) && !this.#waiting.has(name) && !this.#asking.has(name))
        this.#askAfter(name, Math.random() * this.#timing.spread);
  }

  #askAfter(name: string, milliseconds: number): void {
    this.#timers.after(name, milliseconds, () => {
      this.#waiting.add(name);
      this.#askNext();
    });
  }

  #askNext(): void {
    for (const name of this.#waiting) {
      if (this.#asking.size >= this.#timing.atOnce) return;
      this.#waiting.delete(name);
      if (this.parts.suspects().has(name)) void this.#question(name);
      else this.#goneAt.delete(name);
    }
  }

  async #question(name: string): Promise<void> {
    this.#asking.add(name);
    const answer = await this.#answerOf(name);
    this.#asking.delete(name);
    if (this.#ask === undefined) return;
    this.#answers[answer] += 1;
    this.#askAfter(name, this.#timing.again);
    if (answer === 'gone') this.#tell(name);
    this.#askNext();
  }

  async #answerOf(name: string): Promise<NodeState | 'failed'> {
    try {
      const state = await this.#ask?.(name);
      this.#troubled = false;
      return state ?? 'failed';
    } catch (error) {
      if (this.#ask !== undefined && !this.#troubled)
        this.parts.log.info(
          { node: name, error: messageOf(error) },
          'cannot ask whether a node is gone: what drains there does so until its deadline',
        );
      this.#troubled = true;
      return 'failed';
    }
  }

  #tell(name: string): void {
    this.#goneAt.set(name, this.#now());
    const realServers = this.parts.drainsOf(name);
    if (realServers === 0) return;
    this.#lost.push({ node: name, at: this.#now(), realServers });
    if (this.#lost.length > mostLost) this.#lost.shift();
    this.parts.log.warn({ node: name, realServers }, 'a node is gone: what drains there is ended');
    this.parts.found();
  }
}
