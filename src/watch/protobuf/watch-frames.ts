import { MessageReader } from './message.js';
import { watchEvent } from './envelope.js';
import { PendingBytes } from './pending-bytes.js';

/** The length of an event in bytes, big-endian, before each event. */
const headerLength = 4;

/** Splits a protobuf watch stream into events. Source: k8s.io/apimachinery/pkg/util/framer. */
export class WatchFrames {
  readonly #pending: PendingBytes;

  constructor(limitBytes: number) {
    this.#pending = new PendingBytes(limitBytes);
  }

  get isComplete(): boolean {
    return this.#pending.isEmpty;
  }

  /** Yields the events that end in this chunk, in the structure of their JSON form. */
  *push(chunk: Buffer): Generator {
    const bytes = this.#pending.add(chunk);
    if (bytes === undefined) return;
    const reader = new MessageReader(bytes);
    for (;;) {
      const available = bytes.length - reader.pos;
      const needed = headerLength + (available < headerLength ? 0 : bytes.readUInt32BE(reader.pos));
      if (available < needed || available === 0)
        return this.#pending.keep(bytes.subarray(reader.pos), needed);
      const end = reader.pos + needed;
      reader.pos += headerLength;
      const { type, object } = watchEvent.decode(reader, end);
      yield { type, object: (object as { readonly raw?: unknown } | undefined)?.raw };
    }
  }
}
