import { checkMagic, EnvelopeField, knownMessage, magic } from './envelope.js';
import { listMeta, typeMeta } from './kubernetes-messages.js';
import { MalformedMessage, MessageReader, MessageType, wireTypeOf } from './message.js';
import { PendingBytes } from './pending-bytes.js';

/** The fields of a list. */
const ListField = { metadata: 1, items: 2 } as const;

/** The longest beginning of a field: two varints of five bytes. */
const longestHeader = 10;

/** The number and the end of the length-delimited field at the reader's position; undefined if its header is incomplete. */
const readHeader = (reader: MessageReader): { readonly field: number; readonly end: number } | undefined => {
  const { buffer, pos } = reader;
  const header = buffer.subarray(pos, pos + longestHeader);
  const first = header.findIndex((byte) => byte < 0x80);
  const second = header.findIndex((byte, index) => index > first && byte < 0x80);
  if (first === -1 || second === -1) {
    if (header.length === longestHeader) throw new MalformedMessage('a field number or length is too large');
    return undefined;
  }
  const tag = reader.uint32();
  if (wireTypeOf(tag) !== MessageType.wireType)
    throw new MalformedMessage(`field ${tag >>> 3} of a list has an unexpected type`);
  const length = reader.uint32();
  return { field: tag >>> 3, end: reader.pos + length };
};

/**
 * Decodes a protobuf list while it arrives. A server may send the whole cluster in one body; only the bytes of one item are held.
 */
export class ListFields {
  readonly #pending: PendingBytes;
  #hasMagic = false;
  #itemMessage: MessageType | undefined;
  #metadata: unknown;
  /** The bytes of the list that are left; undefined outside of the list. */
  #left: number | undefined;

  constructor(limitBytes: number) {
    this.#pending = new PendingBytes(limitBytes);
  }

  /** The list without its items; undefined while it is incomplete. */
  get envelope(): unknown {
    const isComplete = this.#pending.isEmpty && this.#left === undefined && this.#metadata !== undefined;
    return isComplete ? { metadata: this.#metadata } : undefined;
  }

  /** Yields the items that end in this chunk, in the structure of their JSON form. */
  *push(chunk: Buffer): Generator {
    const bytes = this.#pending.add(chunk);
    if (bytes === undefined) return;
    const reader = new MessageReader(bytes);
    if (!this.#hasMagic) {
      if (bytes.length < magic.length) return this.#pending.keep(bytes, magic.length);
      checkMagic(bytes, 0);
      this.#hasMagic = true;
      reader.pos = magic.length;
    }
    while (reader.pos < bytes.length) {
      const start = reader.pos;
      const header = readHeader(reader);
      if (header === undefined) return this.#pending.keep(bytes.subarray(start), bytes.length - start + 1);
      const { field, end } = header;
      if (this.#left === undefined && field === EnvelopeField.raw) {
        this.#enterList(end - reader.pos);
        continue;
      }
      if (end > bytes.length) return this.#pending.keep(bytes.subarray(start), end - start);
      if (this.#left !== undefined && field === ListField.items) yield this.#itemMessage?.decode(reader, end);
      else this.#readOther(field, reader, end);
      reader.pos = end;
      this.#consume(end - start);
    }
    this.#pending.keep(bytes.subarray(bytes.length), 1);
  }

  #enterList(length: number): void {
    if (this.#itemMessage === undefined) throw new MalformedMessage('a list without a kind');
    this.#left = length === 0 ? undefined : length;
  }

  #readOther(field: number, reader: MessageReader, end: number): void {
    if (this.#left !== undefined) {
      if (field === ListField.metadata) this.#metadata = listMeta.decode(reader, end);
    } else if (field === EnvelopeField.typeMeta) {
      const { kind } = typeMeta.decode(reader, end);
      this.#itemMessage = knownMessage(String(kind).replace(/List$/, ''));
    }
  }

  #consume(length: number): void {
    if (this.#left === undefined) return;
    if (length > this.#left) throw new MalformedMessage('a field exceeds the list');
    this.#left = length === this.#left ? undefined : this.#left - length;
  }
}
