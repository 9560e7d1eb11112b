/** The root of every error of ours: a message for people, fields for decisions, the cause in `cause`. */
export class BaseError extends Error {
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** Input that a person wrote (a flag, a config file, a manifest) is wrong; the message names the field and what to do. */
export class InputError extends BaseError {}

/** The code of an error of Node, such as `ENOENT`; undefined where it has none. */
export const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error ? String(error.code) : undefined;

/** The message of anything that was thrown, with those of its causes behind it. */
export const messageOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${messageOf(error.cause)}`;
};

const isSystemError = (error: unknown): boolean =>
  error instanceof Error && 'errno' in error && 'syscall' in error && 'code' in error;

/**
 * Whether the program has to expect the error: the kernel, the API server, a file or a person's input caused it. Anything else is
 * a programming error.
 */
export const isExpectedError = (error: unknown): boolean =>
  error instanceof BaseError || isSystemError(error);

/** Ends the process with the error, unless the program handles `uncaughtException` itself. */
export const raiseUncaught = (error: unknown): void => {
  process.nextTick(() => {
    throw error;
  });
};
