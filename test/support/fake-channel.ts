import { ByteWriter, viewOf } from '../../src/netlink/codec/bytes.js';
import { readMessages, type Message } from '../../src/netlink/message.js';
import type { CommandChannel } from '../../src/netlink/command-socket.js';

/** The bytes of one message, as the kernel would send it. */
export const messageBytes = (options: {
  readonly type: number;
  readonly sequence: number;
  readonly flags?: number;
  readonly portId?: number;
  readonly body?: (writer: ByteWriter) => void;
}): Uint8Array => {
  const writer = new ByteWriter();
  writer.u32(0);
  writer.u16(options.type);
  writer.u16(options.flags ?? 0);
  writer.u32(options.sequence);
  writer.u32(options.portId ?? 0);
  options.body?.(writer);
  writer.setU32(0, writer.length);
  writer.pad();
  return writer.written().slice();
};

/** NLMSG_ERROR, capped: the number (0: done), the header of the request, and perhaps attributes. */
export const acknowledgementBytes = (
  request: Pick<Message, 'sequence' | 'type'>,
  errno: number,
  attributes?: (writer: ByteWriter) => void,
): Uint8Array =>
  messageBytes({
    type: 2,
    sequence: request.sequence,
    flags: attributes === undefined ? 0x100 : 0x300,
    body: (writer) => {
      writer.u32(-errno >>> 0);
      writer.u32(16);
      writer.u16(request.type);
      writer.u16(0);
      writer.u32(request.sequence);
      writer.u32(0);
      attributes?.(writer);
    },
  });

/** NLMSG_DONE with the number that a dump ends with. */
export const doneBytes = (sequence: number, errno = 0, flags = 0x2): Uint8Array =>
  messageBytes({ type: 3, sequence, flags, body: (writer) => writer.u32(-errno >>> 0) });

/** A kernel in a function: it gets the messages of each datagram and gives the datagrams that answer them. */
export class FakeChannel implements CommandChannel {
  readonly receiveBufferBytes: number;
  readonly portId = 1;
  readonly datagrams: Message[][] = [];
  dropped = 0;
  closed = false;
  #queue: Uint8Array[] = [];

  constructor(
    private readonly answer: (messages: readonly Message[], channel: FakeChannel) => readonly Uint8Array[],
    receiveBufferBytes = 1 << 20,
  ) {
    this.receiveBufferBytes = receiveBufferBytes;
  }

  send(datagram: Uint8Array): void {
    const copy = datagram.slice();
    const messages = [...readMessages(viewOf(copy), copy.length)];
    this.datagrams.push(messages);
    this.#queue.push(...this.answer(messages, this));
  }

  receive(buffer: Uint8Array): number | undefined {
    const datagram = this.#queue.shift();
    if (datagram === undefined) return undefined;
    buffer.set(datagram.subarray(0, buffer.length));
    return datagram.length;
  }

  close(): void {
    this.closed = true;
  }
}
