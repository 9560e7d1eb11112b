/** What a check came to. `unknown`: it could not look, and says why. */
export type Result = 'pass' | 'warn' | 'fail' | 'unknown';

export interface Finding {
  readonly result: Result;
  /** The figures, or why there are none. */
  readonly seen: string;
  /** A command to run or a line to write; '' where there is nothing to do. */
  readonly remedy: string;
}

/** Something that was looked at; `unseen`: why it could not be, with what helps. */
export type Look<T> = { readonly value: T } | { readonly unseen: string; readonly remedy: string };

export const pass = (seen: string): Finding => ({ result: 'pass', seen, remedy: '' });
export const warn = (seen: string, remedy: string): Finding => ({ result: 'warn', seen, remedy });
export const fail = (seen: string, remedy: string): Finding => ({ result: 'fail', seen, remedy });
export const unknown = (seen: string, remedy: string): Finding => ({ result: 'unknown', seen, remedy });

/** A remedy: the command that shows on the node what could not be seen here. */
export const onNode = (command: string): string => `as root on the node: ${command}`;

/** What the value means; unknown where nobody could look. */
export const judge = <T>(look: Look<T>, meaning: (value: T) => Finding): Finding =>
  'value' in look ? meaning(look.value) : unknown(look.unseen, look.remedy);

/** The value; undefined where nobody could look. */
export const valueOf = <T>(look: Look<T>): T | undefined => ('value' in look ? look.value : undefined);

/** The first few, and how many more there are. */
export const some = (items: readonly string[], most = 5): string =>
  items.length <= most
    ? items.join(', ')
    : `${items.slice(0, most).join(', ')} and ${items.length - most} more`;
