import { ProtocolError } from '../../netlink/errors.js';
import type { Request } from '../../netlink/message.js';
import type { TransactionResult } from '../../netlink/transaction.js';
import { meaningOf } from './errno-meaning.js';

/**
 * The kernel makes all changes of a transaction or none. `culprit` is the index of the change at fault, undefined where
 * the kernel blames none. `unknown`: the answer was lost.
 */
export type TransactionOutcome =
  | { readonly status: 'applied' }
  | {
      readonly status: 'failed';
      readonly errno: string;
      readonly message: string;
      readonly culprit: number | undefined;
    }
  | { readonly status: 'unknown' };

/** `changeIndexes`: of each request, the index of its change. */
export const transactionOutcome = (
  result: TransactionResult,
  requests: readonly Request[],
  changeIndexes: readonly number[],
): TransactionOutcome => {
  if (result.status !== 'failed') return result;
  const { error, requestIndex } = result;
  const request = requestIndex === undefined ? undefined : requests[requestIndex];
  const culprit = requestIndex === undefined ? undefined : changeIndexes[requestIndex];
  if (error instanceof ProtocolError)
    return {
      status: 'failed',
      errno: 'EDOM',
      message: `${request?.operation() ?? 'make a transaction'}: ${error.message}`,
      culprit,
    };
  const meaning = meaningOf(request, error.errno);
  return {
    status: 'failed',
    errno: error.errno,
    message: meaning === undefined ? error.message : `${error.message}: ${meaning}`,
    culprit,
  };
};
