import { fnv1a } from '../../base/fnv.js';
import type { FieldType, MessageReader } from './message.js';

/** How many values a shared type keeps; a power of two. */
const capacity = 4096;

/** Longer values rarely recur. Bytes. */
const longestShared = 128;

interface KnownValue<Value> {
  readonly bytes: Buffer;
  readonly value: Value;
}

/** Where a value is kept: the high bits of the hash count too. */
const slotOf = (bytes: Buffer, start: number, end: number): number => {
  const hash = fnv1a(bytes, start, end);
  return (hash ^ (hash >>> 15)) & (capacity - 1);
};

const isEqual = (known: Buffer, bytes: Buffer, start: number): boolean => {
  for (let index = 0; index < known.length; index += 1)
    if (known[index] !== bytes[start + index]) return false;
  return true;
};

/**
 * A length-delimited type whose values recur, such as the name of a node. Equal bytes are decoded once, and all messages get the same
 * value, which nothing may change. This takes less time than decoding them again, and creates no garbage.
 */
export const shared = <Value>(type: FieldType<Value>): FieldType<Value> => {
  const known: (KnownValue<Value> | undefined)[] = Array.from({ length: capacity });
  const read = (reader: MessageReader): Value => {
    const from = reader.pos;
    const end = reader.valueEnd();
    const start = reader.pos;
    const length = end - start;
    const slot = slotOf(reader.buffer, start, end);
    const found = length > longestShared ? undefined : known[slot];
    if (found?.bytes.length === length && isEqual(found.bytes, reader.buffer, start)) {
      reader.pos = end;
      return found.value;
    }
    reader.pos = from;
    const value = type.read(reader);
    if (length <= longestShared)
      known[slot] = { bytes: Buffer.from(reader.buffer.subarray(start, end)), value };
    return value;
  };
  return { wireType: type.wireType, read };
};
