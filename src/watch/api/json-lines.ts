import { BaseError, messageOf } from '../../base/errors.js';

/** No object of an API server comes near this: etcd takes 1.5 MB at most. What is larger is a fault, not an object. */
export const largestObjectBytes = 16 * 1024 * 1024;

/** The bytes of an answer are not what they must be: cut off, garbled or beyond all measure. */
export class BrokenStream extends BaseError {}

/** Parses one JSON text; a text that is none is a BrokenStream that shows its beginning. */
export const parseJson = (bytes: Buffer): unknown => {
  try {
    return JSON.parse(bytes.toString('utf8')) as unknown;
  } catch (error) {
    const beginning = bytes.subarray(0, 60).toString('utf8');
    throw new BrokenStream(`no JSON: ${JSON.stringify(beginning)} (${messageOf(error)})`);
  }
};

/** Bytes that came in pieces and belong together, up to a limit. */
export class Chunks {
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(private readonly limitBytes: number) {}

  get isEmpty(): boolean {
    return this.#bytes === 0;
  }

  /** Keeps a piece; more bytes than the limit are a BrokenStream. */
  add(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#bytes += chunk.length;
    if (this.#bytes > this.limitBytes)
      throw new BrokenStream(`an object of more than ${this.limitBytes} bytes`);
    this.#chunks.push(chunk);
  }

  /** All pieces as one, and forgets them. */
  take(): Buffer {
    const [first, ...rest] = this.#chunks;
    const whole = first !== undefined && rest.length === 0 ? first : Buffer.concat(this.#chunks);
    this.#chunks = [];
    this.#bytes = 0;
    return whole;
  }
}

const newline = 0x0a;

/** Cuts a stream of bytes into lines of JSON. Blank lines are nothing; a line that is no JSON or too long is a BrokenStream. */
export class JsonLines {
  readonly #partial: Chunks;

  constructor(limitBytes: number = largestObjectBytes) {
    this.#partial = new Chunks(limitBytes);
  }

  /** The values of the lines that end in this chunk, one by one, so that those before a broken line are not lost. */
  *push(chunk: Buffer): Generator {
    let start = 0;
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
      this.#partial.add(chunk.subarray(start, end));
      start = end + 1;
      if (!this.#partial.isEmpty) yield parseJson(this.#partial.take());
    }
    this.#partial.add(chunk.subarray(start));
  }

  /** To be called at the end of the stream: a line without an end is a BrokenStream. */
  finish(): void {
    if (!this.#partial.isEmpty) throw new BrokenStream('the last line has no end');
  }
}
