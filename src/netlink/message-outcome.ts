import type { RequestDatagram } from './request-datagram.js';

/** What became of a message of a batch. `unknown`: the kernel may or may not have acted on it. */
export type MessageOutcome =
  | { readonly status: 'applied' }
  | { readonly status: 'failed'; readonly errno: string; readonly message: string }
  | { readonly status: 'unknown' };

const applied: MessageOutcome = { status: 'applied' };
const unknown: MessageOutcome = { status: 'unknown' };

const failure = (
  datagram: RequestDatagram,
  index: number,
  errno: string,
  reason: string,
): MessageOutcome => ({
  status: 'failed',
  errno,
  message: `${datagram.requests[index]?.operation() ?? 'send a request'}: ${reason}`,
});

/** EDOM marks a request whose value does not fit its attribute; the kernel's own word for what it refuses is EINVAL. */
const knownOutcome = (datagram: RequestDatagram, index: number): MessageOutcome | undefined => {
  const reply = datagram.replyTo(index);
  if (reply === 'acknowledged') return applied;
  if (reply !== undefined) return { status: 'failed', errno: reply.errno, message: reply.message };
  const unsendable = datagram.unsendableError(index);
  if (unsendable !== undefined) return failure(datagram, index, 'EDOM', unsendable.message);
  const { sendError } = datagram;
  return sendError === undefined ? undefined : failure(datagram, index, sendError.errno, sendError.message);
};

/**
 * One outcome for each request, in their order. The kernel performs messages in order and answers each failure, so a reply to the
 * last message means that those without a reply succeeded, unless replies were lost.
 */
export const messageOutcomes = (datagram: RequestDatagram): readonly MessageOutcome[] => {
  const isComplete = datagram.replyTo(datagram.lastWritten) !== undefined;
  const withoutReply = isComplete && !datagram.repliesLost ? applied : unknown;
  return datagram.requests.map((_, index) => knownOutcome(datagram, index) ?? withoutReply);
};
