/** What a check came to. `unknown`: it could not look, and says why. */
export type CheckStatus = 'pass' | 'warn' | 'fail' | 'unknown';

export interface CheckResult {
  readonly result: CheckStatus;
  /** The figures, or why there are none. */
  readonly seen: string;
  /** A command to run or a line to write; '' where there is nothing to do. */
  readonly remedy: string;
}

/** Something that was looked at; `unavailable`: why it could not be, with what helps. */
export type Fact<T> = { readonly value: T } | { readonly unavailable: string; readonly remedy: string };

export const pass = (seen: string): CheckResult => ({ result: 'pass', seen, remedy: '' });
export const warn = (seen: string, remedy: string): CheckResult => ({ result: 'warn', seen, remedy });
export const fail = (seen: string, remedy: string): CheckResult => ({ result: 'fail', seen, remedy });
export const unknown = (seen: string, remedy: string): CheckResult => ({ result: 'unknown', seen, remedy });

/** A remedy: the command that shows on the node what could not be seen here. */
export const onNode = (command: string): string => `as root on the node: ${command}`;

/** What the value means; unknown where nobody could look. */
export const checkFact = <T>(fact: Fact<T>, check: (value: T) => CheckResult): CheckResult =>
  'value' in fact ? check(fact.value) : unknown(fact.unavailable, fact.remedy);

/** The value; undefined where nobody could look. */
export const valueOf = <T>(fact: Fact<T>): T | undefined => ('value' in fact ? fact.value : undefined);

/** The first few, and how many more there are. */
export const abbreviatedList = (items: readonly string[], limit = 5): string =>
  items.length <= limit
    ? items.join(', ')
    : `${items.slice(0, limit).join(', ')} and ${items.length - limit} more`;
