import { BaseError } from '../../base/errors.js';

/** The kernel refused our tables; the message says which part. */
export class PacketRulesError extends BaseError {
  constructor(
    message: string,
    /** '': the kernel gave no answer. */
    readonly errno: string,
  ) {
    super(message);
  }
}
