/** Where a reflector stands: what to ask the API server next. */
export interface Position {
  /** The version that the store has; undefined: everything has to be listed. */
  readonly version: string | undefined;
  /** `stream`: a watch that begins with all objects (WatchList). `pages`: list, then watch; for servers that cannot do the former. */
  readonly lister: 'stream' | 'pages';
  /** `any`: what the server has at hand, in pages. `latest`: what etcd says now, in one piece; once something is known, so that it never goes back in time. */
  readonly freshness: 'any' | 'latest';
  /** Broken streams in a row from this version: the broken line may be one that comes each time. */
  readonly broken: number;
}

export const startPosition: Position = { version: undefined, lister: 'stream', freshness: 'any', broken: 0 };

/** Why listing or watching stopped. */
export type Stop =
  /** The server said so, by an HTTP status or an ERROR event. */
  | {
      readonly cause: 'refused';
      readonly status: number;
      /** The version asked for is newer than what this server has. */
      readonly tooLargeVersion: boolean;
      readonly retryAfterSeconds: number | undefined;
    }
  /** No connection, or it was reset. */
  | { readonly cause: 'connection' }
  /** Nothing came when something was due: a half-open connection or a stuck server. */
  | { readonly cause: 'silence' }
  /** The bytes were no lines of JSON. */
  | { readonly cause: 'broken' }
  /** The server ended the stream in order; `mute`: without a single event or bookmark in all its time; `early`: it had hardly begun. */
  | { readonly cause: 'ended'; readonly life: 'normal' | 'mute' | 'early' }
  /** The server does not know streaming lists: it began like a plain watch. */
  | { readonly cause: 'unsupported' };

export interface NextStep {
  readonly position: Position;
  /**
   * `none`: at once. `backoff`: after the next delay of the backoff. `relist`: the server is well, but what we have is too old
   * for it, and for all others like us: at random within a time. Seconds: what the server asked for, or the backoff if that is longer.
   */
  readonly pause: 'none' | 'backoff' | 'relist' | { readonly seconds: number };
}

/** A version that brought this many broken streams in a row is given up: a list may get past the broken line. */
const patience = 3;

/** Statuses with which servers answer to a parameter they do not know. */
const misunderstood: ReadonlySet<number> = new Set([400, 405, 406, 415, 422, 501]);

const gone = 410;

const relist = (position: Position): Position => ({
  ...position,
  version: undefined,
  freshness: 'latest',
  broken: 0,
});

const pauseOf = (stop: Stop): NextStep['pause'] =>
  stop.cause === 'refused' && stop.retryAfterSeconds !== undefined
    ? { seconds: stop.retryAfterSeconds }
    : 'backoff';

const staleVersion = (stop: Stop): boolean =>
  stop.cause === 'refused' && (stop.status === gone || stop.tooLargeVersion);

/** After a list stopped before it was whole. */
const afterList = (position: Position, stop: Stop): NextStep => {
  if (staleVersion(stop)) return { position: relist(position), pause: pauseOf(stop) };
  const refusal = stop.cause === 'refused' && misunderstood.has(stop.status);
  if (position.lister === 'stream') {
    if (refusal || stop.cause === 'unsupported' || stop.cause === 'ended')
      return { position: { ...position, lister: 'pages' }, pause: 'none' };
    if (stop.cause === 'silence') return { position: { ...position, lister: 'pages' }, pause: 'backoff' };
  }
  // The one parameter of a paged list that a server can find wrong is its own continue token.
  return { position: refusal ? relist(position) : position, pause: pauseOf(stop) };
};

/** After a watch stopped. */
const afterWatch = (position: Position, stop: Stop): NextStep => {
  const resume = { ...position, broken: 0 };
  switch (stop.cause) {
    case 'ended':
      // A server whose version lies behind ours (etcd restored from a copy) keeps silent until it has caught up.
      if (stop.life === 'mute') return { position: relist(position), pause: 'backoff' };
      return { position: resume, pause: stop.life === 'early' ? 'backoff' : 'none' };
    case 'broken':
      if (position.broken + 1 >= patience) return { position: relist(position), pause: 'backoff' };
      return { position: { ...position, broken: position.broken + 1 }, pause: 'backoff' };
    case 'refused': {
      const pause = pauseOf(stop);
      if (staleVersion(stop))
        return { position: relist(position), pause: pause === 'backoff' ? 'relist' : pause };
      return { position: misunderstood.has(stop.status) ? relist(position) : resume, pause };
    }
    case 'connection':
    case 'silence':
    case 'unsupported':
      return { position: resume, pause: 'backoff' };
  }
};

/** What to do after listing (no version yet) or watching stopped. */
export const nextStep = (position: Position, stop: Stop): NextStep =>
  position.version === undefined ? afterList(position, stop) : afterWatch(position, stop);
