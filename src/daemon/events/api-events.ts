import { Backoff, sleep } from '../../base/async.js';
import { readClocks, type Instant } from '../../base/instant.js';
import { messageOf } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import { RateLimit } from '../../base/rate-limit.js';
import { ApiError, type ApiClient, type Change } from '../../watch/api-client.js';
import { Backlog, type BacklogLimits, type Entry } from './backlog.js';
import { eventName, eventObject, microTime, namespaceOf, type EventSeries } from './event-object.js';
import type { EventCounts, EventSink, RecordedEvent } from './recorder.js';

/** Times are milliseconds. */
export interface EventTiming extends BacklogLimits {
  /** What this node asks of the API server for events, however many there are. */
  readonly perSecond: number;
  readonly burst: number;
  /** The API server's time to answer. */
  readonly answer: number;
  readonly backoff: { readonly first: number; readonly maximum: number };
  /** An event that the API server fails at so often is given up; one that does not reach it waits on. */
  readonly attempts: number;
  /** At the end, for what still waits. */
  readonly flush: number;
}

export const defaultEventTiming: EventTiming = {
  entries: 1000,
  burstPerObject: 10,
  pausePerObject: 60_000,
  seriesPause: 60_000,
  perSecond: 1,
  burst: 25,
  answer: 10_000,
  backoff: { first: 1_000, maximum: 60_000 },
  attempts: 12,
  flush: 2_000,
};

export interface ApiEventsOptions {
  /** Of its own, so that events hold up nothing else; disposed of at the end. */
  readonly client: Pick<ApiClient, 'change'> & Disposable;
  readonly nodeName: string;
  readonly log: Logger;
  readonly timing?: Partial<EventTiming>;
  readonly clocks?: () => Instant;
}

/** What keeps an event from being told; `its-own`: of the event, maybe, as others may pass. */
type Trouble = 'none' | 'passing' | 'its-own' | 'final';

/** Of a server that is not up, has too much to do, or does not know us yet. */
const passing: readonly number[] = [401, 408, 429, 502, 503, 504];

const troubleOf = (error: unknown): Trouble => {
  if (!(error instanceof ApiError) || passing.includes(error.status)) return 'passing';
  return error.status >= 500 ? 'its-own' : 'final';
};

/**
 * Tells the API server of events, by events.k8s.io/v1: each piece of news once, and how often it came again. What comes before
 * the server can be reached waits; what would be too much is dropped and counted. Nobody ever waits for it.
 */
export class ApiEvents implements EventSink {
  readonly #options: ApiEventsOptions;
  readonly #timing: EventTiming;
  readonly #clocks: () => Instant;
  readonly #backlog: Backlog;
  readonly #rate: RateLimit;
  readonly #backoff: Backoff;
  /** From now on nothing waits: what is there is told, and that is it. */
  readonly #hurry = new AbortController();
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  #news: (() => void) | undefined;
  #counts = { sent: 0, failed: 0, dropped: 0 };
  #told = '';

  /** Begins at once, in the background. */
  constructor(options: ApiEventsOptions) {
    this.#options = options;
    this.#timing = { ...defaultEventTiming, ...options.timing };
    this.#clocks = options.clocks ?? readClocks;
    const { first, maximum } = this.#timing.backoff;
    this.#backlog = new Backlog(this.#timing);
    this.#rate = new RateLimit(this.#timing);
    this.#backoff = new Backoff({ firstMilliseconds: first, maximumMilliseconds: maximum });
    this.#done = this.#run();
  }

  record(event: RecordedEvent): void {
    if (this.#hurry.signal.aborted || !this.#backlog.add(event, this.#clocks())) {
      this.#counts.dropped += 1;
      this.#options.log.debug({ reason: event.reason, ...event.regarding }, 'an event too many is dropped');
      return;
    }
    this.#news?.();
  }

  get counts(): EventCounts {
    return { ...this.#counts, waiting: this.#backlog.waiting };
  }

  /** Tells what still waits, for as long as `timing.flush` at most. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#hurry.abort();
    this.#news?.();
    const timer = setTimeout(() => this.#stop.abort(), this.#timing.flush);
    await this.#done;
    clearTimeout(timer);
    this.#counts.dropped += this.#backlog.waiting;
    this.#options.client[Symbol.dispose]();
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const entry = this.#backlog.next();
      const isLast = this.#hurry.signal.aborted;
      if (entry === undefined) {
        if (isLast) return;
        await new Promise<void>((resolve) => (this.#news = resolve));
      } else if (!isLast && entry.due > this.#clocks().monotonic) await this.#newsOr(entry.due);
      else if ((await this.#tell(entry)) === 'passing' && isLast) return;
    }
  }

  /** Until that time, or until something comes that may be told earlier. */
  async #newsOr(due: number): Promise<void> {
    const cut = new AbortController();
    this.#news = () => cut.abort();
    await sleep(due - this.#clocks().monotonic, cut.signal);
  }

  async #tell(entry: Entry): Promise<Trouble> {
    await this.#rate.turn(this.#hurry.signal);
    try {
      await this.#send(entry);
      this.#counts.sent += 1;
      this.#say('', () => this.#options.log.info({}, 'events reach the API server again'));
      this.#backoff.reset();
      return 'none';
    } catch (error) {
      return await this.#failed(entry, error);
    }
  }

  async #send(entry: Entry): Promise<void> {
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
    if (entry.name !== undefined) this.#backlog.told(entry, entry.name, count, this.#clocks());
  }

  async #create(entry: Entry, series: EventSeries | undefined): Promise<void> {
    const { event, firstAt } = entry;
    const { nodeName } = this.#options;
    const name = eventName(event, firstAt);
    const body = eventObject(event, { name, time: firstAt, nodeName, series });
    try {
      await this.#request(entry, '', { method: 'POST', contentType: 'application/json', body });
      entry.name = name;
    } catch (error) {
      // Another node has told it, or our own first try reached the server: it is there, and theirs to keep.
      if (!(error instanceof ApiError) || error.status !== 409) throw error;
      this.#backlog.forget(entry);
    }
  }

  #request({ event }: Entry, path: string, change: Change): Promise<void> {
    const namespace = encodeURIComponent(namespaceOf(event.regarding));
    return this.#options.client.change(
      `/apis/events.k8s.io/v1/namespaces/${namespace}/events${path}`,
      change,
      {
        signal: this.#stop.signal,
        milliseconds: this.#timing.answer,
      },
    );
  }

  async #failed(entry: Entry, error: unknown): Promise<Trouble> {
    if (this.#stop.signal.aborted) return 'passing';
    if (entry.name !== undefined && error instanceof ApiError && error.status === 404) {
      this.#backlog.expired(entry);
      return 'none';
    }
    const trouble = troubleOf(error);
    if (trouble === 'its-own') entry.failures += 1;
    if (trouble === 'final' || entry.failures >= this.#timing.attempts) {
      this.#counts.failed += 1;
      this.#backlog.forget(entry);
      this.#complain(entry, error, 'the API server takes an event no more; it is given up');
      return 'final';
    }
    this.#complain(entry, error, 'events do not reach the API server; they wait');
    await this.#pause(error);
    return trouble;
  }

  async #pause(error: unknown): Promise<void> {
    const asked = error instanceof ApiError ? (error.retryAfterSeconds ?? 0) * 1000 : 0;
    await sleep(Math.max(asked, this.#backoff.next()), this.#hurry.signal);
  }

  #complain({ event }: Entry, error: unknown, message: string): void {
    const { status = 0 } = error instanceof ApiError ? error : {};
    const remedy =
      status === 403
        ? 'let the service account of kube-ipvs create and patch events of events.k8s.io'
        : undefined;
    const fields = { event: event.reason, ...event.regarding, error: messageOf(error), remedy };
    this.#say(`${message} ${status}`, () => this.#options.log.warn(fields, message));
  }

  /** Each state is told when it begins; '' is the good one, which nobody needs to hear of at first. */
  #say(state: string, tell: () => void): void {
    if (state === this.#told) return;
    this.#told = state;
    tell();
  }
}
