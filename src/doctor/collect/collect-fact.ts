import { BaseError, messageOf } from '../../base/errors.js';
import type { Fact } from '../check-result.js';
import type { Remedy } from '../remedy.js';

/** The fact cannot be read; the message says why. */
export class FactUnavailableError extends BaseError {
  readonly remedies: readonly Remedy[];

  constructor(message: string, ...remedies: readonly Remedy[]) {
    super(message);
    this.remedies = remedies;
  }
}

/** Collects a fact; if that fails, the fact is unavailable: `cannot read WHAT: REASON`. Other facts do not depend on it. */
export const collectFact = async <T>(
  collect: () => T | Promise<T>,
  what: string,
  ...remedies: readonly Remedy[]
): Promise<Fact<T>> => {
  try {
    return { value: await collect() };
  } catch (error) {
    if (error instanceof FactUnavailableError)
      return { unavailable: error.message, remedies: error.remedies };
    return { unavailable: `cannot read ${what}: ${messageOf(error)}`, remedies };
  }
};

/** Closes the client when the work is done. */
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
