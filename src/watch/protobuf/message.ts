import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { BaseError } from '../../base/errors.js';

/** A protobuf message is malformed, or it ends too early. */
export class MalformedMessage extends BaseError {}

/** By their numbers. */
const wireTypes = [
  WireType.Varint,
  WireType.Bit64,
  WireType.LengthDelimited,
  WireType.StartGroup,
  WireType.EndGroup,
  WireType.Bit32,
] as const;

/** The wire type in the tag before a value. */
export const wireTypeOf = (tag: number): WireType => {
  const wireType = wireTypes[tag & 7];
  if (wireType === undefined) throw new MalformedMessage(`field ${tag >>> 3} has an unknown wire type`);
  return wireType;
};

/** Reads text and skips fields without creating a view of the bytes for each. */
export class MessageReader extends BinaryReader {
  constructor(readonly buffer: Buffer) {
    super(buffer);
  }

  override string(): string {
    const end = this.valueEnd();
    const text = this.buffer.toString('utf8', this.pos, end);
    this.pos = end;
    return text;
  }

  /** Reads the length of a length-delimited value. Returns the offset of its end. */
  valueEnd(): number {
    const length = this.uint32();
    const end = this.pos + length;
    if (end > this.len)
      throw new MalformedMessage(`a value of ${length} bytes, but ${this.len - this.pos} are left`);
    return end;
  }

  /** `tag`: the number and wire type of the field whose value is skipped. */
  skipValue(tag: number): void {
    const wireType = wireTypeOf(tag);
    if (wireType === WireType.LengthDelimited) this.pos = this.valueEnd();
    else this.skip(wireType, tag >>> 3);
  }
}

/** A type of field: how its values are encoded. */
export interface FieldType<Value = unknown> {
  readonly wireType: WireType;
  read(reader: MessageReader): Value;
}

export const text: FieldType<string> = {
  wireType: WireType.LengthDelimited,
  read: (reader) => reader.string(),
};
export const int32: FieldType<number> = { wireType: WireType.Varint, read: (reader) => reader.int32() };
export const int64: FieldType<number> = {
  wireType: WireType.Varint,
  read: (reader) => Number(reader.int64()),
};
export const bool: FieldType<boolean> = { wireType: WireType.Varint, read: (reader) => reader.bool() };

type Values = Record<string | symbol, unknown>;

/** A field of a message and what reading a value of it changes in the decoded message. */
interface Field {
  readonly name: string;
  readonly wireType: WireType;
  read(reader: MessageReader, message: Values): void;
}

export const single = (name: string, type: FieldType): Field => ({
  name,
  wireType: type.wireType,
  read: (reader, message) => {
    message[name] = type.read(reader);
  },
});

export const repeated = (name: string, type: FieldType): Field => ({
  name,
  wireType: type.wireType,
  read: (reader, message) => {
    const values = message[name];
    const value = type.read(reader);
    if (Array.isArray(values)) values.push(value);
    else message[name] = [value];
  },
});

/** The tags of the two fields of an entry of a map: field 1 and 2, length-delimited. */
const EntryTag = { key: (1 << 3) | 2, value: (2 << 3) | 2 } as const;

/**
 * A map from texts to values of this type. `usedKey` reads a key; undefined: the entry is not used, and its value, which may be a
 * whole manifest, is not decoded.
 */
export const entries = (
  name: string,
  usedKey: FieldType<string | undefined>,
  type: FieldType<string> = text,
): Field => ({
  name,
  wireType: WireType.LengthDelimited,
  read: (reader, message) => {
    const end = reader.valueEnd();
    let key: string | undefined;
    let valueAt: number | undefined;
    while (reader.pos < end) {
      const tag = reader.uint32();
      if (tag === EntryTag.key) key = usedKey.read(reader);
      else {
        if (tag === EntryTag.value) valueAt = reader.pos;
        reader.skipValue(tag);
      }
    }
    if (reader.pos !== end) throw new MalformedMessage('a field exceeds its map entry');
    if (key === undefined) return;
    const values = (message[name] ??= {}) as Values;
    if (valueAt !== undefined) reader.pos = valueAt;
    values[key] = valueAt === undefined ? '' : type.read(reader);
    reader.pos = end;
  },
});

/** A message whose decoded value is a plain object with these fields. Other fields are skipped. */
export class MessageType implements FieldType<Readonly<Values>> {
  static readonly wireType = WireType.LengthDelimited;
  readonly wireType = MessageType.wireType;
  readonly #fields: (Field | undefined)[] = [];
  /** All decoded messages have the same shape, so the code that reads them stays fast. */
  readonly #empty: Readonly<Values>;

  /** `defaults`: the values of absent fields that have one, and of properties that all messages have. */
  constructor(fields: Readonly<Record<number, Field>>, defaults: Readonly<Values> = {}) {
    for (const [number, field] of Object.entries(fields)) this.#fields[Number(number)] = field;
    const absent = Object.fromEntries(Object.values(fields).map(({ name }) => [name, undefined]));
    this.#empty = { ...absent, ...defaults };
  }

  read(reader: MessageReader): Readonly<Values> {
    return this.decode(reader, reader.valueEnd());
  }

  /** Decodes the bytes from the reader's position to `end`. Throws MalformedMessage or an Error of the library. */
  decode(reader: MessageReader, end: number): Readonly<Values> {
    const message = { ...this.#empty };
    while (reader.pos < end) {
      const tag = reader.uint32();
      const field = this.#fields[tag >>> 3];
      const wireType = wireTypeOf(tag);
      if (field?.wireType === wireType) field.read(reader, message);
      else reader.skipValue(tag);
    }
    if (reader.pos !== end) throw new MalformedMessage('a field exceeds its message');
    return message;
  }
}
