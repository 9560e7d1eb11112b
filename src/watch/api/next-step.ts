/** The state of a reflector, which decides its next request. */
export interface ResumePoint {
  /** The resource version of the store; undefined: list everything. */
  readonly version: string | undefined;
  /** `stream`: a watch that begins with all objects (WatchList). `pages`: list, then watch, for servers without WatchList. */
  readonly lister: 'stream' | 'pages';
  /** `any`: from the server's cache, in pages. `latest`: from etcd, in one piece, so that the store never goes back in time. */
  readonly freshness: 'any' | 'latest';
  /** Consecutive broken streams from this version: the same line may break each of them. */
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
  /** The server reported a failure, by an HTTP status or an ERROR event. */
  | {
      readonly cause: 'refused';
      readonly status: number;
      /** The requested version is newer than the server's. */
      readonly tooLargeVersion: boolean;
      readonly retryAfterSeconds: number | undefined;
      /** In an ERROR event, after the response had begun. */
      readonly begun: boolean;
    }
  /** No connection, or it was reset; `begun`: after the response had begun. */
  | { readonly cause: 'connection'; readonly begun: boolean }
  /** The stream was silent for too long: a half-open connection or a blocked server. */
  | { readonly cause: 'silence'; readonly begun: boolean }
  /** The stream had invalid JSON. */
  | { readonly cause: 'broken' }
  /** The server ended the stream; `mute`: without any event or bookmark; `early`: soon after its beginning. */
  | { readonly cause: 'ended'; readonly life: 'normal' | 'mute' | 'early' }
  /** The server does not support streaming lists: it began a plain watch. */
  | { readonly cause: 'unsupported' };

/** The state of the API server after a failed attempt; retry-delay.ts derives the delay from it. */
export type FailureKind =
  /** No response. */
  | 'unreachable'
  /** It reported that it cannot serve now, or a watch broke: another attempt is cheap. */
  | 'unavailable'
  /** It denied access or does not know the resource: a starting server has not loaded its rules yet. */
  | 'denied'
  /** It serves, but its data is unusable or a list broke: another attempt is expensive. */
  | 'misbehaving'
  /** It serves, but our version is too old, as after each restart: every client must list. */
  | 'expired';

export interface NextStep {
  readonly resumePoint: ResumePoint;
  /** `none`: continue at once. Seconds: the server's Retry-After. */
  readonly pause: 'none' | FailureKind | { readonly seconds: number };
}

/** After this many consecutive broken streams the version is dropped: a list may avoid the broken line. */
const maxBrokenStreams = 3;

/** Statuses of servers that do not know a parameter. */
const unsupportedParameterStatuses: ReadonlySet<number> = new Set([400, 405, 406, 415, 422, 501]);

const goneStatus = 410;

const relist = (resumePoint: ResumePoint): ResumePoint => ({
  ...resumePoint,
  version: undefined,
  freshness: 'latest',
  brokenStreams: 0,
});

const deniedStatuses: ReadonlySet<number> = new Set([401, 403, 404]);

/** Whether the version is too old or too new for the server, so that everything must be listed. */
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

/** After an incomplete list. */
const afterList = (resumePoint: ResumePoint, end: StreamEnd): NextStep => {
  if (isStaleVersion(end)) return { resumePoint: relist(resumePoint), pause: pauseOf(end, 'misbehaving') };
  const refusal = end.cause === 'refused' && unsupportedParameterStatuses.has(end.status);
  const pause = hasResponseStarted(end) ? pauseOf(end, 'misbehaving') : pauseOf(end);
  if (resumePoint.lister === 'stream') {
    const pages: ResumePoint = { ...resumePoint, lister: 'pages' };
    if (refusal || end.cause === 'unsupported' || end.cause === 'ended')
      return { resumePoint: pages, pause: 'none' };
    // Silence before the response begins is an outage and says nothing about streaming lists.
    if (end.cause === 'silence' && end.begun) return { resumePoint: pages, pause };
  }
  // The only parameter of a paged list that a server can reject is its own continue token.
  return { resumePoint: refusal ? relist(resumePoint) : resumePoint, pause };
};

/** After a watch stopped. */
const afterWatch = (resumePoint: ResumePoint, end: StreamEnd): NextStep => {
  const unchanged = { ...resumePoint, brokenStreams: 0 };
  switch (end.cause) {
    case 'ended':
      // A server with an older version than ours (etcd restored from a backup) stays silent until it catches up.
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
      const isRelistDue = isStaleVersion(end) || unsupportedParameterStatuses.has(end.status);
      return { resumePoint: isRelistDue ? relist(resumePoint) : unchanged, pause: pauseOf(end) };
    }
    case 'connection':
    case 'silence':
    case 'unsupported':
      return { resumePoint: unchanged, pause: failureKindOf(end) };
  }
};

/** The next step after a list (no version yet) or a watch stopped. */
export const nextStep = (resumePoint: ResumePoint, end: StreamEnd): NextStep =>
  resumePoint.version === undefined ? afterList(resumePoint, end) : afterWatch(resumePoint, end);
