/** Where a reflector stands: what to ask the API server next. */
export interface ResumePoint {
  /** The version that the store has; undefined: everything has to be listed. */
  readonly version: string | undefined;
  /** `stream`: a watch that begins with all objects (WatchList). `pages`: list, then watch; for servers that cannot do the former. */
  readonly lister: 'stream' | 'pages';
  /** `any`: what the server has at hand, in pages. `latest`: what etcd says now, in one piece; once something is known, so that it never goes back in time. */
  readonly freshness: 'any' | 'latest';
  /** Broken streams in a row from this version: the broken line may be one that comes each time. */
  readonly brokenStreams: number;
}

export const initialResumePoint: ResumePoint = {
  version: undefined,
  lister: 'stream',
  freshness: 'any',
  brokenStreams: 0,
};

/** Why listing or watching stopped. */
export type StreamEnd =
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
  readonly resumePoint: ResumePoint;
  /** `none`: go on at once. Seconds: what the server asked for. */
  readonly pause: 'none' | FailureKind | { readonly seconds: number };
}

/** A version that brought this many broken streams in a row is given up: a list may get past the broken line. */
const maxBrokenStreams = 3;

/** Statuses with which servers answer to a parameter they do not know. */
const unsupportedParameterStatuses: ReadonlySet<number> = new Set([400, 405, 406, 415, 422, 501]);

const goneStatus = 410;

const relist = (resumePoint: ResumePoint): ResumePoint => ({
  ...resumePoint,
  version: undefined,
  freshness: 'latest',
  brokenStreams: 0,
});

const deniedStatuses: ReadonlySet<number> = new Set([401, 403, 404]);

/** Whether the server found the version too old or too new, so that everything has to be listed. */
export const isStaleVersion = (end: StreamEnd): boolean =>
  end.cause === 'refused' && (end.status === goneStatus || end.tooLargeVersion);

const failureKindOf = (end: StreamEnd): FailureKind => {
  switch (end.cause) {
    case 'refused':
      if (isStaleVersion(end)) return 'expired';
      if (unsupportedParameterStatuses.has(end.status)) return 'misbehaving';
      return deniedStatuses.has(end.status) ? 'denied' : 'unavailable';
    case 'connection':
    case 'silence':
      return end.begun ? 'unavailable' : 'unreachable';
    case 'ended':
      return 'unavailable';
    case 'broken':
    case 'unsupported':
      return 'misbehaving';
  }
};

const pauseOf = (end: StreamEnd, kind: FailureKind = failureKindOf(end)): NextStep['pause'] =>
  end.cause === 'refused' && end.retryAfterSeconds !== undefined ? { seconds: end.retryAfterSeconds } : kind;

const hasResponseStarted = (end: StreamEnd): boolean => 'begun' in end && end.begun;

/** After a list stopped before it was whole. */
const afterList = (resumePoint: ResumePoint, end: StreamEnd): NextStep => {
  if (isStaleVersion(end)) return { resumePoint: relist(resumePoint), pause: pauseOf(end, 'misbehaving') };
  const refusal = end.cause === 'refused' && unsupportedParameterStatuses.has(end.status);
  const pause = hasResponseStarted(end) ? pauseOf(end, 'misbehaving') : pauseOf(end);
  if (resumePoint.lister === 'stream') {
    const pages: ResumePoint = { ...resumePoint, lister: 'pages' };
    if (refusal || end.cause === 'unsupported' || end.cause === 'ended')
      return { resumePoint: pages, pause: 'none' };
    // Silence before the answer begins is an outage and says nothing about streaming lists.
    if (end.cause === 'silence' && end.begun) return { resumePoint: pages, pause };
  }
  // The one parameter of a paged list that a server can find wrong is its own continue token.
  return { resumePoint: refusal ? relist(resumePoint) : resumePoint, pause };
};

/** After a watch stopped. */
const afterWatch = (resumePoint: ResumePoint, end: StreamEnd): NextStep => {
  const unchanged = { ...resumePoint, brokenStreams: 0 };
  switch (end.cause) {
    case 'ended':
      // A server whose version lies behind ours (etcd restored from a copy) keeps silent until it has caught up.
      if (end.life === 'mute') return { resumePoint: relist(resumePoint), pause: 'expired' };
      return { resumePoint: unchanged, pause: end.life === 'early' ? 'unavailable' : 'none' };
    case 'broken':
      if (resumePoint.brokenStreams + 1 >= maxBrokenStreams)
        return { resumePoint: relist(resumePoint), pause: 'misbehaving' };
      return {
        resumePoint: { ...resumePoint, brokenStreams: resumePoint.brokenStreams + 1 },
        pause: 'misbehaving',
      };
    case 'refused': {
      const anew = isStaleVersion(end) || unsupportedParameterStatuses.has(end.status);
      return { resumePoint: anew ? relist(resumePoint) : unchanged, pause: pauseOf(end) };
    }
    case 'connection':
    case 'silence':
    case 'unsupported':
      return { resumePoint: unchanged, pause: failureKindOf(end) };
  }
};

/** What to do after listing (no version yet) or watching stopped. */
export const nextStep = (resumePoint: ResumePoint, end: StreamEnd): NextStep =>
  resumePoint.version === undefined ? afterList(resumePoint, end) : afterWatch(resumePoint, end);
