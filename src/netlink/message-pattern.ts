import type { DecodedAttributes } from './codec/attributes.js';
import type { HeaderFields, Message, MessageShape, AttributeSetSpecs } from './message.js';

/** Part of a value: what is left out, or undefined, may be anything. */
type Part<T> = T extends object ? { readonly [Name in keyof T]?: Part<T[Name]> | undefined } : T;

const isLike = (value: unknown, part: unknown): boolean => {
  if (typeof part !== 'object' || part === null) return value === part;
  if (typeof value !== 'object' || value === null) return false;
  const found = new Map<string, unknown>(Object.entries(value));
  return Object.entries(part).every(([name, inner]) => inner === undefined || isLike(found.get(name), inner));
};

/** Chooses messages by data, so that choosing runs no code of the caller. */
export class MessagePattern {
  readonly #read: (message: Message) => unknown;
  readonly #part: unknown;

  private constructor(read: (message: Message) => unknown, part: unknown) {
    this.#read = read;
    this.#part = part;
  }

  /** Messages of the shape whose attributes have all that `part` has. */
  static of<Fields extends HeaderFields, R extends AttributeSetSpecs>(
    shape: MessageShape<Fields, R>,
    part: Part<DecodedAttributes<R>>,
  ): MessagePattern {
    return new MessagePattern((message) => shape.read(message).attributes, part);
  }

  matches(message: Message): boolean {
    return isLike(this.#read(message), this.#part);
  }
}
