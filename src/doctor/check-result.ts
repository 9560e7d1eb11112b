import type { Remedy } from './remedy.js';

/** `unknown`: the check could not be made. */
export type CheckStatus = 'pass' | 'warn' | 'fail' | 'unknown';

export interface CheckResult {
  readonly result: CheckStatus;
  /** What the check found; of `unknown`, why it could not be made. */
  readonly seen: string;
  /** Empty where there is nothing to do. */
  readonly remedies: readonly Remedy[];
}

/** A value that was read, or why it could not be and what to do about that. */
export type Fact<T> =
  | { readonly value: T }
  | { readonly unavailable: string; readonly remedies: readonly Remedy[] };

export const pass = (seen: string): CheckResult => ({ result: 'pass', seen, remedies: [] });
export const warn = (seen: string, ...remedies: readonly Remedy[]): CheckResult => ({
  result: 'warn',
  seen,
  remedies,
});
export const fail = (seen: string, ...remedies: readonly Remedy[]): CheckResult => ({
  result: 'fail',
  seen,
  remedies,
});
export const unknown = (seen: string, ...remedies: readonly Remedy[]): CheckResult => ({
  result: 'unknown',
  seen,
  remedies,
});

/** Checks the value; `unknown` where it could not be read. */
export const checkFact = <T>(fact: Fact<T>, check: (value: T) => CheckResult): CheckResult =>
  'value' in fact ? check(fact.value) : unknown(fact.unavailable, ...fact.remedies);

/** The value; undefined where it could not be read. */
export const valueOf = <T>(fact: Fact<T>): T | undefined => ('value' in fact ? fact.value : undefined);

/** The first few items, and how many more there are. */
export const abbreviatedList = (items: readonly string[], limit = 5): string =>
  items.length <= limit
    ? items.join(', ')
    : `${items.slice(0, limit).join(', ')} and ${items.length - limit} more`;
