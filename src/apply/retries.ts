import { Backoff } from '../base/async.js';

interface Entry<Item> {
  readonly item: Item;
  readonly backoff: Backoff;
  reason: string;
  dueAt: number;
}

/** What failed and is to be tried again, each with a backoff of its own, so that one bad object never holds up another. */
export class Retries<Item> {
  readonly #entries = new Map<string, Entry<Item>>();

  constructor(
    private readonly delays: { readonly firstMilliseconds: number; readonly maximumMilliseconds: number },
  ) {}

  get size(): number {
    return this.#entries.size;
  }

  /** Notes a failure at a time (milliseconds of a clock that nobody sets). Returns whether it is news: a first failure or one for another reason. */
  failed(key: string, item: Item, reason: string, now: number): boolean {
    const known = this.#entries.get(key);
    const backoff = known?.backoff ?? new Backoff(this.delays);
    this.#entries.set(key, { item, backoff, reason, dueAt: now + backoff.next() });
    return known?.reason !== reason;
  }

  /** Notes that the key is as it should be, or no longer wanted. Returns whether it had failed before. */
  settled(key: string): boolean {
    return this.#entries.delete(key);
  }

  due(now: number): readonly Item[] {
    return [...this.#entries.values()].filter((entry) => entry.dueAt <= now).map((entry) => entry.item);
  }

  /** When the next one is due, by the clock of `failed`. */
  get nextDue(): number | undefined {
    let next: number | undefined;
    for (const { dueAt } of this.#entries.values()) next = Math.min(next ?? dueAt, dueAt);
    return next;
  }
}
