import { messageOf } from '../../base/errors.js';
import { readObject } from '../protobuf/envelope.js';
import { ListFields } from '../protobuf/list-fields.js';
import { MessageReader } from '../protobuf/message.js';
import { WatchFrames } from '../protobuf/watch-frames.js';
import { BrokenStream, JsonLines, largestObjectBytes, parseJson } from './json-lines.js';
import { ListSplitter } from './list-splitter.js';

/** Splits a body into parts while it arrives. Malformed and incomplete bodies are a BrokenStream. */
export interface BodySplitter {
  /** Yields the parts that end in this chunk, so that those before a malformed one are not lost. */
  push(chunk: Buffer): Iterable<unknown>;
  /** Call it at the end of the body. Returns the rest around the parts of a list. */
  finish(): unknown;
}

/** An encoding of the API server's responses. All values have the structure of the JSON form. */
export interface BodyFormat {
  /** The events of a watch. */
  events(): BodySplitter;
  /** The items of a list. */
  list(): BodySplitter;
  /** A whole object. */
  object(bytes: Buffer): unknown;
}

export const jsonFormat: BodyFormat = {
  events: () => new JsonLines(),
  list: () => new ListSplitter(),
  object: parseJson,
};

const broken = (error: unknown): BrokenStream =>
  error instanceof BrokenStream ? error : new BrokenStream(`invalid protobuf: ${messageOf(error)}`);

function* orBroken(parts: Iterable<unknown>): Generator {
  try {
    yield* parts;
  } catch (error) {
    throw broken(error);
  }
}

class ProtobufEvents implements BodySplitter {
  readonly #frames = new WatchFrames(largestObjectBytes);

  push(chunk: Buffer): Iterable<unknown> {
    return orBroken(this.#frames.push(chunk));
  }

  finish(): void {
    if (!this.#frames.isComplete) throw new BrokenStream('the last event is incomplete');
  }
}

class ProtobufList implements BodySplitter {
  readonly #fields = new ListFields(largestObjectBytes);

  push(chunk: Buffer): Iterable<unknown> {
    return orBroken(this.#fields.push(chunk));
  }

  finish(): unknown {
    const { envelope } = this.#fields;
    if (envelope === undefined) throw new BrokenStream('the list is incomplete');
    return envelope;
  }
}

export const jsonType = 'application/json';
export const protobufType = 'application/vnd.kubernetes.protobuf';

const protobufFormat: BodyFormat = {
  events: () => new ProtobufEvents(),
  list: () => new ProtobufList(),
  object: (bytes) => {
    try {
      return readObject(new MessageReader(bytes), bytes.length);
    } catch (error) {
      throw broken(error);
    }
  },
};

/** The format of a response with this Content-Type. */
export const bodyFormat = (contentType: string | undefined): BodyFormat =>
  contentType?.startsWith(protobufType) === true ? protobufFormat : jsonFormat;
