import { messageOf } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import { StateLog } from '../../base/state-log.js';
import { ApiError, type ApiResponse, type ApiClient } from './api-client.js';
import { IdleTimeoutError } from './deadlines.js';
import { ListBuffer, type Collection } from './collection.js';
import { BrokenStream } from './json-lines.js';
import { defaultTiming, type ReflectorTiming } from './reflector-timing.js';
import {
  isStaleVersion,
  nextStep,
  initialResumePoint,
  type NextStep,
  type ResumePoint,
  type StreamEnd,
} from './next-step.js';
import {
  afterFailure,
  noFailures,
  retryDelay,
  withServerDelay,
  type FailureHistory,
  type RetryDelay,
} from './retry-delay.js';
import { RetryPacer, type Clock, type Reach } from './retry-pacer.js';
import { WatchLiveness } from './watch-liveness.js';
import {
  endsInitialEvents,
  MalformedObject,
  readList,
  readStatus,
  readWatchEvent,
  versionOf,
  type WatchEvent,
} from '../objects/schemas.js';

export interface ReflectorOptions<Key extends string, Value> {
  readonly client: Pick<ApiClient, 'open'>;
  readonly collection: Collection<Key, Value>;
  readonly logger: Logger;
  readonly timing?: ReflectorTiming;
  /** From 0 (inclusive) to 1 (exclusive), as Math.random. */
  readonly random?: () => number;
  /** Shared by all reflectors of one server; a separate one where absent. */
  readonly pacer?: RetryPacer;
}

type FailureCause = Exclude<StreamEnd['cause'], 'ended'> | 'ended-early';

/** Counters for metrics. */
export interface ReflectorCounters {
  readonly lists: number;
  readonly watches: number;
  readonly events: number;
  readonly malformed: number;
  /** Time of the last event or bookmark, milliseconds since 1970. */
  readonly lastEventAt: number | undefined;
  readonly failures: Readonly<Partial<Record<FailureCause, number>>>;
  /** The resource version of the store; undefined before the first list and while listing again. */
  readonly version: string | undefined;
}

/** The server began a plain watch instead of a streaming list. */
class UnsupportedError extends BrokenStream {}

const pageSize = 500;

const streamEndOf = (error: unknown, begun: boolean): StreamEnd => {
  if (error instanceof ApiError) {
    const { status, tooLargeVersion, retryAfterSeconds } = error;
    return { cause: 'refused', status, tooLargeVersion, retryAfterSeconds, begun };
  }
  if (error instanceof IdleTimeoutError) return { cause: 'silence', begun };
  if (error instanceof UnsupportedError) return { cause: 'unsupported' };
  if (error instanceof BrokenStream || error instanceof MalformedObject) return { cause: 'broken' };
  return { cause: 'connection', begun };
};

/**
 * Keeps a collection equal to the API server's objects of one kind: lists, watches, and after every failure resumes or lists again.
 * Only its signal ends it.
 */
export class Reflector<Key extends string, Value> {
  readonly #options: ReflectorOptions<Key, Value>;
  readonly #timing: ReflectorTiming;
  readonly #random: () => number;
  readonly #pacer: RetryPacer;
  readonly #clock: Clock;
  readonly #liveness: WatchLiveness;
  readonly #buffer: ListBuffer<Key, Value>;
  readonly #failures: Partial<Record<FailureCause, number>> = {};
  #resumePoint: ResumePoint = initialResumePoint;
  #history: FailureHistory = noFailures;
  /** Number of objects in the last list. */
  #listedObjects = 0;
  /** When the current response began. */
  #responseStartedAt: number | undefined;
  #lists = 0;
  #watches = 0;
  #events = 0;
  #lastEventAt: number | undefined;
  /** Since when the current stream has been followed. */
  #followingSince: number | undefined;
  #lastError: string | undefined = 'not connected yet';
  readonly #state = new StateLog();

  constructor(options: ReflectorOptions<Key, Value>) {
    this.#options = options;
    this.#timing = options.timing ?? defaultTiming;
    this.#random = options.random ?? Math.random;
    this.#buffer = new ListBuffer(options.collection);
    this.#pacer = options.pacer ?? new RetryPacer();
    this.#clock = this.#pacer.clock;
    this.#liveness = new WatchLiveness(this.#timing);
  }

  get counters(): ReflectorCounters {
    return {
      lists: this.#lists,
      watches: this.#watches,
      events: this.#events,
      malformed: this.#buffer.malformed,
      lastEventAt: this.#lastEventAt,
      failures: { ...this.#failures },
      version: this.#resumePoint.version,
    };
  }

  /** Why it does not follow its objects now; undefined while it does. */
  get lastError(): string | undefined {
    return this.#lastError;
  }

  /** Runs until the signal aborts; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#followingSince = undefined;
      this.#responseStartedAt = undefined;
      const { streamEnd, error } = await this.#follow(signal);
      if (signal.aborted) return;
      if (streamEnd === undefined) continue;
      // Waiting for a response does not count as following.
      const followed = this.#clock.now() - (this.#followingSince ?? Infinity);
      if (followed >= this.#timing.healthy) this.#history = noFailures;
      if (streamEnd.cause === 'silence') this.#liveness.idleTimedOut();
      const { resumePoint, pause } = nextStep(this.#resumePoint, streamEnd);
      this.#record(streamEnd, error);
      this.#resumePoint = resumePoint;
      if (pause !== 'none') await this.#pacer.pause(this.#delay(pause), this.#reach(streamEnd), signal);
    }
  }

  /** One list or one stream; undefined: continue at once. */
  async #follow(signal: AbortSignal): Promise<{ readonly streamEnd?: StreamEnd; readonly error?: unknown }> {
    try {
      if (this.#resumePoint.version !== undefined || this.#resumePoint.lister === 'stream')
        return { streamEnd: await this.#stream(signal) };
      await this.#listPages(signal);
      return {};
    } catch (error) {
      return { streamEnd: streamEndOf(error, this.#responseStartedAt !== undefined), error };
    } finally {
      this.#buffer.discardList();
    }
  }

  async #stream(signal: AbortSignal): Promise<StreamEnd> {
    const { version } = this.#resumePoint;
    const [from, to] = this.#timing.watchSeconds;
    const milliseconds = Math.round(from + this.#random() * (to - from)) * 1000;
    const startedAt = this.#clock.now();
    const eventsBefore = this.#events;
    const response = await this.#openStream(version, milliseconds / 1000, signal);
    const endsAt = startedAt + milliseconds + this.#timing.slack;
    await this.#readStream(response, () =>
      this.#buffer.isListing
        ? this.#timing.initialIdle
        : Math.max(0, Math.min(this.#liveness.idleLimit, endsAt - this.#clock.now())),
    );
    const elapsed = this.#clock.now() - startedAt;
    if (elapsed < this.#timing.early) return { cause: 'ended', life: 'early' };
    const mute = this.#events === eventsBefore && elapsed >= milliseconds - 1000;
    return { cause: 'ended', life: mute ? 'mute' : 'normal' };
  }

  async #openStream(version: string | undefined, seconds: number, signal: AbortSignal): Promise<ApiResponse> {
    const from: Readonly<Record<string, string>> =
      version === undefined
        ? { sendInitialEvents: 'true', resourceVersionMatch: 'NotOlderThan' }
        : { resourceVersion: version };
    if (version === undefined) {
      this.#lists += 1;
      this.#buffer.beginList();
    }
    this.#watches += 1;
    const response = await this.#open(
      { watch: 'true', allowWatchBookmarks: 'true', timeoutSeconds: String(seconds), ...from },
      version === undefined ? this.#timing.response : this.#timing.watchResponse,
      signal,
    );
    this.#liveness.begin();
    if (version !== undefined) this.#markFollowing();
    return response;
  }

  async #readStream(response: ApiResponse, idleLimit: () => number): Promise<void> {
    const events = response.format.events();
    response.setDeadline(idleLimit());
    for await (const chunk of response) {
      const before = this.#events;
      try {
        for (const event of events.push(chunk)) this.#handleEvent(readWatchEvent(event));
      } finally {
        this.#buffer.flush();
        // Once for a chunk: on some machines, reading the clock costs more than an event.
        if (this.#events > before) this.#lastEventAt = Date.now();
      }
      response.setDeadline(idleLimit());
    }
    events.finish();
  }

  #handleEvent({ type, object }: WatchEvent): void {
    if (type === 'ERROR') throw new ApiError(500, readStatus(object));
    this.#events += 1;
    if (type === 'BOOKMARK') this.#handleBookmark(object);
    else if (type === 'DELETED') this.#buffer.remove(object);
    else this.#buffer.upsert(object);
    // Before the end of the list the versions have no order, and an incomplete list has no usable version.
    const version = this.#buffer.isListing ? undefined : versionOf(object);
    if (version !== undefined) this.#resumePoint = { ...this.#resumePoint, version, brokenStreams: 0 };
  }

  #handleBookmark(object: unknown): void {
    if (!this.#buffer.isListing) return this.#liveness.bookmark(this.#clock.now());
    if (!endsInitialEvents(object))
      throw new UnsupportedError('a bookmark before the end of the initial events');
    this.#commitList();
  }

  async #listPages(signal: AbortSignal): Promise<void> {
    this.#lists += 1;
    this.#buffer.beginList();
    const limit = { limit: String(pageSize) };
    const first = this.#resumePoint.freshness === 'latest' ? {} : { ...limit, resourceVersion: '0' };
    let version = '';
    let token = '';
    do {
      const query = token === '' ? first : { ...limit, continue: token };
      const response = await this.#open(query, this.#timing.response, signal);
      const { metadata } = readList(await this.#readPage(response));
      version = metadata.resourceVersion;
      token = metadata.continue ?? '';
    } while (token !== '');
    this.#commitList();
    this.#resumePoint = { ...this.#resumePoint, version, freshness: 'any', brokenStreams: 0 };
  }

  async #readPage(response: ApiResponse): Promise<unknown> {
    const splitter = response.format.list();
    response.setDeadline(this.#timing.response);
    for await (const chunk of response) {
      for (const item of splitter.push(chunk)) this.#buffer.upsert(item);
      response.setDeadline(this.#timing.response);
    }
    return splitter.finish();
  }

  async #open(
    query: Readonly<Record<string, string>>,
    milliseconds: number,
    signal: AbortSignal,
  ): Promise<ApiResponse> {
    const { client, collection } = this.#options;
    const parameters = new URLSearchParams({ ...collection.selectors, ...query });
    try {
      const response = await client.open(`${collection.path}?${parameters.toString()}`, {
        signal,
        milliseconds,
      });
      this.#responseStartedAt ??= this.#clock.now();
      this.#pacer.reached(2);
      return response;
    } catch (error) {
      if (error instanceof ApiError) this.#pacer.reached(1);
      throw error;
    }
  }

  #commitList(): void {
    this.#listedObjects = this.#buffer.commitList();
    this.#markFollowing({ objects: this.#listedObjects });
  }

  #markFollowing(fields: object = {}): void {
    this.#lastError = undefined;
    this.#followingSince ??= this.#clock.now();
    this.#state.begin('', 'following', () =>
      this.#options.logger.info(
        { event: 'resource-followed', resource: this.#options.collection.name, ...fields },
        'Following resource',
      ),
    );
  }

  #record(end: StreamEnd, error: unknown): void {
    if (end.cause === 'ended' && end.life !== 'early' && this.#resumePoint.version !== undefined) return;
    const resource = this.#options.collection.name;
    // A restarted API server answers every client so.
    if (isStaleVersion(end) && this.#resumePoint.version !== undefined) {
      this.#lastError = 'listing again: the resource version expired';
      this.#state.begin('', 'expired', () =>
        this.#options.logger.info(
          { event: 'resource-version-expired', resource },
          'Resource version expired; listing again',
        ),
      );
      return;
    }
    const cause: FailureCause = end.cause === 'ended' ? 'ended-early' : end.cause;
    this.#failures[cause] = (this.#failures[cause] ?? 0) + 1;
    this.#lastError = error === undefined ? 'the API server ended the stream early' : messageOf(error);
    const fields = { event: 'resource-not-followed', resource, cause, error: this.#lastError };
    const state = end.cause === 'refused' ? `refused ${end.status}` : cause;
    this.#state.begin('', state, () =>
      this.#options.logger.warn(fields, 'Resource not followed; last known state stays in force'),
    );
  }

  /** How far the attempt got; a stream that was followed for a while says nothing about the present state of the server. */
  #reach(end: StreamEnd): Reach {
    if (this.#responseStartedAt === undefined) return end.cause === 'refused' ? 1 : 0;
    return this.#clock.now() - this.#responseStartedAt < this.#timing.early ? 2 : 0;
  }

  #delay(pause: Exclude<NextStep['pause'], 'none'>): RetryDelay {
    const [now, random] = [this.#clock.now(), this.#random()];
    const kind = typeof pause === 'object' ? 'unavailable' : pause;
    this.#history = afterFailure(this.#history, kind, now);
    const delay = retryDelay(
      this.#history,
      kind,
      { now, random, objects: this.#listedObjects },
      this.#timing,
    );
    return typeof pause === 'object' ? withServerDelay(delay, pause.seconds, random) : delay;
  }
}
