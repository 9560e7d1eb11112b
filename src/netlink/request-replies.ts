import { readAcknowledgement } from './acknowledgement.js';
import { viewOf } from './codec/bytes.js';
import { MessageFlag, MessageType } from './constants.js';
import { refusedRequestError } from './refused-request.js';
import { copyOf, type Message, type Request } from './message.js';
import type { MessagePattern } from './message-pattern.js';

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

/** One request and its replies. */
export class RequestReplies implements Replies {
  readonly messages: Message[] = [];
  readonly retainsMessages: boolean;
  failure: { readonly error: unknown } | undefined;
  ended = false;
  largestBytes = 0;
  acknowledged = false;
  /** Whether the objects changed during the dump: one may be missing or come twice. */
  interrupted = false;

  /** `pattern` selects the messages to keep; undefined: all. */
  constructor(
    private readonly request: Request,
    private readonly sequence: number,
    private readonly datagram: Uint8Array,
    private readonly pattern: MessagePattern | undefined,
  ) {
    this.retainsMessages = pattern === undefined;
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
    if (this.pattern === undefined) this.messages.push(message);
    else if (this.pattern.matches(message)) this.messages.push(copyOf(message));
  }
}
