import { Backoff } from '../../base/async.js';
import { DeadlineHeap } from '../../base/collections/deadline-heap.js';
import type { Refusal } from './decisions.js';

/** When what was refused is tried again. */
export type RetryKind = 'soon' | 'later' | 'given-up';

interface Delays {
  readonly firstMilliseconds: number;
  readonly maximumMilliseconds: number;
}

export type RetryDelays = Readonly<Record<Exclude<RetryKind, 'given-up'>, Delays>>;

export const defaultRetryDelays: RetryDelays = {
  soon: { firstMilliseconds: 50, maximumMilliseconds: 10_000 },
  later: { firstMilliseconds: 500, maximumMilliseconds: 60_000 },
};

/** What was in doubt and stayed so is no less urgent than what was disturbed. */
export const retryKindOf = (refusal: Refusal): RetryKind => {
  switch (refusal) {
    case 'retry':
      return 'later';
    case 'give-up':
      return 'given-up';
    case 'reread':
    case 'retry-soon':
    case 'ensure-device':
    case 'reopen':
      return 'soon';
  }
};

interface RetryEntry<Item> {
  readonly item: Item;
  readonly kind: RetryKind;
  readonly backoff: Backoff | undefined;
  readonly since: number;
  readonly reason: string;
  /** Infinity: only when it changes, or with the next resync. */
  readonly dueAt: number;
  /** The run in which it failed last. */
  readonly run: number;
}

/** Something that failed and did not succeed since. Times are milliseconds of the clock of `failed`. */
export interface Failure {
  readonly what: string;
  readonly reason: string;
  /** When it failed first. */
  readonly since: number;
  /** When it is tried again; Infinity: not by itself. */
  readonly dueAt: number;
}

/** What failed and is to be tried again, each with its own backoff: one bad object never delays another. */
export class Retries<Item> {
  readonly #entries = new Map<string, RetryEntry<Item>>();
  readonly #deadlines = new DeadlineHeap<string>((key, at) => this.#entries.get(key)?.dueAt === at);
  #run = 0;
  /** What was due in this run. */
  #taken: readonly string[] = [];

  constructor(private readonly delays: RetryDelays = defaultRetryDelays) {}

  get size(): number {
    return this.#entries.size;
  }

  /** Begins a run, in which each key fails once at most. What the run before did not come to is due again. */
  beginRun(): void {
    for (const key of this.#taken) {
      const entry = this.#entries.get(key);
      if (entry !== undefined && entry.run !== this.#run) this.#deadlines.push(key, entry.dueAt);
    }
    this.#taken = [];
    this.#run += 1;
  }

  /** Whether the key failed in this run. */
  hasFailed(key: string): boolean {
    return this.#entries.get(key)?.run === this.#run;
  }

  /** Those that are tried again only when they change, or with the next resync. */
  *givenUp(): Iterable<Item> {
    for (const { kind, item } of this.#entries.values()) if (kind === 'given-up') yield item;
  }

  /** Records a failure at `now`, milliseconds of a monotonic clock. Returns whether it is the first failure, or one for another reason. */
  recordFailure(
    key: string,
    item: Item,
    { kind, reason }: { readonly kind: RetryKind; readonly reason: string },
    now: number,
  ): boolean {
    const known = this.#entries.get(key);
    const backoff = this.#backoff(known, kind);
    const dueAt = now + (backoff?.next() ?? Infinity);
    const since = known?.since ?? now;
    this.#set(key, { item, kind, backoff, since, reason, dueAt, run: this.#run });
    return known?.reason !== reason;
  }

  #backoff(known: RetryEntry<Item> | undefined, kind: RetryKind): Backoff | undefined {
    if (kind === 'given-up') return undefined;
    return (known?.kind === kind ? known.backoff : undefined) ?? new Backoff(this.delays[kind]);
  }

  #set(key: string, entry: RetryEntry<Item>): void {
    this.#entries.set(key, entry);
    if (entry.dueAt !== Infinity) this.#deadlines.push(key, entry.dueAt);
  }

  /** Records that the key is as desired, or no longer desired. Returns whether it had failed before. */
  recordSuccess(key: string): boolean {
    return this.#entries.delete(key);
  }

  /** What was given up is due now, once. */
  retryGivenUp(now: number): void {
    for (const [key, entry] of this.#entries)
      if (entry.kind === 'given-up') this.#set(key, { ...entry, dueAt: now });
  }

  *failures(): Iterable<Failure> {
    for (const [what, { reason, since, dueAt }] of this.#entries) yield { what, reason, since, dueAt };
  }

  /** Takes what is due. It is due again only when it fails again. */
  takeDue(now: number): readonly Item[] {
    this.#taken = this.#deadlines.takeDue(now);
    return this.#taken.flatMap((key) => this.#entries.get(key)?.item ?? []);
  }

  /** When the next one is due; undefined if none is. */
  get nextDue(): number | undefined {
    return this.#deadlines.next;
  }
}
