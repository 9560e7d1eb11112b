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

/** The offset of a message that could not be written. */
const unwritten = -1;

/** The messages of one datagram, with sequence numbers in a row, and their answers. Only the last asks for one; failures always answer. */
export class Exchange {
  readonly #requests: Request[] = [];
  /** Where each message begins in the datagram. */
  readonly #offsets: number[] = [];
  /** What is known of single messages, by their places: of most nothing is said. */
  readonly #outcomes = new Map<number, MessageOutcome>();
  #sentCount = 0;
  #lastSent = unwritten;
  #complete = false;
  #lost = false;

  /** Messages get the numbers after `previousSequence`. */
  constructor(private readonly previousSequence: number) {}

  get size(): number {
    return this.#requests.length;
  }

  get nextSequence(): number {
    return (this.previousSequence + 1 + this.#requests.length) >>> 0;
  }

  get lastSequence(): number {
    return (this.previousSequence + this.#requests.length) >>> 0;
  }

  /** How many messages the datagram holds. */
  get messages(): number {
    return this.#sentCount;
  }

  get lastMessage(): { readonly offset: number; readonly request: Request } | undefined {
    const request = this.#requests[this.#lastSent];
    const offset = this.#offsets[this.#lastSent];
    return request === undefined || offset === undefined ? undefined : { request, offset };
  }

  add(request: Request, offset: number): void {
    this.#lastSent = this.#requests.length;
    this.#requests.push(request);
    this.#offsets.push(offset);
    this.#sentCount += 1;
  }

  /** A request whose value does not fit its attribute: it failed, as EDOM, before it was sent. The kernel's own word for what it refuses is EINVAL. */
  addUnsendable(request: Request, error: ProtocolError): void {
    this.#outcomes.set(this.#requests.length, {
      status: 'failed',
      errno: 'EDOM',
      message: `${request.operation()}: ${error.message}`,
    });
    this.#requests.push(request);
    this.#offsets.push(unwritten);
  }

  handleReply(message: Message, datagram: DataView): void {
    if (message.type !== MessageType.error) return;
    const index = (message.sequence - this.previousSequence - 1) >>> 0;
    const request = this.#requests[index];
    const offset = this.#offsets[index];
    if (request === undefined || offset === undefined || offset === unwritten) return;
    const acknowledgement = readAcknowledgement(message);
    this.#outcomes.set(
      index,
      acknowledgement.errno === 0
        ? applied
        : failure(refusedRequestError(request, acknowledgement, datagram, offset)),
    );
    if (index === this.#lastSent) this.#complete = true;
  }

  /** Something found no place in the receive buffer: what has no answer may have failed. */
  markRepliesLost(): void {
    this.#lost = true;
  }

  /** The datagram did not reach the kernel, so nothing of it acted. */
  markUnsent(error: NetlinkError): void {
    for (const [index, request] of this.#requests.entries())
      if (!this.#outcomes.has(index))
        this.#outcomes.set(index, {
          status: 'failed',
          errno: error.errno,
          message: `${request.operation()}: ${error.message}`,
        });
  }

  /** One outcome for each message, in their order. */
  addOutcomesTo(outcomes: MessageOutcome[]): void {
    const unacknowledged = this.#complete && !this.#lost ? applied : unknown;
    for (let index = 0; index < this.#requests.length; index += 1)
      outcomes.push(this.#outcomes.get(index) ?? unacknowledged);
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
export const refusedRequestError = (
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
