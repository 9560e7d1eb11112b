import { BaseError, messageOf } from '../../base/errors.js';
import type { Look } from '../finding.js';

/** Why something could not be looked at, with what helps. */
export class UnseenError extends BaseError {
  constructor(
    message: string,
    readonly remedy: string,
  ) {
    super(message);
  }
}

/**
 * What the work gives; where it fails, what could not be read (the end of a sentence), why, and the remedy. A failure here makes
 * nothing else unknown.
 */
export const attempt = async <T>(
  work: () => T | Promise<T>,
  what: string,
  remedy: string,
): Promise<Look<T>> => {
  try {
    return { value: await work() };
  } catch (error) {
    if (error instanceof UnseenError) return { unseen: error.message, remedy: error.remedy };
    return { unseen: `cannot read ${what}: ${messageOf(error)}`, remedy };
  }
};

/** A client of the kernel that is closed when the work is done. */
export const using = async <C extends { close(): void }, T>(
  open: () => C,
  work: (client: C) => Promise<T>,
): Promise<T> => {
  const client = open();
  try {
    return await work(client);
  } finally {
    client.close();
  }
};
