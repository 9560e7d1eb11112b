import { ByteWriter } from './codec/bytes.js';
import { MessageFlag } from './constants.js';
import type { NetlinkError, ProtocolError } from './errors.js';
import type { Request } from './message.js';
import { RequestDatagram } from './request-datagram.js';

/** Messages that the kernel performs as a whole. */
export interface TransactionParts {
  readonly begin: Request;
  /** At least one. */
  readonly requests: readonly Request[];
  /** Without it the kernel tries the requests, answers and undoes them. */
  readonly end: Request | undefined;
}

/** `failed`: nothing was done; `requestIndex` is that of the request at fault, undefined where the kernel blames none. */
export type TransactionResult =
  | { readonly status: 'applied' }
  | {
      readonly status: 'failed';
      readonly error: NetlinkError | ProtocolError;
      readonly requestIndex: number | undefined;
    }
  | { readonly status: 'unknown' };

/**
 * The datagram of a transaction. It asks for an acknowledgement of the last request, because not every kernel acknowledges the
 * end.
 */
export const transactionDatagram = (
  { begin, requests, end }: TransactionParts,
  previousSequence: number,
): RequestDatagram => {
  const datagram = new RequestDatagram(previousSequence, new ByteWriter());
  datagram.add(begin);
  for (const [index, request] of requests.entries())
    datagram.add(request, index === requests.length - 1 ? MessageFlag.acknowledge : 0);
  if (end !== undefined) datagram.add(end);
  return datagram;
};

/** A refusal of the whole, which has the number of the beginning, ranks after those of single requests. */
const rank = (index: number): number => (index === 0 ? Number.POSITIVE_INFINITY : index);

const firstError = (
  datagram: RequestDatagram,
): { error: NetlinkError | ProtocolError; index: number } | undefined => {
  const errors = datagram.requests.flatMap((_, index) => {
    const reply = datagram.replyTo(index);
    const error = datagram.unsendableError(index) ?? (reply === 'acknowledged' ? undefined : reply);
    return error === undefined ? [] : [{ error, index }];
  });
  return errors.toSorted((one, other) => rank(one.index) - rank(other.index))[0];
};

/**
 * Of several refusals the first one counts, because the others may follow from it. Any refusal outweighs the acknowledgement, which
 * also comes where the commit fails.
 */
export const transactionResult = (
  { requests }: TransactionParts,
  datagram: RequestDatagram,
): TransactionResult => {
  const first = firstError(datagram);
  if (first !== undefined) {
    const requestIndex = first.index - 1;
    const isOfRequest = requestIndex >= 0 && requestIndex < requests.length;
    return { status: 'failed', error: first.error, requestIndex: isOfRequest ? requestIndex : undefined };
  }
  if (datagram.sendError !== undefined)
    return { status: 'failed', error: datagram.sendError, requestIndex: undefined };
  const isAcknowledged = datagram.replyTo(requests.length) === 'acknowledged';
  return { status: isAcknowledged && !datagram.repliesLost ? 'applied' : 'unknown' };
};
