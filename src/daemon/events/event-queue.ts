import type { Instant } from '../../base/instant.js';
import { namespaceOf, eventFingerprint } from './event-object.js';
import type { RecordedEvent } from './event-recorder.js';

export interface EventQueueLimits {
  /** How many events are kept: those to send and those that may occur again. */
  readonly maximumEvents: number;
  /** How many different events about one object may occur at once … */
  readonly burstPerObject: number;
  /** … and after how many milliseconds one more may. */
  readonly refillPerObject: number;
  /** The time between two updates of a repeated event, milliseconds. */
  readonly seriesPause: number;
}

/** An event and how often it occurred. */
export interface QueuedEvent {
  readonly event: RecordedEvent;
  readonly fingerprint: string;
  /** The first occurrence that the Event counts; milliseconds since 1970. */
  firstAt: number;
  lastAt: number;
  count: number;
  /** The name of the Event if this node created it; undefined before that. */
  name: string | undefined;
  /** How many of `count` the API server knows. */
  reportedCount: number;
  /** When it may be sent next, on the monotonic clock. */
  dueAt: number;
  failures: number;
}

/** A token bucket without a timer. */
interface Bucket {
  tokens: number;
  /** On the monotonic clock. */
  at: number;
}

const objectOf = ({ regarding }: RecordedEvent): string =>
  `${regarding.kind} ${namespaceOf(regarding)}/${regarding.name}`;

/**
 * The events to send, and those that were sent and may occur again. Its size is limited, and so are the events about one
 * object.
 */
export class EventQueue {
  /** In the order of their first occurrence. */
  readonly #events = new Map<string, QueuedEvent>();
  readonly #buckets = new Map<string, Bucket>();

  constructor(private readonly limits: EventQueueLimits) {}

  /** How many events wait to be sent. */
  get waiting(): number {
    let waiting = 0;
    for (const { count, reportedCount } of this.#events.values()) if (count > reportedCount) waiting += 1;
    return waiting;
  }

  /** Adds an event. Returns false if the queue is full, or if there are too many events about its object. */
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

  /** The event that is due first, now or later; undefined if none waits. */
  next(): QueuedEvent | undefined {
    let first: QueuedEvent | undefined;
    for (const entry of this.#events.values())
      if (entry.count > entry.reportedCount && (first === undefined || entry.dueAt < first.dueAt))
        first = entry;
    return first;
  }

  /** The API server has the event under this name, with this count. */
  markReported(entry: QueuedEvent, name: string, count: number, { monotonic }: Instant): void {
    entry.name = name;
    entry.reportedCount = count;
    entry.dueAt = monotonic + this.limits.seriesPause;
    entry.failures = 0;
  }

  /** The API server dropped the Event: unreported occurrences become a new one. */
  markExpired(entry: QueuedEvent): void {
    entry.name = undefined;
    entry.count -= entry.reportedCount;
    entry.reportedCount = 0;
    entry.firstAt = entry.lastAt;
  }

  remove(entry: QueuedEvent): void {
    this.#events.delete(entry.fingerprint);
  }

  /** Removes an event that has been sent if the queue is full. */
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
    // The object without events for longest is forgotten, and gets a full bucket again.
    this.#buckets.delete(object);
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size >= maximumEvents && oldest !== undefined) this.#buckets.delete(oldest);
    this.#buckets.set(object, { tokens: tokens < 1 ? tokens : tokens - 1, at: now });
    return tokens >= 1;
  }
}
