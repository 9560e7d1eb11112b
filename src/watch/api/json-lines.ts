import { BaseError, messageOf } from '../../base/errors.js';

/** Far more than any object: etcd stores 1.5 MB at most. */
export const largestObjectBytes = 16 * 1024 * 1024;

/** A response is truncated, malformed or too large. */
export class BrokenStream extends BaseError {}

/** Parses one JSON text; invalid text is a BrokenStream that quotes its beginning. */
export const parseJson = (bytes: Buffer): unknown => {
  try {
    return JSON.parse(bytes.toString('utf8')) as unknown;
  } catch (error) {
    const beginning = bytes.subarray(0, 60).toString('utf8');
    throw new BrokenStream(`invalid JSON: ${JSON.stringify(beginning)} (${messageOf(error)})`);
  }
};

/** Collects chunks of one text, up to a limit. */
export class Chunks {
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(private readonly limitBytes: number) {}

  get isEmpty(): boolean {
    return this.#bytes === 0;
  }

  /** Adds a chunk; more bytes than the limit are a BrokenStream. */
  add(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#bytes += chunk.length;
    if (this.#bytes > this.limitBytes)
      throw new BrokenStream(`an object of more than ${this.limitBytes} bytes`);
    this.#chunks.push(chunk);
  }

  /** Returns all chunks as one and removes them. */
  take(): Buffer {
    const [first, ...rest] = this.#chunks;
    const whole = first !== undefined && rest.length === 0 ? first : Buffer.concat(this.#chunks);
    this.#chunks = [];
    this.#bytes = 0;
    return whole;
  }
}

const newline = 0x0a;

/** Splits a stream of bytes into lines of JSON. Blank lines are ignored; an invalid or too long line is a BrokenStream. */
export class JsonLines {
  readonly #partial: Chunks;

  constructor(limitBytes: number = largestObjectBytes) {
    this.#partial = new Chunks(limitBytes);
  }

  /** Yields the values of the lines that end in this chunk, so that those before a broken line are not lost. */
  *push(chunk: Buffer): Generator {
    let start = 0;
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
      this.#partial.add(chunk.subarray(start, end));
      start = end + 1;
      if (!this.#partial.isEmpty) yield parseJson(this.#partial.take());
    }
    this.#partial.add(chunk.subarray(start));
  }

  /** Call at the end of the stream: an incomplete last line is a BrokenStream. */
  finish(): void {
    if (!this.#partial.isEmpty) throw new BrokenStream('the last line is incomplete');
  }
}
