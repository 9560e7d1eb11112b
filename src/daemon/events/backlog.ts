import type { Instant } from '../../base/instant.js';
import { namespaceOf, newsOf } from './event-object.js';
import type { RecordedEvent } from './recorder.js';

export interface BacklogLimits {
  /** Events that are remembered: those that wait and those that may happen again. */
  readonly entries: number;
  /** Different events about one object that may come at once … */
  readonly burstPerObject: number;
  /** … and the time after which one more may, milliseconds. */
  readonly pausePerObject: number;
  /** Between two updates of an event that happens again and again, milliseconds. */
  readonly seriesPause: number;
}

/** One piece of news, however often it came. */
export interface Entry {
  readonly event: RecordedEvent;
  readonly news: string;
  /** Times since it was first told; milliseconds since 1970. */
  firstAt: number;
  lastAt: number;
  count: number;
  /** The event's name at the API server, where it is ours; undefined: it is still to be created. */
  name: string | undefined;
  /** How many of `count` the API server knows of. */
  told: number;
  /** When it may be told next, on the clock that nobody sets. */
  due: number;
  failures: number;
}

/** A token bucket that knows no timers. */
interface Bucket {
  tokens: number;
  /** On the clock that nobody sets. */
  at: number;
}

const objectOf = ({ regarding }: RecordedEvent): string =>
  `${regarding.kind} ${namespaceOf(regarding)}/${regarding.name}`;

/**
 * The events that wait to be told, and those that were told and may come again. It holds so many and no more, and lets no
 * object fill it.
 */
export class Backlog {
  /** In the order in which they came. */
  readonly #entries = new Map<string, Entry>();
  readonly #buckets = new Map<string, Bucket>();

  constructor(private readonly limits: BacklogLimits) {}

  /** How many wait to be told. */
  get waiting(): number {
    let waiting = 0;
    for (const { count, told } of this.#entries.values()) if (count > told) waiting += 1;
    return waiting;
  }

  /** Takes one in; false where there is no room for it, or its object has had its share. */
  add(event: RecordedEvent, { date, monotonic }: Instant): boolean {
    const news = newsOf(event);
    const known = this.#entries.get(news);
    if (known !== undefined) {
      known.count += 1;
      known.lastAt = date;
      return true;
    }
    if (!this.#hasRoom() || !this.#mayTell(objectOf(event), monotonic)) return false;
    this.#entries.set(news, {
      event,
      news,
      firstAt: date,
      lastAt: date,
      count: 1,
      name: undefined,
      told: 0,
      due: monotonic,
      failures: 0,
    });
    return true;
  }

  /** The one that is to be told first, maybe only later; undefined: none waits. */
  next(): Entry | undefined {
    let first: Entry | undefined;
    for (const entry of this.#entries.values())
      if (entry.count > entry.told && (first === undefined || entry.due < first.due)) first = entry;
    return first;
  }

  /** The API server has the event under this name, with so many occurrences. */
  told(entry: Entry, name: string, count: number, { monotonic }: Instant): void {
    entry.name = name;
    entry.told = count;
    entry.due = monotonic + this.limits.seriesPause;
    entry.failures = 0;
  }

  /** The API server has dropped the event: what it has not been told of is news again. */
  expired(entry: Entry): void {
    entry.name = undefined;
    entry.count -= entry.told;
    entry.told = 0;
    entry.firstAt = entry.lastAt;
  }

  forget(entry: Entry): void {
    this.#entries.delete(entry.news);
  }

  /** Where it is full, what waits for nothing but to happen again makes room. */
  #hasRoom(): boolean {
    if (this.#entries.size < this.limits.entries) return true;
    for (const entry of this.#entries.values())
      if (entry.count === entry.told) {
        this.forget(entry);
        return true;
      }
    return false;
  }

  #mayTell(object: string, now: number): boolean {
    const { burstPerObject, pausePerObject, entries } = this.limits;
    const bucket = this.#buckets.get(object) ?? { tokens: burstPerObject, at: now };
    const tokens = Math.min(burstPerObject, bucket.tokens + (now - bucket.at) / pausePerObject);
    // Whoever was not heard of for longest has its full share again.
    this.#buckets.delete(object);
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size >= entries && oldest !== undefined) this.#buckets.delete(oldest);
    this.#buckets.set(object, { tokens: tokens < 1 ? tokens : tokens - 1, at: now });
    return tokens >= 1;
  }
}
