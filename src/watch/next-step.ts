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
      /** In an ERROR event, after the answer had begun. */
      readonly begun: boolean;
    }
  /** No connection, or it was reset; `begun`: after the answer had begun. */
  | { readonly cause: 'connection'; readonly begun: boolean }
  /** Nothing came when something was due: a half-open connection or a stuck server. */
  | { readonly cause: 'silence'; readonly begun: boolean }
  /** The bytes were no lines of JSON. */
  | { readonly cause: 'broken' }
  /** The server ended the stream in order; `mute`: without a single event or bookmark in all its time; `early`: it had hardly begun. */
  | { readonly cause: 'ended'; readonly life: 'normal' | 'mute' | 'early' }
  /** The server does not know streaming lists: it began like a plain watch. */
  | { readonly cause: 'unsupported' };

/** What a failed attempt says about the API server; retry-delay.ts decides by it how long to wait. */
export type FailureKind =
  /** It did not answer at all. */
  | 'unreachable'
  /** It answered that it cannot serve now, or a watch broke off: asking again costs little. */
  | 'unavailable'
  /** It does not let us in, or does not know the resource: a server that starts has not loaded its rules yet. */
  | 'denied'
  /** It serves, but what it sends is of no use, or a list broke off: asking again is expensive. */
  | 'misbehaving'
  /** It serves, but our version is too old for it, as after each restart: everybody has to list. */
  | 'expired';

export interface NextStep {
  readonly position: Position;
  /** `none`: go on at once. Seconds: what the server asked for. */
  readonly pause: 'none' | FailureKind | { readonly seconds: number };
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

const deniedStatuses: ReadonlySet<number> = new Set([401, 403, 404]);

/** Whether the server found the version too old or too new, so that everything has to be listed. */
export const isStaleVersion = (stop: Stop): boolean =>
  stop.cause === 'refused' && (stop.status === gone || stop.tooLargeVersion);

const kindOf = (stop: Stop): FailureKind => {
  switch (stop.cause) {
    case 'refused':
      if (isStaleVersion(stop)) return 'expired';
      if (misunderstood.has(stop.status)) return 'misbehaving';
      return deniedStatuses.has(stop.status) ? 'denied' : 'unavailable';
    case 'connection':
    case 'silence':
      return stop.begun ? 'unavailable' : 'unreachable';
    case 'ended':
      return 'unavailable';
    case 'broken':
    case 'unsupported':
      return 'misbehaving';
  }
};

const pauseOf = (stop: Stop, kind: FailureKind = kindOf(stop)): NextStep['pause'] =>
  stop.cause === 'refused' && stop.retryAfterSeconds !== undefined
    ? { seconds: stop.retryAfterSeconds }
    : kind;

const hasBegun = (stop: Stop): boolean => 'begun' in stop && stop.begun;

/** After a list stopped before it was whole. */
const afterList = (position: Position, stop: Stop): NextStep => {
  if (isStaleVersion(stop)) return { position: relist(position), pause: pauseOf(stop, 'misbehaving') };
  const refusal = stop.cause === 'refused' && misunderstood.has(stop.status);
  const pause = hasBegun(stop) ? pauseOf(stop, 'misbehaving') : pauseOf(stop);
  if (position.lister === 'stream') {
    const pages: Position = { ...position, lister: 'pages' };
    if (refusal || stop.cause === 'unsupported' || stop.cause === 'ended')
      return { position: pages, pause: 'none' };
    // Silence before the answer begins is an outage and says nothing about streaming lists.
    if (stop.cause === 'silence' && stop.begun) return { position: pages, pause };
  }
  // The one parameter of a paged list that a server can find wrong is its own continue token.
  return { position: refusal ? relist(position) : position, pause };
};

/** After a watch stopped. */
const afterWatch = (position: Position, stop: Stop): NextStep => {
  const resume = { ...position, broken: 0 };
  switch (stop.cause) {
    case 'ended':
      // A server whose version lies behind ours (etcd restored from a copy) keeps silent until it has caught up.
      if (stop.life === 'mute') return { position: relist(position), pause: 'expired' };
      return { position: resume, pause: stop.life === 'early' ? 'unavailable' : 'none' };
    case 'broken':
      if (position.broken + 1 >= patience) return { position: relist(position), pause: 'misbehaving' };
      return { position: { ...position, broken: position.broken + 1 }, pause: 'misbehaving' };
    case 'refused': {
      const anew = isStaleVersion(stop) || misunderstood.has(stop.status);
      return { position: anew ? relist(position) : resume, pause: pauseOf(stop) };
    }
    case 'connection':
    case 'silence':
    case 'unsupported':
      return { position: resume, pause: kindOf(stop) };
  }
};

/** What to do after listing (no version yet) or watching stopped. */
export const nextStep = (position: Position, stop: Stop): NextStep =>
  position.version === undefined ? afterList(position, stop) : afterWatch(position, stop);
