import { readAcknowledgement } from './acknowledgement.js';
import { viewOf } from './bytes.js';
import { MessageFlag, MessageType } from './constants.js';
import { explain } from './exchange.js';
import { copyOf, type Message, type Request } from './message.js';
import type { MessagePattern } from './pattern.js';

/** What is done with what comes, and what has come. */
export interface Inbox {
  readonly onMessage: (message: Message) => void;
  /** Whether messages are kept after `onMessage`, which needs memory that is not used again. */
  readonly keepsMessages: boolean;
  failure: { readonly error: unknown } | undefined;
  /** Whether the last message there will be has come: the kernel need not be asked for more. */
  ended: boolean;
  /** Bytes of the largest datagram. */
  largest: number;
}

/** One request, and the messages that answer it. */
export class Conversation implements Inbox {
  readonly messages: Message[] = [];
  readonly keepsMessages: boolean;
  failure: { readonly error: unknown } | undefined;
  ended = false;
  largest = 0;
  acknowledged = false;
  /** Whether what the kernel tells of changed while it told of it: the messages may have something twice, or not at all. */
  interrupted = false;

  /** `wanted`: which messages are kept; all of them where it is undefined. */
  constructor(
    private readonly request: Request,
    private readonly sequence: number,
    private readonly datagram: Uint8Array,
    private readonly wanted: MessagePattern | undefined,
  ) {
    this.keepsMessages = wanted === undefined;
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
    if (acknowledgement.errno !== 0) throw explain(this.request, acknowledgement, viewOf(this.datagram), 0);
    this.acknowledged = true;
  }

  #keep(message: Message): void {
    if (this.wanted === undefined) this.messages.push(message);
    else if (this.wanted.matches(message)) this.messages.push(copyOf(message));
  }
}
