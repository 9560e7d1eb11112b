import { readAcknowledgement } from './acknowledgement.js';
import { viewOf } from './codec/bytes.js';
import { MessageFlag, MessageType } from './constants.js';
import { refusedRequestError } from './refused-request.js';
import type { Message, Request } from './message.js';

/** Receives the messages of one exchange. */
export interface Replies {
  readonly onMessage: (message: Message) => void;
  /** Whether messages are kept after `onMessage`, which requires a copy of each datagram. */
  readonly retainsMessages: boolean;
  failure: { readonly error: unknown } | undefined;
  /** Whether the last message of the exchange has come. */
  ended: boolean;
  /** Length of the largest datagram. */
  largestBytes: number;
}

/** What a dump keeps of a message, if anything. The message's bytes are valid until it returns. */
export type Decode<T> = (message: Message) => T | undefined;

/** Keeps the message, with a copy of its bytes. */
export const itself: Decode<Message> = (message) => message;

/** One request and its replies, decoded as they come: a dump of thousands of messages takes much more memory than their values. */
export class RequestReplies<T = Message> implements Replies {
  readonly values: T[] = [];
  readonly retainsMessages: boolean;
  failure: { readonly error: unknown } | undefined;
  ended = false;
  largestBytes = 0;
  acknowledged = false;
  /** Whether the objects changed during the dump: one may be missing or come twice. */
  interrupted = false;

  constructor(
    private readonly request: Request,
    private readonly sequence: number,
    private readonly datagram: Uint8Array,
    private readonly decode: Decode<T>,
  ) {
    this.retainsMessages = (decode as unknown) === itself;
  }

  readonly onMessage = (message: Message): void => {
    if (message.sequence !== this.sequence) return;
    if ((message.flags & MessageFlag.dumpInterrupted) !== 0) this.interrupted = true;
    if (message.type === MessageType.error || message.type === MessageType.done) this.#end(message);
    else if (message.type !== MessageType.noop) this.#keep(message);
  };

  #end(message: Message): void {
    this.ended = true;
    const acknowledgement = readAcknowledgement(message);
    if (acknowledgement.errno !== 0)
      throw refusedRequestError(this.request, acknowledgement, viewOf(this.datagram), 0);
    this.acknowledged = true;
  }

  #keep(message: Message): void {
    const value = this.decode(message);
    if (value !== undefined) this.values.push(value);
  }
}
