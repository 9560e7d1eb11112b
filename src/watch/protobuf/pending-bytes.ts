import { Chunks } from '../api/json-lines.js';

/** The bytes of a stream that do not form a complete part yet. */
export class PendingBytes {
  readonly #chunks: Chunks;
  #length = 0;
  #needed = 0;

  constructor(limitBytes: number) {
    this.#chunks = new Chunks(limitBytes);
  }

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  /** Returns the pending bytes with the chunk; undefined while fewer are there than needed. Too many are a BrokenStream. */
  add(chunk: Buffer): Buffer | undefined {
    if (this.#length === 0 && chunk.length >= this.#needed) return chunk;
    this.#chunks.add(chunk);
    this.#length += chunk.length;
    if (this.#length < this.#needed) return undefined;
    this.#length = 0;
    return this.#chunks.take();
  }

  /** Keeps the rest of a chunk until `needed` bytes are there. */
  keep(rest: Buffer, needed: number): void {
    this.#chunks.add(rest);
    this.#length = rest.length;
    this.#needed = needed;
  }
}
