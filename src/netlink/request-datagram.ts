import { readAcknowledgement } from './acknowledgement.js';
import { viewOf, type ByteWriter } from './codec/bytes.js';
import { MessageFlag, MessageType } from './constants.js';
import { ProtocolError, type NetlinkError } from './errors.js';
import { writeMessage, type Message, type Request } from './message.js';
import { refusedRequestError } from './refused-request.js';
import type { Replies } from './request-replies.js';

/** What the kernel answered to a message: an acknowledgement or a refusal. */
export type Reply = 'acknowledged' | NetlinkError;

/** Offset in `struct nlmsghdr` of nlmsg_flags. */
const flagsOffset = 6;

/** In the place of the offset of a message that could not be written. */
const unwritten = -1;

/** The requests of one datagram, with consecutive sequence numbers, and the kernel's replies to them. */
export class RequestDatagram implements Replies {
  readonly requests: Request[] = [];
  readonly retainsMessages = false;
  /** More replies may come until the socket is empty. */
  readonly ended = false;
  failure: { readonly error: unknown } | undefined;
  largestBytes = 0;
  /** The receive buffer was full: a reply may be missing. */
  repliesLost = false;
  /** Why the datagram did not reach the kernel. */
  sendError: NetlinkError | undefined;
  readonly #offsets: number[] = [];
  readonly #replies = new Map<number, Reply>();
  readonly #unsendable = new Map<number, ProtocolError>();
  #lastWritten = unwritten;

  /** Messages get the numbers after `previousSequence`. The writer belongs to the datagram until its replies are read. */
  constructor(
    private readonly previousSequence: number,
    private readonly writer: ByteWriter,
  ) {
    writer.truncate(0);
  }

  get bytes(): Uint8Array {
    return this.writer.written();
  }

  get byteLength(): number {
    return this.writer.length;
  }

  /** How many messages it holds: all requests but the unsendable ones. */
  get messageCount(): number {
    return this.requests.length - this.#unsendable.size;
  }

  get lastSequence(): number {
    return (this.previousSequence + this.requests.length) >>> 0;
  }

  /** Index of the last request that was written. */
  get lastWritten(): number {
    return this.#lastWritten;
  }

  /** Appends a request. A value that does not fit its attribute makes only this request unsendable. */
  add(request: Request, flags = 0): void {
    const index = this.requests.length;
    const allFlags = request.flags | MessageFlag.request | flags;
    try {
      this.#offsets.push(
        writeMessage(this.writer, request, allFlags, (this.previousSequence + 1 + index) >>> 0),
      );
      this.#lastWritten = index;
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#unsendable.set(index, error);
      this.#offsets.push(unwritten);
    }
    this.requests.push(request);
  }

  /** Takes back the request that was added last. */
  removeLast(): void {
    this.requests.pop();
    const offset = this.#offsets.pop();
    this.#unsendable.delete(this.requests.length);
    if (offset !== undefined && offset !== unwritten) this.writer.truncate(offset);
    this.#lastWritten = this.#offsets.findLastIndex((each) => each !== unwritten);
  }

  /** Asks for an acknowledgement of the last message; the kernel acknowledges no other one that succeeds. */
  acknowledgeLast(): void {
    const request = this.requests[this.#lastWritten];
    const offset = this.#offsets[this.#lastWritten];
    if (request === undefined || offset === undefined) return;
    this.writer.setU16(offset + flagsOffset, request.flags | MessageFlag.request | MessageFlag.acknowledge);
  }

  readonly onMessage = (message: Message): void => {
    if (message.type !== MessageType.error) return;
    const index = (message.sequence - this.previousSequence - 1) >>> 0;
    const request = this.requests[index];
    const offset = this.#offsets[index];
    if (request === undefined || offset === undefined || offset === unwritten) return;
    const acknowledgement = readAcknowledgement(message);
    this.#replies.set(
      index,
      acknowledgement.errno === 0
        ? 'acknowledged'
        : refusedRequestError(request, acknowledgement, viewOf(this.bytes), offset),
    );
  };

  /** Why the request could not be written. */
  unsendableError(index: number): ProtocolError | undefined {
    return this.#unsendable.get(index);
  }

  replyTo(index: number): Reply | undefined {
    return this.#replies.get(index);
  }
}
