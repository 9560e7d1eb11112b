import { BaseError } from '../../base/errors.js';

/** The kernel rejected the nftables tables; the message names the rejected part. */
export class PacketRulesError extends BaseError {
  constructor(
    message: string,
    /** Empty if the kernel did not reply. */
    readonly errno: string,
  ) {
    super(message);
  }
}
