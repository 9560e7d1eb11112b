import { BrokenStream, largestObjectBytes, parseJson, Chunks } from './json-lines.js';

const quote = 0x22;
const backslash = 0x5c;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const itemsKey = Buffer.from(JSON.stringify('items'));

/**
 * Parses a list while it arrives: each of `items` separately, the rest around them at the end. A server may send the whole cluster
 * in one body; the splitter holds the text of only one object.
 */
export class ListSplitter {
  readonly #item: Chunks;
  readonly #envelope: Chunks;
  #depth = 0;
  #inString = false;
  #escaped = false;
  #inItems = false;
  /** How many bytes of `"items"` the last string at the top level has matched; -1: it is another string. */
  #matched = -1;

  constructor(limitBytes: number = largestObjectBytes) {
    this.#item = new Chunks(limitBytes);
    this.#envelope = new Chunks(limitBytes);
  }

  /** Yields the items that end in this chunk. Invalid JSON is a BrokenStream. */
  *push(chunk: Buffer): Generator {
    let start = 0;
    for (let index = 0; index < chunk.length; index += 1) {
      const byte = chunk[index] ?? 0;
      if (this.#inString) {
        this.#stringByte(byte);
        continue;
      }
      switch (byte) {
        case quote:
          this.#inString = true;
          if (this.#depth === 1) this.#matched = 1;
          break;
        case openBrace:
        case openBracket:
          if (this.#inItems && this.#depth === 2) start = index;
          this.#depth += 1;
          if (byte === openBracket && this.#depth === 2 && this.#matched === itemsKey.length) {
            this.#envelope.add(chunk.subarray(start, index + 1));
            this.#inItems = true;
          }
          break;
        case closeBrace:
        case closeBracket:
          this.#depth -= 1;
          if (!this.#inItems) break;
          if (this.#depth === 2) {
            this.#item.add(chunk.subarray(start, index + 1));
            yield parseJson(this.#item.take());
          } else if (this.#depth === 1) {
            this.#inItems = false;
            start = index;
          }
          break;
      }
    }
    this.#keepRest(chunk.subarray(start));
  }

  /** The list without its items. An incomplete list is a BrokenStream. */
  finish(): unknown {
    if (this.#depth !== 0 || this.#inString || this.#envelope.isEmpty)
      throw new BrokenStream('the list is incomplete');
    return parseJson(this.#envelope.take());
  }

  #stringByte(byte: number): void {
    if (this.#depth === 1)
      this.#matched = this.#matched >= 0 && byte === itemsKey[this.#matched] ? this.#matched + 1 : -1;
    if (this.#escaped) this.#escaped = false;
    else if (byte === backslash) this.#escaped = true;
    else if (byte === quote) this.#inString = false;
  }

  /** The text between two items is not needed. */
  #keepRest(rest: Buffer): void {
    if (!this.#inItems) this.#envelope.add(Buffer.from(rest));
    else if (this.#depth > 2) this.#item.add(rest);
  }
}
