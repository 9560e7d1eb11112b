import { constants } from 'node:os';
import { setImmediate } from 'node:timers/promises';
import { Yielder } from '../base/async.js';
import { ByteWriter, viewOf } from './codec/bytes.js';
import { MessageFlag, Protocol, type ProtocolName } from './constants.js';
import { itself, RequestReplies, type Decode, type Replies } from './request-replies.js';
import { messageOutcomes, type MessageOutcome } from './message-outcome.js';
import { RequestDatagram } from './request-datagram.js';
import { NetlinkError, ProtocolError } from './errors.js';
import { readMessages, writeMessage, type Message, type Request } from './message.js';
import { ReopeningChannel, type Reopened } from './reopening-channel.js';
import { CommandSocket, type CommandChannel } from './command-socket.js';
import {
  transactionDatagram,
  transactionResult,
  type TransactionParts,
  type TransactionResult,
} from './transaction.js';
import { tracerFromEnvironment, type ShapeOf, type Tracer } from './trace.js';

export interface ConnectionOptions {
  /** Requested size of the kernel's buffers; net.core.rmem_max limits it without CAP_NET_ADMIN. */
  readonly bufferBytes?: number;
  readonly trace?: Tracer | undefined;
  /** Opens a replacement for the kernel's socket, for tests. */
  readonly channel?: () => CommandChannel;
}

/** For metrics and tests. */
export interface SentCounts {
  readonly messages: number;
  readonly datagrams: number;
}

const defaultBufferBytes = 4 << 20;
const largestDatagram = 64 << 10;
/** The kernel works within `send`, on our thread: this bounds how long the event loop is blocked. */
const maxMessages = 512;
/** Receive buffer bytes for one acknowledgement with text (768 without, doubled for safety). */
const acknowledgementCharge = 1536;
const maxDumpPasses = 20;
/** How long an incremental dump may block the event loop. */
const yieldIntervalMilliseconds = 2;

/**
 * A connection to one netlink protocol of the kernel. The kernel answers within the system call, so requests and dumps are
 * synchronous and never interleave. Only batches and incremental dumps yield to the event loop; an incremental dump owns the
 * connection until it ends: batches and other incremental dumps wait for it, and synchronous calls fail with EBUSY. Errors are
 * NetlinkErrors (the kernel's refusal) and ProtocolErrors (malformed bytes).
 */
export class Connection {
  readonly #socket: ReopeningChannel;
  readonly #writer = new ByteWriter(largestDatagram + 4096);
  readonly #trace: Tracer | undefined;
  readonly #window: number;
  readonly #shapes: ShapeOf[] = [];
  #received = new Uint8Array(64 << 10);
  #sequence = 0;
  /** Resolves at the end of the incremental dump that owns the connection: another exchange would take its messages. */
  #dumping: Promise<void> | undefined;
  readonly #sent = { messages: 0, datagrams: 0 };
  /** How many replies the kernel has dropped, as last read. */
  #dropped = 0;

  private constructor(protocol: ProtocolName, options: ConnectionOptions) {
    const { bufferBytes = defaultBufferBytes } = options;
    this.#socket = new ReopeningChannel(
      options.channel ?? (() => new CommandSocket(Protocol[protocol], bufferBytes)),
    );
    this.#trace = options.trace ?? tracerFromEnvironment(protocol);
    const fitting = Math.floor(this.#socket.receiveBufferBytes / acknowledgementCharge);
    this.#window = Math.max(1, Math.min(maxMessages, fitting));
  }

  /** A NetlinkError where the socket cannot be opened. */
  static open(protocol: ProtocolName, options: ConnectionOptions = {}): Connection {
    return new Connection(protocol, options);
  }

  get sent(): SentCounts {
    return this.#sent;
  }

  /** The kernel's address of this connection, until it is reopened. */
  get portId(): number {
    return this.#socket.portId;
  }

  /** Calls the listener after a failed socket was replaced by another one. */
  onReopened(listener: (reopened: Reopened) => void): void {
    this.#socket.onReopened = listener;
  }

  /** Makes traces name the attributes of a family's messages. */
  registerShapes(shapeOf: ShapeOf): void {
    this.#shapes.push(shapeOf);
  }

  /** Sends a request that one message answers, and returns the decoded message. */
  request<T>(request: Request, decode: (message: Message) => T): T {
    let reply = this.#exchange(request, request.flags);
    // A reply that did not fit the buffer fits the enlarged one.
    if (reply.truncated) reply = this.#exchange(request, request.flags);
    const [message] = reply.values;
    if (message === undefined) throw noReply(request);
    return decode(message);
  }

  /** Sends a request that only an acknowledgement answers. */
  execute(request: Request): void {
    const { acknowledged } = this.#exchange(request, request.flags | MessageFlag.acknowledge);
    if (!acknowledged) throw noReply(request);
  }

  /**
   * The messages of all objects. A pass that a change of the objects interrupts starts again, so the messages are those of one
   * complete pass.
   */
  dump(request: Request): readonly Message[] {
    this.#requireIdle();
    for (let pass = 0; pass < maxDumpPasses; pass += 1) {
      const messages = this.#completeDump(request, this.#sendRequest(request, dumpFlags(request), itself));
      if (messages !== undefined) return messages;
    }
    throw alwaysInterrupted(request);
  }

  /** Does synchronous work with the connection when no incremental dump owns it. */
  async whenIdle<T>(work: () => T): Promise<T> {
    while (this.#dumping !== undefined) await this.#dumping;
    return work();
  }

  /**
   * As `dump`, but yields to the event loop between datagrams, and gives what `decode` keeps of each message. Objects that change
   * meanwhile may come as they were before or after, where the kernel does not report the change.
   */
  async dumpIncrementally<T>(request: Request, decode: Decode<T>): Promise<readonly T[]> {
    while (this.#dumping !== undefined) await this.#dumping;
    let release = (): void => {};
    this.#dumping = new Promise((resolve) => {
      release = resolve;
    });
    try {
      return await this.#dumpInPieces(request, decode);
    } finally {
      this.#dumping = undefined;
      release();
    }
  }

  /**
   * Sends a request for each item, packed into few datagrams; gives one outcome for each, in their order. A failing request does
   * not stop the others. Yields to the event loop between datagrams. Never rejects because of a request.
   */
  async batch<T>(items: readonly T[], requestFor: (item: T) => Request): Promise<readonly MessageOutcome[]> {
    const outcomes: MessageOutcome[] = [];
    while (outcomes.length < items.length) {
      if (outcomes.length > 0) await setImmediate();
      while (this.#dumping !== undefined) await this.#dumping;
      // Nothing awaits until the replies are read, so no other call uses the writer and the socket.
      const datagram = this.#fillDatagram(items, outcomes.length, requestFor);
      datagram.acknowledgeLast();
      this.#exchangeDatagram(datagram);
      outcomes.push(...messageOutcomes(datagram));
    }
    return outcomes;
  }

  /**
   * Sends requests as one datagram that the kernel performs as a whole or not at all, as it does batches of nfnetlink. Never
   * throws because of a request.
   */
  transaction(parts: TransactionParts): TransactionResult {
    const datagram = transactionDatagram(parts, this.#sequence);
    this.#sequence = datagram.lastSequence;
    if (datagram.messageCount === datagram.requests.length) this.#exchangeDatagram(datagram);
    return transactionResult(parts, datagram);
  }

  close(): void {
    this.#socket.close();
  }

  async #dumpInPieces<T>(request: Request, decode: Decode<T>): Promise<readonly T[]> {
    const yielder = new Yielder(yieldIntervalMilliseconds);
    for (let pass = 0; pass < maxDumpPasses; pass += 1) {
      const replies = this.#sendRequest(request, dumpFlags(request), decode);
      while (!replies.ended && this.#receiveOne(replies)) await yielder.yieldIfDue();
      const values = this.#completeDump(request, replies);
      if (values !== undefined) return values;
    }
    throw alwaysInterrupted(request);
  }

  /** A datagram with the requests of the items from `begin` on, as many as fit. */
  #fillDatagram<T>(items: readonly T[], begin: number, requestFor: (item: T) => Request): RequestDatagram {
    const datagram = new RequestDatagram(this.#sequence, this.#writer);
    const end = Math.min(items.length, begin + this.#window);
    for (let index = begin; index < end; index += 1) {
      datagram.add(requestFor(items[index] as T));
      if (datagram.byteLength <= largestDatagram || datagram.messageCount === 1) continue;
      datagram.removeLast();
      break;
    }
    this.#sequence = datagram.lastSequence;
    return datagram;
  }

  /** Sends the datagram and reads the replies. Replies that cannot be read count as lost. */
  #exchangeDatagram(datagram: RequestDatagram): void {
    if (datagram.messageCount === 0) return;
    try {
      this.#requireIdle();
      this.#send(datagram.bytes, datagram.messageCount);
      this.#receiveReplies(datagram);
      if (this.#hasDropped()) datagram.repliesLost = true;
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      datagram.sendError = error;
    }
  }

  /** Whether the kernel dropped a reply since the last call. After a dump that lost replies, the next batch counts as such, too. */
  #hasDropped(): boolean {
    const before = this.#dropped;
    this.#dropped = this.#socket.dropped;
    return this.#dropped !== before;
  }

  #receiveReplies(datagram: RequestDatagram): void {
    try {
      this.#receiveRest(datagram);
    } catch (error) {
      if (!(error instanceof NetlinkError) && !(error instanceof ProtocolError)) throw error;
      datagram.repliesLost = true;
    }
  }

  #requireIdle(): void {
    if (this.#dumping !== undefined)
      throw refusal('send to the kernel', 'EBUSY', 'the connection is reading a dump');
  }

  /** Sends a request and reads all its replies. */
  #exchange(
    request: Request,
    flags: number,
  ): Pick<RequestReplies, 'values' | 'acknowledged'> & { readonly truncated: boolean } {
    this.#requireIdle();
    const replies = this.#sendRequest(request, flags, itself);
    const truncated = this.#receiveRest(replies);
    const { values, acknowledged } = replies;
    return { values, acknowledged, truncated };
  }

  /** Receives the rest of a pass; undefined where its messages may be incomplete or inconsistent. */
  #completeDump<T>(request: Request, replies: RequestReplies<T>): readonly T[] | undefined {
    const truncated = this.#receiveRest(replies);
    if (replies.interrupted || truncated) return undefined;
    if (!replies.acknowledged) throw noReply(request);
    return replies.values;
  }

  /** Sends a request; the caller receives the replies. */
  #sendRequest<T>(request: Request, flags: number, decode: Decode<T>): RequestReplies<T> {
    this.#sequence = (this.#sequence + 1) >>> 0;
    this.#writer.truncate(0);
    writeMessage(this.#writer, request, flags | MessageFlag.request, this.#sequence);
    const datagram = this.#writer.written();
    this.#writer.truncate(0);
    this.#send(datagram, 1);
    return new RequestReplies(request, this.#sequence, datagram, decode);
  }

  #send(datagram: Uint8Array, messages: number): void {
    this.#trace?.('sent', datagram, this.#shapeOf);
    this.#socket.send(datagram);
    this.#sent.messages += messages;
    this.#sent.datagrams += 1;
  }

  /** Reads the messages of one queued datagram; false where none is queued. */
  #receiveOne(replies: Replies): boolean {
    const length = this.#socket.receive(this.#received);
    if (length === undefined) return false;
    replies.largestBytes = Math.max(replies.largestBytes, length);
    if (length > this.#received.length) return true;
    this.#trace?.('received', this.#received.subarray(0, length), this.#shapeOf);
    const bytes = replies.retainsMessages ? this.#received.slice(0, length) : this.#received;
    try {
      for (const message of readMessages(viewOf(bytes), length))
        if (this.#isForUs(message)) replies.onMessage(message);
    } catch (error) {
      replies.failure ??= { error };
    }
    return true;
  }

  /**
   * Reads every queued message, or those up to the last reply. An error of the handler is thrown once the queue is empty, so that no
   * message is left for the next request. True where a datagram was truncated; the buffer is then enlarged.
   */
  #receiveRest(replies: Replies): boolean {
    while (!replies.ended && this.#receiveOne(replies));
    const truncated = replies.largestBytes > this.#received.length;
    if (truncated) this.#received = new Uint8Array(replies.largestBytes * 2);
    if (replies.failure !== undefined) throw replies.failure.error;
    return truncated;
  }

  /** The kernel puts the port id of the socket that asked into its replies; 0 stands for none. */
  #isForUs({ portId }: Message): boolean {
    return portId === 0 || portId === this.#socket.portId;
  }

  readonly #shapeOf: ShapeOf = (message) => {
    for (const shapeOf of this.#shapes) {
      const shape = shapeOf(message);
      if (shape !== undefined) return shape;
    }
    return undefined;
  };
}

const refusal = (operation: string, errno: keyof typeof constants.errno, text: string): NetlinkError =>
  new NetlinkError(operation, constants.errno[errno], { text, attributePath: undefined });

const noReply = (request: Request): NetlinkError =>
  refusal(request.operation(), 'ENOBUFS', 'the kernel did not answer');

const alwaysInterrupted = (request: Request): NetlinkError =>
  refusal(request.operation(), 'EINTR', `the dump was interrupted ${maxDumpPasses} times`);

const dumpFlags = ({ flags }: Request): number => flags | MessageFlag.dump;
