import { readAcknowledgement, type Acknowledgement } from './acknowledgement.js';
import { MessageType, hostIsLittleEndian, messageHeaderLength } from './constants.js';
import { NetlinkError, type ProtocolError, type KernelExplanation } from './errors.js';
import type { Message, Request } from './message.js';

/** What became of a message of a batch. `unknown`: it may or may not have acted. */
export type MessageOutcome =
  | { readonly status: 'applied' }
  | { readonly status: 'failed'; readonly errno: string; readonly message: string }
  | { readonly status: 'unknown' };

const applied: MessageOutcome = { status: 'applied' };
const unknown: MessageOutcome = { status: 'unknown' };

interface Member {
  readonly request: Request;
  /** Where the message begins in the datagram; undefined where it could not be written. */
  readonly offset: number | undefined;
  outcome: MessageOutcome | undefined;
}

/** The messages of one datagram, with sequence numbers in a row, and their answers. Only the last asks for one; failures always answer. */
export class Exchange {
  readonly #members: Member[] = [];
  #lastSent: { readonly member: Member; readonly offset: number; readonly request: Request } | undefined;
  #sentCount = 0;
  #complete = false;
  #lost = false;

  /** Messages get the numbers after `previousSequence`. */
  constructor(private readonly previousSequence: number) {}

  get size(): number {
    return this.#members.length;
  }

  get nextSequence(): number {
    return (this.previousSequence + 1 + this.#members.length) >>> 0;
  }

  get lastSequence(): number {
    return (this.previousSequence + this.#members.length) >>> 0;
  }

  /** How many messages the datagram holds. */
  get messages(): number {
    return this.#sentCount;
  }

  get lastMessage(): { readonly offset: number; readonly request: Request } | undefined {
    return this.#lastSent;
  }

  add(request: Request, offset: number): void {
    const member: Member = { request, offset, outcome: undefined };
    this.#members.push(member);
    this.#sentCount += 1;
    this.#lastSent = { member, offset, request };
  }

  /** A request whose value does not fit its attribute: it failed, as EDOM, before it was sent. The kernel's own word for what it refuses is EINVAL. */
  addUnsendable(request: Request, error: ProtocolError): void {
    const outcome: MessageOutcome = {
      status: 'failed',
      errno: 'EDOM',
      message: `${request.operation()}: ${error.message}`,
    };
    this.#members.push({ request, offset: undefined, outcome });
  }

  answer(message: Message, datagram: DataView): void {
    if (message.type !== MessageType.error) return;
    const member = this.#members[(message.sequence - this.previousSequence - 1) >>> 0];
    if (member === undefined || member.offset === undefined) return;
    const acknowledgement = readAcknowledgement(message);
    member.outcome =
      acknowledgement.errno === 0
        ? applied
        : failure(explain(member.request, acknowledgement, datagram, member.offset));
    if (member === this.#lastSent?.member) this.#complete = true;
  }

  /** Something found no place in the receive buffer: what has no answer may have failed. */
  answersWereLost(): void {
    this.#lost = true;
  }

  /** The datagram did not reach the kernel, so nothing of it acted. */
  notSent(error: NetlinkError): void {
    for (const member of this.#members)
      member.outcome ??= {
        status: 'failed',
        errno: error.errno,
        message: `${member.request.operation()}: ${error.message}`,
      };
  }

  /** One outcome for each message, in their order. */
  addOutcomesTo(outcomes: MessageOutcome[]): void {
    const silent = this.#complete && !this.#lost ? applied : unknown;
    for (const member of this.#members) outcomes.push(member.outcome ?? silent);
  }
}

const failure = (error: NetlinkError): MessageOutcome => ({
  status: 'failed',
  errno: error.errno,
  message: error.message,
});

const explanationOf = (
  request: Request,
  acknowledgement: Acknowledgement,
  datagram: DataView,
  offset: number,
): KernelExplanation => {
  const { text, missingType } = acknowledgement;
  const explained =
    text ?? (missingType === undefined ? undefined : `the kernel misses attribute ${missingType}`);
  if (acknowledgement.offset === undefined) return { text: explained, attributePath: undefined };
  const length = datagram.getUint32(offset, hostIsLittleEndian);
  const message: Message = {
    type: request.type,
    flags: request.flags,
    sequence: 0,
    portId: 0,
    view: datagram,
    bodyOffset: offset + messageHeaderLength,
    bodyLength: length - messageHeaderLength,
  };
  return { text: explained, attributePath: request.shape.pathAt(message, acknowledgement.offset) };
};

/** The error that an acknowledgement tells of, with the path of the attribute that the kernel points at in the request. */
export const explain = (
  request: Request,
  acknowledgement: Acknowledgement,
  datagram: DataView,
  offset: number,
): NetlinkError =>
  new NetlinkError(
    request.operation(),
    acknowledgement.errno,
    explanationOf(request, acknowledgement, datagram, offset),
  );
