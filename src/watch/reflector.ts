import { Backoff, sleep } from '../base/async.js';
import { messageOf } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import { ApiError, SilenceError, type Answer, type ApiClient } from './api-client.js';
import { Intake, type Collection } from './collection.js';
import { BrokenStream, JsonLines } from './json-lines.js';
import { ListSplitter } from './list-splitter.js';
import { nextStep, startPosition, type NextStep, type Position, type Stop } from './next-step.js';
import { MalformedObject, readList, readStatus, readWatchEvent, type WatchEvent } from './schemas.js';

/** How long a reflector waits for what; milliseconds where nothing else is said. */
export interface ReflectorTiming {
  /** How long the server shall keep a watch, seconds: between these, at random, so that nodes do not come back together. */
  readonly watchSeconds: readonly [from: number, to: number];
  /** How much later than that a watch counts as dead. */
  readonly slack: number;
  /** For an answer to begin, and for each further piece of a list. */
  readonly answer: number;
  /** For each further piece of a streaming list before its end mark. */
  readonly initialSilence: number;
  readonly backoff: { readonly first: number; readonly maximum: number };
  /** After a restart the server finds what everybody has too old: lists are begun at random within this time. */
  readonly relistSpread: number;
  /**
   * After a stream was followed for so long the next failure is a first one. Not less than the longest pause: so a server that
   * loses us again and again is not asked more often than if it never took us.
   */
  readonly healthy: number;
  /** A stream that ended within this time counts as a failure. */
  readonly early: number;
}

export const defaultTiming: ReflectorTiming = {
  watchSeconds: [300, 600],
  slack: 15_000,
  answer: 60_000,
  initialSilence: 30_000,
  backoff: { first: 800, maximum: 30_000 },
  relistSpread: 5_000,
  healthy: 30_000,
  early: 1_000,
};

export interface ReflectorOptions<Key extends string, Value> {
  readonly client: Pick<ApiClient, 'open'>;
  readonly collection: Collection<Key, Value>;
  readonly logger: Logger;
  readonly timing?: ReflectorTiming;
  /** From 0 (inclusive) to 1 (exclusive), as Math.random. */
  readonly random?: () => number;
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

const stopOf = (error: unknown): Stop => {
  if (error instanceof ApiError) {
    const { status, tooLargeVersion, retryAfterSeconds } = error;
    return { cause: 'refused', status, tooLargeVersion, retryAfterSeconds };
  }
  if (error instanceof SilenceError) return { cause: 'silence' };
  if (error instanceof UnsupportedError) return { cause: 'unsupported' };
  if (error instanceof BrokenStream || error instanceof MalformedObject) return { cause: 'broken' };
  return { cause: 'connection' };
};

/**
 * Keeps a collection equal to the API server's objects of one kind: lists, watches, and after whatever failure goes on
 * from where it was, or lists again. It never gives up; only its signal ends it.
 */
export class Reflector<Key extends string, Value> {
  readonly #options: ReflectorOptions<Key, Value>;
  readonly #timing: ReflectorTiming;
  readonly #random: () => number;
  readonly #backoff: Backoff;
  readonly #intake: Intake<Key, Value>;
  readonly #failures: Partial<Record<FailureCause, number>> = {};
  #position: Position = startPosition;
  /** Whether a list was begun because of a version that was too old, and no event has come of a watch since. */
  #relisting = false;
  #lists = 0;
  #watches = 0;
  #events = 0;
  #lastEventAt: number | undefined;
  /** Since when the stream at hand has been followed, by performance.now. */
  #wellSince: number | undefined;
  #trouble: string | undefined = 'not connected yet';
  #said = '';

  constructor(options: ReflectorOptions<Key, Value>) {
    this.#options = options;
    this.#timing = options.timing ?? defaultTiming;
    this.#random = options.random ?? Math.random;
    this.#intake = new Intake(options.collection);
    const { first, maximum } = this.#timing.backoff;
    this.#backoff = new Backoff({
      firstMilliseconds: first,
      maximumMilliseconds: maximum,
      random: this.#random,
    });
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
      const { stop, error } = await this.#follow(signal);
      if (signal.aborted) return;
      if (stop === undefined) continue;
      const { healthy } = this.#timing;
      // Waiting for an answer is no sign of health, however long it took.
      if (performance.now() - (this.#wellSince ?? Infinity) >= healthy) this.#backoff.reset();
      const { position, pause } = nextStep(this.#position, stop);
      this.#record(stop, error);
      this.#position = position;
      await this.#pause(pause, signal);
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
      return { stop: stopOf(error), error };
    } finally {
      this.#intake.drop();
    }
  }

  async #stream(signal: AbortSignal): Promise<Stop> {
    const { version } = this.#position;
    const [from, to] = this.#timing.watchSeconds;
    const milliseconds = Math.round(from + this.#random() * (to - from)) * 1000;
    const began = performance.now();
    const eventsBefore = this.#events;
    const answer = await this.#openStream(version, milliseconds / 1000, signal);
    const ends = began + milliseconds + this.#timing.slack;
    await this.#readStream(answer, () =>
      this.#intake.listing ? this.#timing.initialSilence : Math.max(0, ends - performance.now()),
    );
    const took = performance.now() - began;
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
      signal,
    );
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
    // The end mark of a list proves nothing of the watch behind it.
    if (!this.#intake.listing) this.#relisting = false;
    if (type === 'BOOKMARK') this.#endInitial(endsInitialEvents);
    else if (type === 'DELETED') this.#intake.remove(object);
    else this.#intake.put(object);
    // Before the end mark versions come in no order, and without the whole list none is worth keeping.
    if (version && !this.#intake.listing) this.#position = { ...this.#position, version, broken: 0 };
  }

  #endInitial(marked: boolean): void {
    if (!this.#intake.listing) return;
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
      const answer = await this.#open(token === '' ? first : { ...limit, continue: token }, signal);
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

  async #open(query: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Answer> {
    const { client, collection } = this.#options;
    const parameters = new URLSearchParams({ ...collection.selectors, ...query });
    return client.open(`${collection.path}?${parameters.toString()}`, {
      signal,
      milliseconds: this.#timing.answer,
    });
  }

  #deliver(): void {
    const objects = this.#intake.deliver();
    this.#well({ objects });
  }

  #well(fields: object = {}): void {
    this.#trouble = undefined;
    this.#wellSince ??= performance.now();
    this.#say('well', () =>
      this.#options.logger.info({ resource: this.#options.collection.name, ...fields }, 'following'),
    );
  }

  #record(stop: Stop, error: unknown): void {
    if (stop.cause === 'ended' && stop.life !== 'early' && this.#position.version !== undefined) return;
    const cause: FailureCause = stop.cause === 'ended' ? 'ended-early' : stop.cause;
    this.#failures[cause] = (this.#failures[cause] ?? 0) + 1;
    this.#trouble = error === undefined ? 'the API server ended the stream early' : messageOf(error);
    const fields = { resource: this.#options.collection.name, cause, error: this.#trouble };
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

  #asked(pause: Exclude<NextStep['pause'], 'none'>): number {
    if (pause === 'backoff') return 0;
    if (pause === 'relist') return this.#timing.relistSpread * this.#random();
    // A little later than asked for, at random: everyone who was refused was given the same time.
    return pause.seconds * 1000 * (1 + 0.1 * this.#random());
  }

  async #pause(pause: NextStep['pause'], signal: AbortSignal): Promise<void> {
    if (pause === 'none') return;
    // What kept us from the server is over; should a list be of no use either, delays grow again.
    if (pause === 'relist' && !this.#relisting) this.#backoff.reset();
    this.#relisting ||= pause === 'relist';
    await sleep(Math.max(this.#backoff.next(), this.#asked(pause)), signal);
  }
}
