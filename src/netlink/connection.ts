import { setImmediate } from 'node:timers/promises';
import { Turns } from '../base/async.js';
import { ByteWriter, viewOf } from './bytes.js';
import { MessageFlag, Protocol, type ProtocolName } from './constants.js';
import { Conversation, type Inbox } from './conversation.js';
import { Exchange, type MessageOutcome } from './exchange.js';
import { NetlinkError, ProtocolError } from './errors.js';
import { Errno } from './errno.js';
import { readMessages, writeMessage, type Message, type Request } from './message.js';
import type { MessagePattern } from './pattern.js';
import { ReopeningChannel, type Reopened } from './reopening-channel.js';
import { CommandSocket, type CommandChannel } from './socket.js';
import { Transaction, type TransactionAnswer, type TransactionParts } from './transaction.js';
import { tracerFromEnvironment, type ShapeOf, type Tracer } from './trace.js';

export interface ConnectionOptions {
  /** Wanted size of the kernel's buffers; net.core.rmem_max limits it without CAP_NET_ADMIN. */
  readonly bufferBytes?: number;
  readonly trace?: Tracer | undefined;
  /** Opens what is used instead of a socket of the kernel's, for tests. */
  readonly channel?: () => CommandChannel;
}

/** How much was sent, for tests that count and for metrics. */
export interface SentCounts {
  readonly messages: number;
  readonly datagrams: number;
}

const defaultBufferBytes = 4 << 20;
const largestDatagram = 64 << 10;
/** The kernel works inside `send`, on our thread: this bounds how long the event loop stands still. */
const mostMessages = 512;
/** What the kernel charges for one acknowledgement with some text (768 without, doubled to be safe). */
const acknowledgementCharge = 1536;
const mostDumpPasses = 20;
/** How long a dump that takes its time holds up everything else. */
const longestTurnMilliseconds = 2;

/**
 * A connection to one netlink protocol of the kernel. Requests and dumps are synchronous, as the kernel answers within
 * the system call; so they never interleave. Only batches and incremental dumps take turns with the event loop. Errors are NetlinkErrors (the
 * kernel's refusal) and ProtocolErrors (bytes that are not what they should be).
 */
export class Connection {
  readonly #socket: ReopeningChannel;
  readonly #writer = new ByteWriter(largestDatagram + 4096);
  readonly #trace: Tracer | undefined;
  readonly #window: number;
  readonly #shapes: ShapeOf[] = [];
  #received = new Uint8Array(64 << 10);
  #sequence = 0;
  /** Whether an incremental dump is between two pieces: what else came would take its messages. */
  #isDumping = false;
  readonly #sent = { messages: 0, datagrams: 0 };

  private constructor(protocol: ProtocolName, options: ConnectionOptions) {
    const { bufferBytes = defaultBufferBytes } = options;
    this.#socket = new ReopeningChannel(
      options.channel ?? (() => new CommandSocket(Protocol[protocol], bufferBytes)),
    );
    this.#trace = options.trace ?? tracerFromEnvironment(protocol);
    const fitting = Math.floor(this.#socket.receiveBufferBytes / acknowledgementCharge);
    this.#window = Math.max(1, Math.min(mostMessages, fitting));
  }

  /** A NetlinkError where the socket cannot be opened. */
  static open(protocol: ProtocolName, options: ConnectionOptions = {}): Connection {
    return new Connection(protocol, options);
  }

  get sent(): SentCounts {
    return this.#sent;
  }

  /** The address that the kernel knows this connection by, until it is reopened. */
  get portId(): number {
    return this.#socket.portId;
  }

  /** The listener is called when the socket was of no use any more and another one was opened. */
  onReopened(listener: (reopened: Reopened) => void): void {
    this.#socket.onReopened = listener;
  }

  /** Lets traces name the attributes of messages of a family. */
  knowShapes(shapeOf: ShapeOf): void {
    this.#shapes.push(shapeOf);
  }

  /** Sends a request for one object, which one message answers, and gives what `decode` makes of it. */
  request<T>(request: Request, decode: (message: Message) => T): T {
    let answer = this.#converse(request, request.flags);
    // Where the answer did not fit the buffer, the second one does.
    if (answer.truncated) answer = this.#converse(request, request.flags);
    const [message] = answer.messages;
    if (message === undefined) throw lost(request);
    return decode(message);
  }

  /** Sends a request that is answered by an acknowledgement only. */
  execute(request: Request): void {
    const { acknowledged } = this.#converse(request, request.flags | MessageFlag.acknowledge);
    if (!acknowledged) throw lost(request);
  }

  /**
   * The messages of all objects that the request asks for, or of those that are like the pattern. A pass that is interrupted,
   * by a change of what is read, begins again: the caller gets the messages of a whole one, and runs nothing during any.
   */
  dump(request: Request, wanted?: MessagePattern): readonly Message[] {
    for (let pass = 0; pass < mostDumpPasses; pass += 1) {
      const messages = this.#wholeDump(request, this.#begin(request, dumpFlags(request), wanted));
      if (messages !== undefined) return messages;
    }
    throw interruptedAlways(request);
  }

  /**
   * As `dump`, with a turn for the event loop after each piece that takes long. Until it is done every other use of the connection
   * fails with EBUSY. What changes meanwhile may come as it was before or after, where the kernel does not say that it changed.
   */
  async dumpIncrementally(request: Request): Promise<readonly Message[]> {
    const turns = new Turns(longestTurnMilliseconds);
    for (let pass = 0; pass < mostDumpPasses; pass += 1) {
      const conversation = this.#begin(request, dumpFlags(request));
      this.#isDumping = true;
      try {
        while (!conversation.ended && this.#receiveOne(conversation)) await turns.turn();
      } finally {
        this.#isDumping = false;
      }
      const messages = this.#wholeDump(request, conversation);
      if (messages !== undefined) return messages;
    }
    throw interruptedAlways(request);
  }

  /**
   * Sends a request for each item, packed into few datagrams, and tells what became of each, in their order. A failing
   * one does not stop the others. Between datagrams the event loop gets its turn. Never rejects because of a request.
   */
  async batch<T>(items: readonly T[], requestFor: (item: T) => Request): Promise<readonly MessageOutcome[]> {
    const outcomes: MessageOutcome[] = [];
    while (outcomes.length < items.length) {
      if (outcomes.length > 0) await setImmediate();
      // From here to the answers nothing awaits: the writer and the socket are ours alone.
      const exchange = new Exchange(this.#sequence);
      for (let index = outcomes.length; index < items.length; index += 1)
        if (!this.#append(exchange, requestFor(items[index] as T))) break;
      this.#perform(exchange);
      exchange.addOutcomesTo(outcomes);
    }
    return outcomes;
  }

  /**
   * Sends requests as one datagram that the kernel performs as a whole or not at all, as it does batches of nfnetlink. Of
   * several refusals the first is told, for the others may follow from it. Never throws because of a request.
   */
  transaction(parts: TransactionParts): TransactionAnswer {
    const transaction = new Transaction(parts, this.#sequence);
    this.#sequence = transaction.lastSequence;
    if (transaction.unsendable !== undefined) return transaction.unsendable;
    const { datagram } = transaction;
    try {
      const droppedBefore = this.#socket.dropped;
      this.#send(datagram, transaction.messages);
      this.#collect(transaction, viewOf(datagram));
      if (this.#socket.dropped !== droppedBefore) transaction.answersWereLost();
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      return { status: 'failed', error, place: undefined };
    }
    return transaction.answerOfAll();
  }

  close(): void {
    this.#socket.close();
  }

  /** Adds the request to the datagram; false where it is full. */
  #append(exchange: Exchange, request: Request): boolean {
    if (exchange.size >= this.#window) return false;
    const before = this.#writer.length;
    try {
      const start = writeMessage(
        this.#writer,
        request,
        request.flags | MessageFlag.request,
        exchange.nextSequence,
      );
      if (this.#writer.length > largestDatagram && before > 0) {
        this.#writer.truncate(before);
        return false;
      }
      exchange.add(request, start);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      exchange.addUnsendable(request, error);
    }
    return true;
  }

  /** Sends what was written, the last message with a wish for an acknowledgement, and hands the answers to the exchange. */
  #perform(exchange: Exchange): void {
    this.#sequence = exchange.lastSequence;
    const { lastMessage } = exchange;
    if (lastMessage === undefined) return;
    this.#writer.setU16(
      lastMessage.offset + 6,
      lastMessage.request.flags | MessageFlag.request | MessageFlag.acknowledge,
    );
    const datagram = this.#writer.written();
    this.#writer.truncate(0);
    try {
      const droppedBefore = this.#socket.dropped;
      this.#send(datagram, exchange.messages);
      this.#collect(exchange, viewOf(datagram));
      if (this.#socket.dropped !== droppedBefore) exchange.answersWereLost();
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      exchange.notSent(error);
    }
  }

  /** Answers that cannot be read leave the messages they are about without an outcome. */
  #collect(exchange: Exchange | Transaction, datagram: DataView): void {
    try {
      const onMessage = (message: Message): void => exchange.answer(message, datagram);
      this.#receiveRest({ onMessage, keepsMessages: false, failure: undefined, ended: false, largest: 0 });
    } catch (error) {
      if (!(error instanceof NetlinkError) && !(error instanceof ProtocolError)) throw error;
      exchange.answersWereLost();
    }
  }

  /** One request and all its answers. */
  #converse(
    request: Request,
    flags: number,
  ): Pick<Conversation, 'messages' | 'acknowledged'> & { readonly truncated: boolean } {
    const conversation = this.#begin(request, flags);
    const truncated = this.#receiveRest(conversation);
    const { messages, acknowledged } = conversation;
    return { messages, acknowledged, truncated };
  }

  /** Receives what is left of a pass; undefined where its messages may not be all, or not of one moment. */
  #wholeDump(request: Request, conversation: Conversation): readonly Message[] | undefined {
    const truncated = this.#receiveRest(conversation);
    if (conversation.interrupted || truncated) return undefined;
    if (!conversation.acknowledged) throw lost(request);
    return conversation.messages;
  }

  /** Sends a request; its answers are then to be received. */
  #begin(request: Request, flags: number, wanted?: MessagePattern): Conversation {
    this.#sequence = (this.#sequence + 1) >>> 0;
    this.#writer.truncate(0);
    writeMessage(this.#writer, request, flags | MessageFlag.request, this.#sequence);
    const datagram = this.#writer.written();
    this.#writer.truncate(0);
    this.#send(datagram, 1);
    return new Conversation(request, this.#sequence, datagram, wanted);
  }

  #send(datagram: Uint8Array, messages: number): void {
    if (this.#isDumping) throw refusal('send to the kernel', 'EBUSY', 'the connection is reading a dump');
    this.#trace?.('sent', datagram, this.#shapeOf);
    this.#socket.send(datagram);
    this.#sent.messages += messages;
    this.#sent.datagrams += 1;
  }

  /** Hands over the messages of one queued datagram; false where there is none. */
  #receiveOne(inbox: Inbox): boolean {
    const length = this.#socket.receive(this.#received);
    if (length === undefined) return false;
    inbox.largest = Math.max(inbox.largest, length);
    if (length > this.#received.length) return true;
    this.#trace?.('received', this.#received.subarray(0, length), this.#shapeOf);
    const bytes = inbox.keepsMessages ? this.#received.slice(0, length) : this.#received;
    try {
      for (const message of readMessages(viewOf(bytes), length)) inbox.onMessage(message);
    } catch (error) {
      inbox.failure ??= { error };
    }
    return true;
  }

  /**
   * Hands over every queued message, or those up to the last one of an answer. What the handler throws comes once the queue is empty, so that nothing is left for
   * the next request. True where a datagram was cut off: the buffer is then larger the next time.
   */
  #receiveRest(inbox: Inbox): boolean {
    while (!inbox.ended && this.#receiveOne(inbox));
    const truncated = inbox.largest > this.#received.length;
    if (truncated) this.#received = new Uint8Array(inbox.largest * 2);
    if (inbox.failure !== undefined) throw inbox.failure.error;
    return truncated;
  }

  readonly #shapeOf: ShapeOf = (message) => {
    for (const shapeOf of this.#shapes) {
      const shape = shapeOf(message);
      if (shape !== undefined) return shape;
    }
    return undefined;
  };
}

const refusal = (operation: string, errno: keyof typeof Errno, text: string): NetlinkError =>
  new NetlinkError(operation, Errno[errno], { text, attributePath: undefined });

const lost = (request: Request): NetlinkError =>
  refusal(request.operation(), 'ENOBUFS', 'the kernel gave no answer');

const interruptedAlways = (request: Request): NetlinkError =>
  refusal(request.operation(), 'EINTR', `the dump was interrupted ${mostDumpPasses} times`);

const dumpFlags = ({ flags }: Request): number => flags | MessageFlag.dump;
