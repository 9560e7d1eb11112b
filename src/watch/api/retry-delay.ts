import { exponentialDelay, jittered } from '../../base/async.js';
import type { FailureKind } from './next-step.js';

/** Delays of a reflector, in milliseconds. */
export interface RetryTiming {
  /** Exponential delays for expensive attempts: from `first`, doubled up to `maximum`. */
  readonly backoff: { readonly first: number; readonly maximum: number };
  /**
   * The longest mean delay between two attempts while the server is unreachable. With the spread of lists it leaves one second for the
   * list and the sync of the five that a change may take after an outage.
   */
  readonly probe: number;
  /** A server that denies access for longer than this is assumed to be configured so; attempts are then `backoff.maximum` apart. */
  readonly denied: number;
  /** After a restart all nodes list at once, so lists are randomly delayed, the longer the more objects a list has. */
  readonly relistSpread: { readonly perObject: number; readonly maximum: number };
}

/** The failures of one resource since it was last followed for a while. */
export interface FailureHistory {
  /** Consecutive attempts that were only probes. */
  readonly probes: number;
  readonly misbehaving: number;
  readonly expired: number;
  /** Since when the server has denied access without interruption. */
  readonly deniedSince: number | undefined;
}

export const noFailures: FailureHistory = {
  probes: 0,
  misbehaving: 0,
  expired: 0,
  deniedSince: undefined,
};

/** After so many consecutive failed probes the server is considered unreachable. */
const outageProbes = 2;

/**
 * The history with one more failure. After an outage the earlier failures no longer count, so the tenth outage is handled like the
 * first.
 */
export const afterFailure = (history: FailureHistory, kind: FailureKind, now: number): FailureHistory => {
  const probes = history.probes + 1;
  const before = history.probes >= outageProbes ? noFailures : history;
  switch (kind) {
    case 'unreachable':
      return { ...noFailures, probes };
    case 'unavailable':
      return { ...history, probes, deniedSince: undefined };
    case 'denied':
      return { ...history, probes, deniedSince: history.deniedSince ?? now };
    case 'misbehaving':
      return { ...before, probes: 0, deniedSince: undefined, misbehaving: before.misbehaving + 1 };
    case 'expired':
      return { ...before, probes: 0, deniedSince: undefined, expired: before.expired + 1 };
  }
};

/** When to make the next attempt. */
export interface RetryDelay {
  /** The server's Retry-After, which nothing ends early. The rest follows it. */
  readonly serverDelay: number;
  readonly milliseconds: number;
  /** Whether the resources of a source take turns, so that an unreachable server gets one attempt at a time. */
  readonly takesTurns: boolean;
  /** Whether the delay ends when an attempt for another resource gets further. */
  readonly endsEarly: boolean;
}

/** The delay after a failure of this kind, which the history includes; `random` is from 0 to 1, `objects` what a list holds. */
export const retryDelay = (
  history: FailureHistory,
  kind: FailureKind,
  { now, random, objects }: { readonly now: number; readonly random: number; readonly objects: number },
  timing: RetryTiming,
): RetryDelay => {
  const { first, maximum } = timing.backoff;
  const serverDelay = 0;
  const alone = { serverDelay, takesTurns: false, endsEarly: false };
  switch (kind) {
    case 'misbehaving':
      return { milliseconds: exponentialDelay(history.misbehaving - 1, first, maximum, random), ...alone };
    case 'expired': {
      const { perObject, maximum: most } = timing.relistSpread;
      const spread = Math.min(most, objects * perObject) * random;
      // A list whose version expires at once is useless.
      const backoff = history.expired < 2 ? 0 : exponentialDelay(history.expired - 2, first, maximum, random);
      return { milliseconds: Math.max(spread, backoff), ...alone };
    }
    case 'unreachable':
    case 'unavailable':
    case 'denied': {
      const isLasting = history.deniedSince !== undefined && now - history.deniedSince >= timing.denied;
      if (isLasting)
        return { serverDelay, milliseconds: jittered(maximum, random), takesTurns: false, endsEarly: true };
      const most = Math.max(first, timing.probe);
      return {
        serverDelay,
        milliseconds: exponentialDelay(history.probes - 1, first, most, random),
        takesTurns: true,
        endsEarly: true,
      };
    }
  }
};

/** Upper limit of a server's Retry-After. */
const maxServerDelay = 60_000;

/** The same delay after a Retry-After of so many seconds, randomly extended, because every refused client got the same time. */
export const withServerDelay = (delay: RetryDelay, seconds: number, random: number): RetryDelay => ({
  ...delay,
  serverDelay: Math.min(seconds * 1_000, maxServerDelay) * (1 + 0.1 * random),
});
