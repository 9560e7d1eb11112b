import type { Instant } from '../../base/instant.js';
import { namespaceOf, eventFingerprint } from './event-object.js';
import type { RecordedEvent } from './event-recorder.js';

export interface EventQueueLimits {
  /** Events that are remembered: those that wait and those that may happen again. */
  readonly maximumEvents: number;
  /** Different events about one object that may come at once … */
  readonly burstPerObject: number;
  /** … and the time after which one more may, milliseconds. */
  readonly refillPerObject: number;
  /** Between two updates of an event that happens again and again, milliseconds. */
  readonly seriesPause: number;
}

/** One piece of news, however often it came. */
export interface QueuedEvent {
  readonly event: RecordedEvent;
  readonly fingerprint: string;
  /** Times since it was first told; milliseconds since 1970. */
  firstAt: number;
  lastAt: number;
  count: number;
  /** The event's name at the API server, where it is ours; undefined: it is still to be created. */
  name: string | undefined;
  /** How many of `count` the API server knows of. */
  reportedCount: number;
  /** When it may be told next, on the clock that nobody sets. */
  dueAt: number;
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
export class EventQueue {
  /** In the order in which they came. */
  readonly #events = new Map<string, QueuedEvent>();
  readonly #buckets = new Map<string, Bucket>();

  constructor(private readonly limits: EventQueueLimits) {}

  /** How many wait to be told. */
  get waiting(): number {
    let waiting = 0;
    for (const { count, reportedCount } of this.#events.values()) if (count > reportedCount) waiting += 1;
    return waiting;
  }

  /** Takes one in; false where there is no room for it, or its object has had its share. */
  add(event: RecordedEvent, { date, monotonic }: Instant): boolean {
    const fingerprint = eventFingerprint(event);
    const known = this.#events.get(fingerprint);
    if (known !== undefined) {
      known.count += 1;
      known.lastAt = date;
      return true;
    }
    if (!this.#makeRoom() || !this.#takeToken(objectOf(event), monotonic)) return false;
    this.#events.set(fingerprint, {
      event,
      fingerprint,
      firstAt: date,
      lastAt: date,
      count: 1,
      name: undefined,
      reportedCount: 0,
      dueAt: monotonic,
      failures: 0,
    });
    return true;
  }

  /** The one that is to be told first, maybe only later; undefined: none waits. */
  next(): QueuedEvent | undefined {
    let first: QueuedEvent | undefined;
    for (const entry of this.#events.values())
      if (entry.count > entry.reportedCount && (first === undefined || entry.dueAt < first.dueAt))
        first = entry;
    return first;
  }

  /** The API server has the event under this name, with so many occurrences. */
  markReported(entry: QueuedEvent, name: string, count: number, { monotonic }: Instant): void {
    entry.name = name;
    entry.reportedCount = count;
    entry.dueAt = monotonic + this.limits.seriesPause;
    entry.failures = 0;
  }

  /** The API server has dropped the event: what it has not been told of is news again. */
  markExpired(entry: QueuedEvent): void {
    entry.name = undefined;
    entry.count -= entry.reportedCount;
    entry.reportedCount = 0;
    entry.firstAt = entry.lastAt;
  }

  remove(entry: QueuedEvent): void {
    this.#events.delete(entry.fingerprint);
  }

  /** Where it is full, what waits for nothing but to happen again makes room. */
  #makeRoom(): boolean {
    if (this.#events.size < this.limits.maximumEvents) return true;
    for (const entry of this.#events.values())
      if (entry.count === entry.reportedCount) {
        this.remove(entry);
        return true;
      }
    return false;
  }

  #takeToken(object: string, now: number): boolean {
    const { burstPerObject, refillPerObject, maximumEvents } = this.limits;
    const bucket = this.#buckets.get(object) ?? { tokens: burstPerObject, at: now };
    const tokens = Math.min(burstPerObject, bucket.tokens + (now - bucket.at) / refillPerObject);
    // Whoever was not heard of for longest has its full share again.
    this.#buckets.delete(object);
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size >= maximumEvents && oldest !== undefined) this.#buckets.delete(oldest);
    this.#buckets.set(object, { tokens: tokens < 1 ? tokens : tokens - 1, at: now });
    return tokens >= 1;
  }
}
