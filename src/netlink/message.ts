import type { AttributeSet, DecodedAttributes, EncodedAttributes } from './codec/attributes.js';
import { bytesAt, hex, viewOf, type ByteWriter } from './codec/bytes.js';
import { align, hostIsLittleEndian, messageHeaderLength } from './constants.js';
import { ProtocolError } from './errors.js';
import type { Struct, StructValue } from './codec/struct.js';

/** A message in a buffer, which may be reused; returned replies have their own copy. */
export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly portId: number;
  readonly view: DataView;
  /** Offset of the body, which follows the netlink header. */
  readonly bodyOffset: number;
  readonly bodyLength: number;
}

/** The messages of a datagram of the given length. A header that does not fit the bytes is a ProtocolError. */
export function* readMessages(view: DataView, length: number): Generator<Message, void, undefined> {
  let at = 0;
  while (at < length) {
    if (length - at < messageHeaderLength)
      throw new ProtocolError(`${length - at} bytes are left, too few for a message`);
    const size = view.getUint32(at, hostIsLittleEndian);
    if (size < messageHeaderLength || at + size > length)
      throw new ProtocolError(`a message has a length of ${size} bytes, but ${length - at} are left`);
    yield {
      type: view.getUint16(at + 4, hostIsLittleEndian),
      flags: view.getUint16(at + 6, hostIsLittleEndian),
      sequence: view.getUint32(at + 8, hostIsLittleEndian),
      portId: view.getUint32(at + 12, hostIsLittleEndian),
      view,
      bodyOffset: at + messageHeaderLength,
      bodyLength: size - messageHeaderLength,
    };
    at += align(size);
  }
}

/** The message with its own copy of the bytes. */
export const copyOf = (message: Message): Message => {
  const start = message.bodyOffset - messageHeaderLength;
  const bytes = bytesAt(message.view, start, messageHeaderLength + message.bodyLength).slice();
  return { ...message, view: viewOf(bytes), bodyOffset: messageHeaderLength };
};

/** The layout of a message's body, without its value types. */
export interface BodyShape {
  readonly name: string;
  describe(message: Message): string;
  /** The path of the attribute at an offset from the netlink header; undefined where there is none. */
  pathAt(message: Message, offsetFromHeader: number): string | undefined;
}

export type HeaderFields = ConstructorParameters<typeof Struct>[1];
export type AttributeSetSpecs = ConstructorParameters<typeof AttributeSet>[1];

/** A message of a family: a fixed header, then attributes. */
export class MessageShape<Fields extends HeaderFields, R extends AttributeSetSpecs> implements BodyShape {
  constructor(
    readonly name: string,
    readonly header: Struct<Fields>,
    readonly attributes: AttributeSet<R>,
  ) {}

  write(writer: ByteWriter, header: Partial<StructValue<Fields>>, values: EncodedAttributes<R>): void {
    this.header.write(writer, header);
    writer.pad();
    this.attributes.write(writer, values);
  }

  /** A malformed message is a ProtocolError with the path of the attribute. */
  read(message: Message): {
    readonly header: StructValue<Fields>;
    readonly attributes: DecodedAttributes<R>;
  } {
    const start = this.#attributesOffset(message);
    return {
      header: this.header.read(message.view, message.bodyOffset, this.header.length),
      attributes: this.attributes.read(message.view, message.bodyOffset + start, message.bodyLength - start),
    };
  }

  /** Where the attribute's value begins in the view. */
  valueOffset(message: Message, name: keyof R): number | undefined {
    const start = this.#attributesOffset(message);
    const { view, bodyOffset, bodyLength } = message;
    return this.attributes.valueOffset(view, bodyOffset + start, bodyLength - start, name);
  }

  describe(message: Message): string {
    if (message.bodyLength < this.header.length)
      return hex(bytesAt(message.view, message.bodyOffset, message.bodyLength));
    const start = this.#attributesOffset(message);
    const header = this.header.describe(message.view, message.bodyOffset);
    return `${header} ${this.attributes.describe(message.view, message.bodyOffset + start, message.bodyLength - start)}`;
  }

  pathAt(message: Message, offsetFromHeader: number): string | undefined {
    const target = message.bodyOffset - messageHeaderLength + offsetFromHeader;
    const start = this.#attributesOffset(message);
    const path = this.attributes.pathAt(
      message.view,
      message.bodyOffset + start,
      message.bodyLength - start,
      target,
    );
    return path === '' ? undefined : path;
  }

  #attributesOffset(message: Message): number {
    if (message.bodyLength < this.header.length)
      throw new ProtocolError(
        `${this.name} has at least ${this.header.length} bytes, here ${message.bodyLength}`,
      );
    return Math.min(align(this.header.length), message.bodyLength);
  }
}

/** A message to send: `write` appends the body; `operation` names it in errors. */
export interface Request {
  readonly type: number;
  /** NLM_F_REQUEST is added when the message is written. */
  readonly flags: number;
  operation(): string;
  readonly shape: BodyShape;
  write(writer: ByteWriter): void;
}

/** Appends a request with its netlink header and returns its offset. A ProtocolError leaves the writer unchanged. */
export const writeMessage = (
  writer: ByteWriter,
  request: Request,
  flags: number,
  sequence: number,
): number => {
  const start = writer.length;
  writer.u32(0);
  writer.u16(request.type);
  writer.u16(flags);
  writer.u32(sequence);
  writer.u32(0);
  try {
    request.write(writer);
  } catch (error) {
    writer.truncate(start);
    throw error;
  }
  writer.setU32(start, writer.length - start);
  writer.pad();
  return start;
};
