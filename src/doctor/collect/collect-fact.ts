import { BaseError, messageOf } from '../../base/errors.js';
import type { Fact } from '../check-result.js';

/** Why something could not be looked at, with what helps. */
export class FactUnavailableError extends BaseError {
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
export const collectFact = async <T>(
  collect: () => T | Promise<T>,
  what: string,
  remedy: string,
): Promise<Fact<T>> => {
  try {
    return { value: await collect() };
  } catch (error) {
    if (error instanceof FactUnavailableError) return { unavailable: error.message, remedy: error.remedy };
    return { unavailable: `cannot read ${what}: ${messageOf(error)}`, remedy };
  }
};

/** A client of the kernel that is closed when the work is done. */
export const withClient = async <C extends { close(): void }, T>(
  open: () => C,
  use: (client: C) => Promise<T>,
): Promise<T> => {
  const client = open();
  try {
    return await use(client);
  } finally {
    client.close();
  }
};
