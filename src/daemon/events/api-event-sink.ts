import { Backoff, sleep } from '../../base/async.js';
import { readClocks, type Instant } from '../../base/instant.js';
import { messageOf } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import { StateLog } from '../../base/state-log.js';
import { RateLimiter } from '../../base/rate-limiter.js';
import { ApiError, type ApiClient, type Change } from '../../watch/api/api-client.js';
import { EventQueue, type EventQueueLimits, type QueuedEvent } from './event-queue.js';
import { eventName, eventObject, microTime, namespaceOf, type EventSeries } from './event-object.js';
import type { EventCounts, EventSink, RecordedEvent } from './event-recorder.js';

/** Times are milliseconds. */
export interface EventTiming extends EventQueueLimits {
  /** The rate limit of this node's requests about events. */
  readonly perSecond: number;
  readonly burst: number;
  /** The timeout of a request. */
  readonly requestTimeout: number;
  readonly backoff: { readonly first: number; readonly maximum: number };
  /** An event that the API server fails to process so many times is dropped; one that does not reach it waits. */
  readonly attempts: number;
  /** How long the end waits for pending events. */
  readonly flush: number;
}

export const defaultEventTiming: EventTiming = {
  maximumEvents: 1000,
  burstPerObject: 10,
  refillPerObject: 60_000,
  seriesPause: 60_000,
  perSecond: 1,
  burst: 25,
  requestTimeout: 10_000,
  backoff: { first: 1_000, maximum: 60_000 },
  attempts: 12,
  flush: 2_000,
};

export interface ApiEventsOptions {
  /** A separate client: events do not delay other requests. The sink disposes it. */
  readonly client: Pick<ApiClient, 'change'> & Disposable;
  readonly nodeName: string;
  readonly log: Logger;
  readonly timing?: Partial<EventTiming>;
  readonly clocks?: () => Instant;
}

/** Why an event was not delivered. `its-own`: the event may be the cause, and other events may be accepted. */
type DeliveryFailure = 'none' | 'passing' | 'its-own' | 'final';

/** The server is not up, is overloaded, or does not know our token yet. */
const transientStatuses: readonly number[] = [401, 408, 429, 502, 503, 504];

const deliveryFailureOf = (error: unknown): DeliveryFailure => {
  if (!(error instanceof ApiError) || transientStatuses.includes(error.status)) return 'passing';
  return error.status >= 500 ? 'its-own' : 'final';
};

/**
 * Sends Events to the API server (events.k8s.io/v1), repeated ones as a series. Events wait while the server is
 * unreachable; those beyond the limits are dropped and counted. Recording an event never blocks.
 */
export class ApiEventSink implements EventSink {
  readonly #options: ApiEventsOptions;
  readonly #timing: EventTiming;
  readonly #clocks: () => Instant;
  readonly #queue: EventQueue;
  readonly #rate: RateLimiter;
  readonly #backoff: Backoff;
  /** Aborted at the end: pending events are sent at once, and no new ones are accepted. */
  readonly #flushing = new AbortController();
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  #wakeUp: (() => void) | undefined;
  #counts = { sent: 0, failed: 0, dropped: 0 };
  readonly #failure = new StateLog();

  /** Starts sending in the background. */
  constructor(options: ApiEventsOptions) {
    this.#options = options;
    this.#timing = { ...defaultEventTiming, ...options.timing };
    this.#clocks = options.clocks ?? readClocks;
    const { first, maximum } = this.#timing.backoff;
    this.#queue = new EventQueue(this.#timing);
    this.#rate = new RateLimiter(this.#timing);
    this.#backoff = new Backoff({ firstMilliseconds: first, maximumMilliseconds: maximum });
    this.#done = this.#run();
  }

  record(event: RecordedEvent): void {
    if (this.#flushing.signal.aborted || !this.#queue.add(event, this.#clocks())) {
      this.#counts.dropped += 1;
      this.#options.log.debug(
        { event: 'event-dropped', reason: event.reason, ...event.regarding },
        'Event dropped: queue full',
      );
      return;
    }
    this.#wakeUp?.();
  }

  get counts(): EventCounts {
    return { ...this.#counts, waiting: this.#queue.waiting };
  }

  /** Sends pending events, for `timing.flush` at most. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#flushing.abort();
    this.#wakeUp?.();
    const timer = setTimeout(() => this.#stop.abort(), this.#timing.flush);
    await this.#done;
    clearTimeout(timer);
    this.#counts.dropped += this.#queue.waiting;
    this.#options.client[Symbol.dispose]();
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const entry = this.#queue.next();
      const isLast = this.#flushing.signal.aborted;
      if (entry === undefined) {
        if (isLast) return;
        await new Promise<void>((resolve) => (this.#wakeUp = resolve));
      } else if (!isLast && entry.dueAt > this.#clocks().monotonic) await this.#waitUntil(entry.dueAt);
      else if ((await this.#deliver(entry)) === 'passing' && isLast) return;
    }
  }

  /** Waits until that time, or until an event is recorded that is due earlier. */
  async #waitUntil(due: number): Promise<void> {
    const wakeUp = new AbortController();
    this.#wakeUp = () => wakeUp.abort();
    await sleep(due - this.#clocks().monotonic, wakeUp.signal);
  }

  async #deliver(entry: QueuedEvent): Promise<DeliveryFailure> {
    await this.#rate.acquire(this.#flushing.signal);
    try {
      await this.#send(entry);
      this.#counts.sent += 1;
      this.#failure.end('', () =>
        this.#options.log.info({ event: 'events-delivered' }, 'Events delivered after failures'),
      );
      this.#backoff.reset();
      return 'none';
    } catch (error) {
      return await this.#failed(entry, error);
    }
  }

  async #send(entry: QueuedEvent): Promise<void> {
    const { count } = entry;
    const series: EventSeries | undefined =
      count < 2 ? undefined : { count, lastObservedTime: microTime(entry.lastAt) };
    if (entry.name === undefined) await this.#create(entry, series);
    else
      await this.#request(entry, `/${entry.name}`, {
        method: 'PATCH',
        contentType: 'application/merge-patch+json',
        body: { series },
      });
    if (entry.name !== undefined) this.#queue.markReported(entry, entry.name, count, this.#clocks());
  }

  async #create(entry: QueuedEvent, series: EventSeries | undefined): Promise<void> {
    const { event, firstAt } = entry;
    const { nodeName } = this.#options;
    const name = eventName(event, firstAt);
    const body = eventObject(event, { name, time: firstAt, nodeName, series });
    try {
      await this.#request(entry, '', { method: 'POST', contentType: 'application/json', body });
      entry.name = name;
    } catch (error) {
      // Another node created the Event, or our own first try reached the server. Its creator updates it.
      if (!(error instanceof ApiError) || error.status !== 409) throw error;
      this.#queue.remove(entry);
    }
  }

  #request({ event }: QueuedEvent, path: string, change: Change): Promise<void> {
    const namespace = encodeURIComponent(namespaceOf(event.regarding));
    return this.#options.client.change(
      `/apis/events.k8s.io/v1/namespaces/${namespace}/events${path}`,
      change,
      {
        signal: this.#stop.signal,
        milliseconds: this.#timing.requestTimeout,
      },
    );
  }

  async #failed(entry: QueuedEvent, error: unknown): Promise<DeliveryFailure> {
    if (this.#stop.signal.aborted) return 'passing';
    if (entry.name !== undefined && error instanceof ApiError && error.status === 404) {
      this.#queue.markExpired(entry);
      return 'none';
    }
    const failure = deliveryFailureOf(error);
    if (failure === 'its-own') entry.failures += 1;
    if (failure === 'final' || entry.failures >= this.#timing.attempts) {
      this.#counts.failed += 1;
      this.#queue.remove(entry);
      this.#logFailure(entry, error, 'event-rejected', 'Event rejected by the API server; not retried');
      return 'final';
    }
    this.#logFailure(entry, error, 'events-delayed', 'Events not delivered to the API server; retrying');
    await this.#pause(error);
    return failure;
  }

  async #pause(error: unknown): Promise<void> {
    const retryAfter = error instanceof ApiError ? (error.retryAfterSeconds ?? 0) * 1000 : 0;
    await sleep(Math.max(retryAfter, this.#backoff.next()), this.#flushing.signal);
  }

  #logFailure(
    { event: { reason, regarding } }: QueuedEvent,
    error: unknown,
    event: string,
    message: string,
  ): void {
    const { status = 0 } = error instanceof ApiError ? error : {};
    const remedy =
      status === 403
        ? 'Allow the service account of kube-ipvs to create and patch events of events.k8s.io.'
        : undefined;
    const fields = { event, reason, ...regarding, error: messageOf(error), remedy };
    this.#failure.begin('', `${event} ${status}`, () => this.#options.log.warn(fields, message));
  }
}
