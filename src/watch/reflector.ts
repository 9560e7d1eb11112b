import { messageOf } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import { ApiError, SilenceError, type Answer, type ApiClient } from './api-client.js';
import { Intake, type Collection } from './collection.js';
import { BrokenStream, JsonLines } from './json-lines.js';
import { ListSplitter } from './list-splitter.js';
import { defaultTiming, type ReflectorTiming } from './reflector-timing.js';
import {
  isStaleVersion,
  nextStep,
  startPosition,
  type NextStep,
  type Position,
  type Stop,
} from './next-step.js';
import {
  afterFailure,
  noFailures,
  retryDelay,
  withAsked,
  type FailureHistory,
  type RetryDelay,
} from './retry-delay.js';
import { RetryPacer, type Clock, type Reach } from './retry-pacer.js';
import { WatchLiveness } from './watch-liveness.js';
import { MalformedObject, readList, readStatus, readWatchEvent, type WatchEvent } from './schemas.js';

export interface ReflectorOptions<Key extends string, Value> {
  readonly client: Pick<ApiClient, 'open'>;
  readonly collection: Collection<Key, Value>;
  readonly logger: Logger;
  readonly timing?: ReflectorTiming;
  /** From 0 (inclusive) to 1 (exclusive), as Math.random. */
  readonly random?: () => number;
  /** Shared by all that follow the same server; its own where absent. */
  readonly pacer?: RetryPacer;
}

type FailureCause = Exclude<Stop['cause'], 'ended'> | 'ended-early';

/** What a reflector has done so far, for metrics. */
export interface ReflectorCounters {
  readonly lists: number;
  readonly watches: number;
  readonly events: number;
  readonly malformed: number;
  /** When the last event came, milliseconds since 1970; bookmarks count. */
  readonly lastEventAt: number | undefined;
  readonly failures: Readonly<Partial<Record<FailureCause, number>>>;
  /** The resource version that the store has; undefined before the first list and while listing anew. */
  readonly version: string | undefined;
}

/** The server began a streaming list as if it were a plain watch. */
class UnsupportedError extends BrokenStream {}

const pageSize = 500;

const stopOf = (error: unknown, begun: boolean): Stop => {
  if (error instanceof ApiError) {
    const { status, tooLargeVersion, retryAfterSeconds } = error;
    return { cause: 'refused', status, tooLargeVersion, retryAfterSeconds, begun };
  }
  if (error instanceof SilenceError) return { cause: 'silence', begun };
  if (error instanceof UnsupportedError) return { cause: 'unsupported' };
  if (error instanceof BrokenStream || error instanceof MalformedObject) return { cause: 'broken' };
  return { cause: 'connection', begun };
};

/**
 * Keeps a collection equal to the API server's objects of one kind: lists, watches, and after whatever failure goes on
 * from where it was, or lists again. It never gives up; only its signal ends it.
 */
export class Reflector<Key extends string, Value> {
  readonly #options: ReflectorOptions<Key, Value>;
  readonly #timing: ReflectorTiming;
  readonly #random: () => number;
  readonly #pacer: RetryPacer;
  readonly #clock: Clock;
  readonly #liveness: WatchLiveness;
  readonly #intake: Intake<Key, Value>;
  readonly #failures: Partial<Record<FailureCause, number>> = {};
  #position: Position = startPosition;
  #history: FailureHistory = noFailures;
  /** What the last list held. */
  #objects = 0;
  /** When the answer at hand began, by the clock. */
  #begunAt: number | undefined;
  #lists = 0;
  #watches = 0;
  #events = 0;
  #lastEventAt: number | undefined;
  /** Since when the stream at hand has been followed, by the clock. */
  #wellSince: number | undefined;
  #trouble: string | undefined = 'not connected yet';
  #said = '';

  constructor(options: ReflectorOptions<Key, Value>) {
    this.#options = options;
    this.#timing = options.timing ?? defaultTiming;
    this.#random = options.random ?? Math.random;
    this.#intake = new Intake(options.collection);
    this.#pacer = options.pacer ?? new RetryPacer();
    this.#clock = this.#pacer.clock;
    this.#liveness = new WatchLiveness(this.#timing);
  }

  get counters(): ReflectorCounters {
    return {
      lists: this.#lists,
      watches: this.#watches,
      events: this.#events,
      malformed: this.#intake.malformed,
      lastEventAt: this.#lastEventAt,
      failures: { ...this.#failures },
      version: this.#position.version,
    };
  }

  /** Why it does not follow its objects at the moment; undefined while it does. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** Runs until the signal aborts; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#wellSince = undefined;
      this.#begunAt = undefined;
      const { stop, error } = await this.#follow(signal);
      if (signal.aborted) return;
      if (stop === undefined) continue;
      // Waiting for an answer is no sign of health, however long it took.
      const followed = this.#clock.now() - (this.#wellSince ?? Infinity);
      if (followed >= this.#timing.healthy) this.#history = noFailures;
      if (stop.cause === 'silence') this.#liveness.wasSilent();
      const { position, pause } = nextStep(this.#position, stop);
      this.#record(stop, error);
      this.#position = position;
      if (pause !== 'none') await this.#pacer.pause(this.#delay(pause), this.#reach(stop), signal);
    }
  }

  /** One list or one stream; no stop: go on at once. */
  async #follow(signal: AbortSignal): Promise<{ readonly stop?: Stop; readonly error?: unknown }> {
    try {
      if (this.#position.version !== undefined || this.#position.lister === 'stream')
        return { stop: await this.#stream(signal) };
      await this.#listPages(signal);
      return {};
    } catch (error) {
      return { stop: stopOf(error, this.#begunAt !== undefined), error };
    } finally {
      this.#intake.drop();
    }
  }

  async #stream(signal: AbortSignal): Promise<Stop> {
    const { version } = this.#position;
    const [from, to] = this.#timing.watchSeconds;
    const milliseconds = Math.round(from + this.#random() * (to - from)) * 1000;
    const began = this.#clock.now();
    const eventsBefore = this.#events;
    const answer = await this.#openStream(version, milliseconds / 1000, signal);
    const ends = began + milliseconds + this.#timing.slack;
    await this.#readStream(answer, () =>
      this.#intake.listing
        ? this.#timing.initialSilence
        : Math.max(0, Math.min(this.#liveness.allowed, ends - this.#clock.now())),
    );
    const took = this.#clock.now() - began;
    if (took < this.#timing.early) return { cause: 'ended', life: 'early' };
    const mute = this.#events === eventsBefore && took >= milliseconds - 1000;
    return { cause: 'ended', life: mute ? 'mute' : 'normal' };
  }

  async #openStream(version: string | undefined, seconds: number, signal: AbortSignal): Promise<Answer> {
    const from: Readonly<Record<string, string>> =
      version === undefined
        ? { sendInitialEvents: 'true', resourceVersionMatch: 'NotOlderThan' }
        : { resourceVersion: version };
    if (version === undefined) {
      this.#lists += 1;
      this.#intake.beginList();
    }
    this.#watches += 1;
    const answer = await this.#open(
      { watch: 'true', allowWatchBookmarks: 'true', timeoutSeconds: String(seconds), ...from },
      version === undefined ? this.#timing.answer : this.#timing.watchAnswer,
      signal,
    );
    this.#liveness.begin();
    if (version !== undefined) this.#well();
    return answer;
  }

  async #readStream(answer: Answer, allowed: () => number): Promise<void> {
    const lines = new JsonLines();
    answer.within(allowed());
    for await (const chunk of answer) {
      try {
        for (const line of lines.push(chunk)) this.#take(readWatchEvent(line));
      } finally {
        this.#intake.flush();
      }
      answer.within(allowed());
    }
    lines.finish();
  }

  #take({ type, object, version, endsInitialEvents }: WatchEvent): void {
    if (type === 'ERROR') throw new ApiError(500, readStatus(object));
    this.#events += 1;
    this.#lastEventAt = Date.now();
    if (type === 'BOOKMARK') this.#takeBookmark(endsInitialEvents);
    else if (type === 'DELETED') this.#intake.remove(object);
    else this.#intake.put(object);
    // Before the end mark versions come in no order, and without the whole list none is worth keeping.
    if (version && !this.#intake.listing) this.#position = { ...this.#position, version, broken: 0 };
  }

  #takeBookmark(marked: boolean): void {
    if (!this.#intake.listing) return this.#liveness.bookmark(this.#clock.now());
    if (!marked) throw new UnsupportedError('a bookmark before the end of the initial events');
    this.#deliver();
  }

  async #listPages(signal: AbortSignal): Promise<void> {
    this.#lists += 1;
    this.#intake.beginList();
    const limit = { limit: String(pageSize) };
    const first = this.#position.freshness === 'latest' ? {} : { ...limit, resourceVersion: '0' };
    let version = '';
    let token = '';
    do {
      const query = token === '' ? first : { ...limit, continue: token };
      const answer = await this.#open(query, this.#timing.answer, signal);
      const { metadata } = readList(await this.#readPage(answer));
      version = metadata.resourceVersion;
      token = metadata.continue ?? '';
    } while (token !== '');
    this.#deliver();
    this.#position = { ...this.#position, version, freshness: 'any', broken: 0 };
  }

  async #readPage(answer: Answer): Promise<unknown> {
    const splitter = new ListSplitter();
    answer.within(this.#timing.answer);
    for await (const chunk of answer) {
      for (const item of splitter.push(chunk)) this.#intake.put(item);
      answer.within(this.#timing.answer);
    }
    return splitter.finish();
  }

  async #open(
    query: Readonly<Record<string, string>>,
    milliseconds: number,
    signal: AbortSignal,
  ): Promise<Answer> {
    const { client, collection } = this.#options;
    const parameters = new URLSearchParams({ ...collection.selectors, ...query });
    try {
      const answer = await client.open(`${collection.path}?${parameters.toString()}`, {
        signal,
        milliseconds,
      });
      this.#begunAt ??= this.#clock.now();
      this.#pacer.reached(2);
      return answer;
    } catch (error) {
      if (error instanceof ApiError) this.#pacer.reached(1);
      throw error;
    }
  }

  #deliver(): void {
    this.#objects = this.#intake.deliver();
    this.#well({ objects: this.#objects });
  }

  #well(fields: object = {}): void {
    this.#trouble = undefined;
    this.#wellSince ??= this.#clock.now();
    this.#say('well', () =>
      this.#options.logger.info({ resource: this.#options.collection.name, ...fields }, 'following'),
    );
  }

  #record(stop: Stop, error: unknown): void {
    if (stop.cause === 'ended' && stop.life !== 'early' && this.#position.version !== undefined) return;
    const resource = this.#options.collection.name;
    // After a restart of the server this is what everybody is told.
    if (isStaleVersion(stop) && this.#position.version !== undefined) {
      this.#trouble = 'listing again: the resource version expired';
      this.#say('expired', () =>
        this.#options.logger.info({ resource }, 'Resource version expired; listing again'),
      );
      return;
    }
    const cause: FailureCause = stop.cause === 'ended' ? 'ended-early' : stop.cause;
    this.#failures[cause] = (this.#failures[cause] ?? 0) + 1;
    this.#trouble = error === undefined ? 'the API server ended the stream early' : messageOf(error);
    const fields = { resource, cause, error: this.#trouble };
    const what = stop.cause === 'refused' ? `refused ${stop.status}` : cause;
    this.#say(what, () =>
      this.#options.logger.warn(fields, 'not following: what is known stays, trying again'),
    );
  }

  /** Each state is told when it begins, not each time it is tried again. */
  #say(state: string, tell: () => void): void {
    if (state === this.#said) return;
    this.#said = state;
    tell();
  }

  /** How far the attempt got that stopped; one that was followed for a while says nothing about the server as it is now. */
  #reach(stop: Stop): Reach {
    if (this.#begunAt === undefined) return stop.cause === 'refused' ? 1 : 0;
    return this.#clock.now() - this.#begunAt < this.#timing.early ? 2 : 0;
  }

  #delay(pause: Exclude<NextStep['pause'], 'none'>): RetryDelay {
    const [now, random] = [this.#clock.now(), this.#random()];
    const kind = typeof pause === 'object' ? 'unavailable' : pause;
    this.#history = afterFailure(this.#history, kind, now);
    const delay = retryDelay(this.#history, kind, { now, random, objects: this.#objects }, this.#timing);
    return typeof pause === 'object' ? withAsked(delay, pause.seconds, random) : delay;
  }
}
