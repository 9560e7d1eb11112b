import { readAcknowledgement } from './acknowledgement.js';
import { viewOf } from './codec/bytes.js';
import { MessageFlag, MessageType } from './constants.js';
import { refusedRequestError } from './refused-request.js';
import { copyOf, type Message, type Request } from './message.js';
import type { MessagePattern } from './message-pattern.js';

/** What is done with what comes, and what has come. */
export interface Replies {
  readonly onMessage: (message: Message) => void;
  /** Whether messages are kept after `onMessage`, which needs memory that is not used again. */
  readonly retainsMessages: boolean;
  failure: { readonly error: unknown } | undefined;
  /** Whether the last message there will be has come: the kernel need not be asked for more. */
  ended: boolean;
  /** Bytes of the largest datagram. */
  largestBytes: number;
}

/** One request, and the messages that answer it. */
export class RequestReplies implements Replies {
  readonly messages: Message[] = [];
  readonly retainsMessages: boolean;
  failure: { readonly error: unknown } | undefined;
  ended = false;
  largestBytes = 0;
  acknowledged = false;
  /** Whether what the kernel tells of changed while it told of it: the messages may have something twice, or not at all. */
  interrupted = false;

  /** `wanted`: which messages are kept; all of them where it is undefined. */
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
