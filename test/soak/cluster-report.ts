import { table } from './report.js';

export type Outcome = 'refused' | 'reset' | 'no answer';

export interface FailedRequest {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly outcome: Outcome;
}

/** What became of one path's requests in some time. */
export interface PathLap {
  readonly name: string;
  readonly requests: number;
  /** The longest between the ends of two requests that succeeded, milliseconds; pauses count. */
  readonly longestGap: number;
  readonly failures: readonly FailedRequest[];
}

/** A time in which a proxy cannot help that requests fail so. */
export interface Excuse {
  readonly from: number;
  readonly to: number;
  readonly outcomes: readonly Outcome[];
}

/** One disturbance and what it did. */
export interface Lap {
  readonly kind: string;
  readonly paths: readonly PathLap[];
  readonly excuses: readonly Excuse[];
  /** Milliseconds from each change of the API to the kernel's. */
  readonly reactions: readonly number[];
}

/** A kind of disturbance, all its times together. */
export interface KindReport {
  readonly kind: string;
  readonly times: number;
  readonly requests: number;
  readonly refused: number;
  readonly resets: number;
  readonly unanswered: number;
  /** Of those: what a proxy could have helped. */
  readonly avoidable: number;
  readonly longestGap: number;
  /** The longest from a change of the API to the kernel's, milliseconds. */
  readonly slowestReaction: number;
}

export interface ClusterReport {
  readonly seed: number;
  readonly seconds: number;
  readonly kinds: readonly KindReport[];
  /** What a proxy could have helped, and what else went wrong, a line each. */
  readonly troubles: readonly string[];
}

const isExcused = ({ at, outcome }: FailedRequest, excuses: readonly Excuse[]): boolean =>
  excuses.some(({ from, to, outcomes }) => at >= from && at <= to && outcomes.includes(outcome));

/** The failures of a lap that no excuse covers, a line each. */
export const avoidableIn = ({ kind, paths, excuses }: Lap): readonly string[] =>
  paths.flatMap(({ name, failures }) =>
    failures
      .filter((failure) => !isExcused(failure, excuses))
      .map(({ at, outcome }) => `${new Date(at).toISOString()} ${kind}: ${name}: ${outcome}`),
  );

const most = (values: readonly number[]): number => values.reduce((a, b) => Math.max(a, b), 0);

/** Sums by kind, in the order in which kinds came first. */
export const kindReports = (laps: readonly Lap[]): readonly KindReport[] =>
  [...new Set(laps.map(({ kind }) => kind))].map((kind) => {
    const own = laps.filter((lap) => lap.kind === kind);
    const paths = own.flatMap((lap) => lap.paths);
    const failures = paths.flatMap((path) => path.failures);
    const count = (wanted: Outcome): number => failures.filter(({ outcome }) => outcome === wanted).length;
    return {
      kind,
      times: own.length,
      requests: paths.reduce((sum, { requests }) => sum + requests, 0),
      refused: count('refused'),
      resets: count('reset'),
      unanswered: count('no answer'),
      avoidable: own.flatMap(avoidableIn).length,
      longestGap: most(paths.map(({ longestGap }) => longestGap)),
      slowestReaction: Math.round(most(own.flatMap(({ reactions }) => reactions))),
    };
  });

/** For people. */
export const clusterReportText = ({ seed, seconds, kinds, troubles }: ClusterReport): string => {
  const head = ['disturbance', 'times', 'requests', 'refused', 'resets', 'no answer'];
  const rows = [
    [...head, 'avoidable', 'longest gap', 'slowest reaction'],
    ...kinds.map((kind) => [
      kind.kind,
      ...[kind.times, kind.requests, kind.refused, kind.resets, kind.unanswered, kind.avoidable].map(String),
      `${kind.longestGap} ms`,
      `${kind.slowestReaction} ms`,
    ]),
  ];
  return [
    `${Math.round(seconds)} s, seed ${seed}`,
    '',
    ...table(rows),
    '',
    ...troubles,
    troubles.length === 0 ? 'sound' : `not sound: ${troubles.length} troubles`,
    '',
  ].join('\n');
};
