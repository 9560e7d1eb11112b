import { Backoff } from '../../base/async.js';
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
  /** Infinity: not by itself. */
  readonly dueAt: number;
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

/** What failed and is to be tried again, each with a backoff of its own, so that one bad object never holds up another. */
export class Retries<Item> {
  readonly #entries = new Map<string, RetryEntry<Item>>();

  constructor(private readonly delays: RetryDelays = defaultRetryDelays) {}

  get size(): number {
    return this.#entries.size;
  }

  /** Those that are not tried again by themselves. */
  *givenUp(): Iterable<Item> {
    for (const { kind, item } of this.#entries.values()) if (kind === 'given-up') yield item;
  }

  /** Notes a failure at a time (milliseconds of a clock that nobody sets). Returns whether it is news: a first failure or one for another reason. */
  recordFailure(
    key: string,
    item: Item,
    { kind, reason }: { readonly kind: RetryKind; readonly reason: string },
    now: number,
  ): boolean {
    const known = this.#entries.get(key);
    const backoff =
      kind === 'given-up'
        ? undefined
        : ((known?.kind === kind ? known.backoff : undefined) ?? new Backoff(this.delays[kind]));
    this.#entries.set(key, {
      item,
      kind,
      backoff,
      since: known?.since ?? now,
      reason,
      dueAt: now + (backoff?.next() ?? Infinity),
    });
    return known?.reason !== reason;
  }

  /** Notes that the key is as it should be, or no longer wanted. Returns whether it had failed before. */
  recordSuccess(key: string): boolean {
    return this.#entries.delete(key);
  }

  /** What was given up is due now, once. */
  retryGivenUp(now: number): void {
    for (const [key, entry] of this.#entries)
      if (entry.kind === 'given-up') this.#entries.set(key, { ...entry, dueAt: now });
  }

  *failures(): Iterable<Failure> {
    for (const [what, { reason, since, dueAt }] of this.#entries) yield { what, reason, since, dueAt };
  }

  due(now: number): readonly Item[] {
    return [...this.#entries.values()].filter((entry) => entry.dueAt <= now).map((entry) => entry.item);
  }

  /** When the next one is due, by the clock of `failed`; undefined where none is by itself. */
  get nextDue(): number | undefined {
    let next = Infinity;
    for (const { dueAt } of this.#entries.values()) next = Math.min(next, dueAt);
    return next === Infinity ? undefined : next;
  }
}
