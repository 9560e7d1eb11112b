import * as fc from 'fast-check';
import type { ByteWriter } from '../../src/netlink/codec/bytes.js';
import type { Codec } from '../../src/netlink/codec/scalars.js';

/** A row as AttributeSet shows it, without its types. */
export interface AnyAttributeSpec {
  readonly name: string;
  readonly type: number;
  readonly codec: Codec<unknown>;
  readonly presence: string;
}

interface AnyAttributeSet {
  readonly name: string;
  readonly specs: readonly AnyAttributeSpec[];
}

interface AnyStruct {
  readonly fields: readonly { readonly name: string; readonly codec: Codec<unknown> }[];
}

const isTable = (codec: object): codec is AnyAttributeSet => 'specs' in codec;
const isStruct = (codec: object): codec is AnyStruct => 'fields' in codec;
const isList = (codec: object): codec is { readonly item: Codec<unknown>; readonly type: number } =>
  'item' in codec;
const hasWords = (codec: object): codec is { readonly words: Readonly<Record<string, number>> } =>
  'words' in codec;

const integers: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  u8: fc.integer({ min: 0, max: 0xff }),
  u16: fc.integer({ min: 0, max: 0xffff }),
  be16: fc.integer({ min: 0, max: 0xffff }),
  u32: fc.integer({ min: 0, max: 0xffffffff }),
  be32: fc.integer({ min: 0, max: 0xffffffff }),
  s32: fc.integer({ min: -0x80000000, max: 0x7fffffff }),
  sbe32: fc.integer({ min: -0x80000000, max: 0x7fffffff }),
  u64: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
  be64: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
};

/** Values for the rows that are sent, of lists too. */
const arbitraryOfSent = (codec: Codec<unknown>): fc.Arbitrary<unknown> => {
  if (isTable(codec)) return arbitraryOfSentSet(codec);
  return isList(codec) ? fc.array(arbitraryOfSent(codec.item), { maxLength: 4 }) : arbitraryOfCodec(codec);
};

const arbitraryOfStruct = (struct: AnyStruct): fc.Arbitrary<Record<string, unknown>> =>
  fc.record(
    Object.fromEntries(
      struct.fields
        .filter((field) => !field.name.startsWith('_'))
        .map((field) => [field.name, arbitraryOfCodec(field.codec)]),
    ),
    { noNullPrototype: true },
  );

/** Every value that a codec can hold. Fails for a codec it does not know, so that a new one cannot go untested. */
export const arbitraryOfCodec = (codec: Codec<unknown>): fc.Arbitrary<unknown> => {
  if (isTable(codec)) return arbitraryOfSet(codec);
  if (isStruct(codec)) return arbitraryOfStruct(codec);
  if (isList(codec)) return fc.array(arbitraryOfCodec(codec.item), { maxLength: 4 });
  if (hasWords(codec)) return fc.constantFrom(...Object.keys(codec.words));
  const integer = integers[codec.name];
  if (integer !== undefined) return integer;
  if (codec.name === 'cstring') return fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\0'));
  if (codec.name === 'register') return fc.oneof(fc.constant('verdict'), fc.integer({ min: 0, max: 15 }));
  if (codec.name === 'address') return fc.uint8Array({ minLength: 16, maxLength: 16 });
  const lengths = /^bytes\((\d+)\.\.(\d+)\)$/.exec(codec.name);
  if (lengths === null) throw new Error(`no arbitrary for the codec ${codec.name}`);
  const [minLength, maxLength] = lengths.slice(1).map(Number) as [number, number];
  return fc.uint8Array({ minLength, maxLength: Math.min(maxLength, 64) });
};

/** Values for all rows of a table, those that only the kernel sends too; rows that may be absent sometimes are. */
export const arbitraryOfSet = (table: AnyAttributeSet): fc.Arbitrary<Record<string, unknown>> =>
  fc.record(Object.fromEntries(table.specs.map((row) => [row.name, arbitraryOfCodec(row.codec)])), {
    noNullPrototype: true,
    requiredKeys: table.specs.filter((row) => row.presence === 'required').map((row) => row.name),
  });

/** Values for the rows that are sent. */
export const arbitraryOfSentSet = (table: AnyAttributeSet): fc.Arbitrary<Record<string, unknown>> => {
  const sent = table.specs.filter((row) => row.presence !== 'received');
  return fc.record(Object.fromEntries(sent.map((row) => [row.name, arbitraryOfSent(row.codec)])), {
    noNullPrototype: true,
    requiredKeys: sent.filter((row) => row.presence === 'required').map((row) => row.name),
  });
};

const writeAny = (writer: ByteWriter, type: number, codec: Codec<unknown>, value: unknown): void => {
  const start = writer.length;
  writer.u32(0);
  if (isTable(codec)) writeAllAttributes(writer, codec, value as Record<string, unknown>);
  else if (isList(codec))
    for (const item of value as readonly unknown[]) writeAny(writer, codec.type, codec.item, item);
  else codec.write(writer, value);
  writer.setU16(start, writer.length - start);
  writer.setU16(start + 2, type);
  writer.pad();
};

/** Writes attributes as the kernel would, those that we never send too: independent of AttributeSet.write. */
export const writeAllAttributes = (
  writer: ByteWriter,
  table: AnyAttributeSet,
  values: Readonly<Record<string, unknown>>,
): void => {
  for (const row of table.specs) {
    const value = values[row.name];
    if (value !== undefined) writeAny(writer, row.type, row.codec, value);
  }
};
