/** The base of all our errors: a message for people, fields for decisions, the cause in `cause`. */
export class BaseError extends Error {
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** Input that a person wrote (a flag, a configuration file, a manifest) is invalid; the message names the field and the remedy. */
export class InputError extends BaseError {}

/** The code of a Node error, such as `ENOENT`; undefined for an error without one. */
export const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error ? String(error.code) : undefined;

/** The message of a thrown value, followed by those of its causes. */
export const messageOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${messageOf(error.cause)}`;
};
