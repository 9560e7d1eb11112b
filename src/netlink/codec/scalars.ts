import { bytesAt, hex, type ByteWriter } from './bytes.js';
import { hostIsLittleEndian } from '../constants.js';
import { ProtocolError } from '../errors.js';

/** The wire format of one value: reading returns `Out`, writing takes `In`. */
export interface Codec<Out, In = Out> {
  readonly name: string;
  /** Whether its attributes carry NLA_F_NESTED. */
  readonly nested?: boolean;
  /** A value that does not fit is a ProtocolError. */
  write(writer: ByteWriter, value: In): void;
  /** Reads exactly the `length` bytes at the offset, which are within the view. Invalid bytes are a ProtocolError. */
  read(view: DataView, offset: number, length: number): Out;
  /** One line for traces. The bytes are valid for `read`. */
  describe?(view: DataView, offset: number, length: number): string;
  /** The path of the attribute at an absolute offset within the value; '' for the value itself. */
  pathAt?(view: DataView, offset: number, length: number, target: number): string;
}

/** A codec whose values all have one length. */
export interface FixedCodec<Out, In = Out> extends Codec<Out, In> {
  readonly length: number;
}

const expectLength = (name: string, expected: number, length: number): void => {
  if (length !== expected) throw new ProtocolError(`${name} has ${expected} bytes, here ${length}`);
};

const integer = (
  name: string,
  length: number,
  range: { readonly minimum: number; readonly maximum: number },
  write: (writer: ByteWriter, value: number) => void,
  read: (view: DataView, offset: number) => number,
): FixedCodec<number> => ({
  name,
  length,
  write: (writer, value) => {
    if (!Number.isInteger(value) || value < range.minimum || value > range.maximum)
      throw new ProtocolError(`${value} is not a valid ${name}`);
    write(writer, value);
  },
  read: (view, offset, given) => {
    expectLength(name, length, given);
    return read(view, offset);
  },
});

const unsigned = (bits: number): { minimum: number; maximum: number } => ({
  minimum: 0,
  maximum: 2 ** bits - 1,
});

export const u8 = integer(
  'u8',
  1,
  unsigned(8),
  (writer, value) => writer.u8(value),
  (view, offset) => view.getUint8(offset),
);
export const u16 = integer(
  'u16',
  2,
  unsigned(16),
  (writer, value) => writer.u16(value),
  (view, offset) => view.getUint16(offset, hostIsLittleEndian),
);
export const u32 = integer(
  'u32',
  4,
  unsigned(32),
  (writer, value) => writer.u32(value),
  (view, offset) => view.getUint32(offset, hostIsLittleEndian),
);
export const s32 = integer(
  's32',
  4,
  { minimum: -(2 ** 31), maximum: 2 ** 31 - 1 },
  (writer, value) => writer.u32(value >>> 0),
  (view, offset) => view.getInt32(offset, hostIsLittleEndian),
);
export const be16 = integer(
  'be16',
  2,
  unsigned(16),
  (writer, value) => writer.be16(value),
  (view, offset) => view.getUint16(offset, false),
);
export const be32 = integer(
  'be32',
  4,
  unsigned(32),
  (writer, value) => writer.be32(value),
  (view, offset) => view.getUint32(offset, false),
);

export const sbe32 = integer(
  'sbe32',
  4,
  { minimum: -(2 ** 31), maximum: 2 ** 31 - 1 },
  (writer, value) => writer.be32(value >>> 0),
  (view, offset) => view.getInt32(offset, false),
);

const integer64 = (
  name: string,
  write: (writer: ByteWriter, value: bigint) => void,
  littleEndian: boolean,
): FixedCodec<bigint> => ({
  name,
  length: 8,
  write: (writer, value) => {
    if (value < 0n || value >= 1n << 64n) throw new ProtocolError(`${value} is not a valid ${name}`);
    write(writer, value);
  },
  read: (view, offset, length) => {
    expectLength(name, 8, length);
    return view.getBigUint64(offset, littleEndian);
  },
});

export const u64 = integer64('u64', (writer, value) => writer.u64(value), hostIsLittleEndian);
export const be64 = integer64('be64', (writer, value) => writer.be64(value), false);

/** A string with its NUL. As in the kernel, bytes after the first NUL are ignored and the NUL may be missing. */
export const cstring: Codec<string> = {
  name: 'cstring',
  write: (writer, value) => {
    if (value.includes('\0')) throw new ProtocolError(`${JSON.stringify(value)} contains a NUL`);
    for (let index = 0; index < value.length; index += 1) {
      const code = value.charCodeAt(index);
      if (code > 0x7f) {
        writer.bytes(new TextEncoder().encode(value.slice(index)));
        break;
      }
      writer.u8(code);
    }
    writer.u8(0);
  },
  read: (view, offset, length) => {
    const bytes = bytesAt(view, offset, length);
    const end = bytes.indexOf(0);
    return Buffer.from(bytes.buffer, bytes.byteOffset, end === -1 ? length : end).toString('utf8');
  },
  describe: (view, offset, length) => JSON.stringify(cstring.read(view, offset, length)),
};

/** Between `minimum` and `maximum` bytes. Reading copies them. */
export const rawBytes = (minimum: number, maximum: number = minimum): Codec<Uint8Array> => ({
  name: `bytes(${minimum}..${maximum})`,
  write: (writer, value) => {
    if (value.length < minimum || value.length > maximum)
      throw new ProtocolError(`has ${value.length} bytes, not ${minimum} to ${maximum}`);
    writer.bytes(value);
  },
  read: (view, offset, length) => {
    if (length < minimum || length > maximum)
      throw new ProtocolError(`has ${length} bytes, not ${minimum} to ${maximum}`);
    return bytesAt(view, offset, length).slice();
  },
  describe: (view, offset, length) => hex(bytesAt(view, offset, length)),
});

export interface Enumeration<Word extends string> extends FixedCodec<Word | undefined, Word> {
  readonly words: Readonly<Record<Word, number>>;
}

/** An integer with a name for each value. Other values, which newer kernels may send, are read as undefined. */
export const enumeration = <Word extends string>(
  codec: FixedCodec<number>,
  words: Readonly<Record<Word, number>>,
): Enumeration<Word> => {
  const byNumber = new Map(Object.entries<number>(words).map(([word, value]) => [value, word as Word]));
  return {
    name: codec.name,
    length: codec.length,
    words,
    write: (writer, word) => codec.write(writer, words[word]),
    read: (view, offset, length) => byNumber.get(codec.read(view, offset, length)),
    describe: (view, offset, length) => {
      const value = codec.read(view, offset, length);
      return byNumber.get(value) ?? String(value);
    },
  };
};

/** Reads with the codec and returns the value as text. */
export const describeValue = <Out>(
  codec: Codec<Out, never>,
  view: DataView,
  offset: number,
  length: number,
): string => codec.describe?.(view, offset, length) ?? String(codec.read(view, offset, length));
