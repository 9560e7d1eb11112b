import { Backoff } from '../../base/async.js';
import { DeadlineHeap } from '../../base/collections/deadline-heap.js';
import type { Refusal } from './decisions.js';

/** When a refused operation is retried. */
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

/** A reread that did not settle the state is as urgent as a transient error. */
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
  /** Infinity if it is retried only after a change or with the next resync. */
  readonly dueAt: number;
  /** The run of the last failure. */
  readonly run: number;
}

/** An object that failed and has not succeeded since. Times are milliseconds of the caller's clock. */
export interface Failure {
  readonly what: string;
  readonly reason: string;
  /** The time of the first failure. */
  readonly since: number;
  /** The time of the next attempt; Infinity if it is not retried by itself. */
  readonly dueAt: number;
}

/** Schedules retries with a separate backoff per key, so one failing object never delays another. */
export class Retries<Item> {
  readonly #entries = new Map<string, RetryEntry<Item>>();
  readonly #deadlines = new DeadlineHeap<string>((key, at) => this.#entries.get(key)?.dueAt === at);
  #run = 0;
  /** The keys that were due in this run. */
  #taken: readonly string[] = [];

  constructor(private readonly delays: RetryDelays = defaultRetryDelays) {}

  get size(): number {
    return this.#entries.size;
  }

  /**
   * Begins a run; within a run each key is recorded as failed at most once. Keys that the previous run did
   * not reach are due again.
   */
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

  /** Whether the key failed and has not succeeded since. */
  isFailing(key: string): boolean {
    return this.#entries.has(key);
  }

  /** The items that are retried only when they change or with the next resync. */
  *givenUp(): Iterable<Item> {
    for (const { kind, item } of this.#entries.values()) if (kind === 'given-up') yield item;
  }

  /**
   * Records a failure at `now`, in milliseconds of a monotonic clock. Returns whether the failure or its
   * reason is new.
   */
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

  /**
   * Records that the key matches its desired state or is no longer desired. Returns whether it had failed
   * before.
   */
  recordSuccess(key: string): boolean {
    return this.#entries.delete(key);
  }

  /** Makes everything that was given up due now, once. */
  retryGivenUp(now: number): void {
    for (const [key, entry] of this.#entries)
      if (entry.kind === 'given-up') this.#set(key, { ...entry, dueAt: now });
  }

  *failures(): Iterable<Failure> {
    for (const [what, { reason, since, dueAt }] of this.#entries) yield { what, reason, since, dueAt };
  }

  /** Takes the items that are due. An item becomes due again only by failing again. */
  takeDue(now: number): readonly Item[] {
    this.#taken = this.#deadlines.takeDue(now);
    return this.#taken.flatMap((key) => this.#entries.get(key)?.item ?? []);
  }

  /** When the next item is due; undefined if none is. */
  get nextDue(): number | undefined {
    return this.#deadlines.next;
  }
}
