import { viewOf } from '../../../src/netlink/codec/bytes.js';
import type { CommandChannel } from '../../../src/netlink/command-socket.js';
import { MessageFlag } from '../../../src/netlink/constants.js';
import { readMessages, type Message } from '../../../src/netlink/message.js';
import { acknowledgementBytes, doneBytes, messageBytes } from '../fake-channel.js';
import { Refusal, type Answer, type Body } from './answer.js';

type Dump = Extract<Answer, { readonly kind: 'dump' }>;

/** What the kernel makes of one message, or of a transaction. */
export interface ChannelKernel {
  handle(message: Message, portId: number): Answer;
  isTransaction(message: Message): boolean;
  transact(
    messages: readonly Message[],
    portId: number,
  ): readonly (readonly [Message, Refusal | undefined])[];
}

/** About as much as the kernel puts into one datagram of a dump: small, so that there are several. */
const dumpDatagramBytes = 1024;

const refusalBytes = (message: Message, { errno, explanation }: Refusal): Uint8Array => {
  const { text, offset } = explanation;
  if (text === undefined && offset === undefined) return acknowledgementBytes(message, errno);
  return acknowledgementBytes(message, errno, (writer) => {
    if (text !== undefined) {
      const bytes = new TextEncoder().encode(`${text}\0`);
      writer.u16(4 + bytes.length);
      writer.u16(1);
      writer.bytes(bytes);
      writer.pad();
    }
    if (offset !== undefined) {
      writer.u16(8);
      writer.u16(2);
      writer.u32(offset);
    }
  });
};

/** A dump under way: each part is made as it is received, of what there is then. */
class DumpCursor {
  #told = 0;
  readonly #generation: number | undefined;
  #objects: readonly Body[] | undefined;
  #interruption = 0;

  constructor(
    private readonly request: Message,
    private readonly dump: Dump,
  ) {
    this.#generation = dump.generation?.();
  }

  /** The next datagram, and whether it is the last one. */
  next(): { readonly datagram: Uint8Array; readonly isLast: boolean } {
    const { sequence } = this.request;
    const generation = this.dump.generation?.();
    if (generation !== this.#generation) this.#interruption = MessageFlag.dumpInterrupted;
    if (generation === undefined || this.#interruption !== 0) this.#objects = undefined;
    const flags = MessageFlag.multi | this.#interruption;
    const objects = (this.#objects ??= this.dump.objects());
    const parts: Uint8Array[] = [];
    for (let bytes = 0; this.#told < objects.length && bytes < dumpDatagramBytes; this.#told += 1) {
      const body = objects[this.#told];
      const part = messageBytes({ type: this.dump.type, sequence, flags, ...(body && { body }) });
      parts.push(part);
      bytes += part.length;
    }
    const isLast = this.#told >= objects.length;
    if (isLast) parts.push(doneBytes(sequence, 0, flags));
    return { datagram: Buffer.concat(parts), isLast };
  }
}

/** A socket of the fake kernel: the kernel acts within `send`, and a dump goes on with each `receive`. */
export class FakeKernelChannel implements CommandChannel {
  readonly receiveBufferBytes = 4 << 20;
  readonly dropped = 0;
  #queue: (Uint8Array | DumpCursor)[] = [];

  constructor(
    private readonly kernel: ChannelKernel,
    readonly portId: number,
  ) {}

  send(datagram: Uint8Array): void {
    const copy = datagram.slice();
    const messages = [...readMessages(viewOf(copy), copy.length)];
    const [first] = messages;
    if (first === undefined) return;
    if (this.kernel.isTransaction(first))
      for (const [message, refusal] of this.kernel.transact(messages, this.portId))
        this.#queue.push(
          refusal === undefined ? acknowledgementBytes(message, 0) : refusalBytes(message, refusal),
        );
    else for (const message of messages) this.#answer(message);
  }

  receive(buffer: Uint8Array): number | undefined {
    const next = this.#queue.shift();
    if (next === undefined) return undefined;
    const { datagram, isLast } = next instanceof DumpCursor ? next.next() : { datagram: next, isLast: true };
    if (!isLast) this.#queue.unshift(next);
    buffer.set(datagram.subarray(0, buffer.length));
    return datagram.length;
  }

  close(): void {
    this.#queue = [];
  }

  #answer(message: Message): void {
    try {
      const answer = this.kernel.handle(message, this.portId);
      if (answer.kind === 'dump') return this.#begin(message, answer);
      if (answer.kind === 'message')
        this.#queue.push(messageBytes({ type: answer.type, sequence: message.sequence, body: answer.body }));
      if ((message.flags & MessageFlag.acknowledge) !== 0) this.#queue.push(acknowledgementBytes(message, 0));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.#queue.push(refusalBytes(message, error));
    }
  }

  /** A socket has one dump at a time. */
  #begin(message: Message, dump: Dump): void {
    if (this.#queue.some((queued) => queued instanceof DumpCursor)) throw new Refusal('EBUSY');
    this.#queue.push(new DumpCursor(message, dump));
  }
}
