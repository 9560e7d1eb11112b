import { hostIsLittleEndian } from '../constants.js';

/**
 * A growing buffer in the machine's byte order, except for the be… methods. It is reused after `truncate`, so padding is written
 * explicitly.
 */
export class ByteWriter {
  #bytes: Uint8Array;
  #view: DataView;
  #length = 0;

  constructor(capacity = 4096) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  get length(): number {
    return this.#length;
  }

  /** The written bytes, not copied; valid until the next write. */
  written(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Discards the bytes after the offset. */
  truncate(offset: number): void {
    this.#length = offset;
  }

  u8(value: number): void {
    const offset = this.#grow(1);
    this.#view.setUint8(offset, value);
  }

  u16(value: number): void {
    const offset = this.#grow(2);
    this.#view.setUint16(offset, value, hostIsLittleEndian);
  }

  u32(value: number): void {
    const offset = this.#grow(4);
    this.#view.setUint32(offset, value, hostIsLittleEndian);
  }

  u64(value: bigint): void {
    const offset = this.#grow(8);
    this.#view.setBigUint64(offset, value, hostIsLittleEndian);
  }

  be16(value: number): void {
    const offset = this.#grow(2);
    this.#view.setUint16(offset, value, false);
  }

  be32(value: number): void {
    const offset = this.#grow(4);
    this.#view.setUint32(offset, value, false);
  }

  be64(value: bigint): void {
    const offset = this.#grow(8);
    this.#view.setBigUint64(offset, value, false);
  }

  bytes(source: Uint8Array): void {
    const offset = this.#grow(source.length);
    this.#bytes.set(source, offset);
  }

  zeros(count: number): void {
    const offset = this.#grow(count);
    // Mostly padding of a few bytes, for which a call of `fill` costs more.
    for (let at = offset; at < offset + count; at += 1) this.#bytes[at] = 0;
  }

  /** Zeros up to the next multiple of four. */
  pad(): void {
    const missing = -this.#length & 3;
    if (missing > 0) this.zeros(missing);
  }

  /** Overwrites two written bytes. */
  setU16(offset: number, value: number): void {
    this.#view.setUint16(offset, value, hostIsLittleEndian);
  }

  /** Overwrites four written bytes. */
  setU32(offset: number, value: number): void {
    this.#view.setUint32(offset, value, hostIsLittleEndian);
  }

  /** Reserves `count` bytes and returns their offset. It may replace the view, so callers call it first. */
  #grow(count: number): number {
    const offset = this.#length;
    const needed = offset + count;
    if (needed > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
      larger.set(this.#bytes.subarray(0, offset));
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    this.#length = needed;
    return offset;
  }
}

/** Bytes of a view, not copied. */
export const bytesAt = (view: DataView, offset: number, length: number): Uint8Array =>
  new Uint8Array(view.buffer, view.byteOffset + offset, length);

/** A view of all of an array's bytes. */
export const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** `0a 60 00 01`, cut after `limit` bytes. */
export const hex = (bytes: Uint8Array, limit = 64): string => {
  const text = Array.from(bytes.subarray(0, limit), (byte) => byte.toString(16).padStart(2, '0')).join(' ');
  return bytes.length > limit ? `${text} … (${bytes.length} bytes)` : text;
};
