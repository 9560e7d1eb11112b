import type { DecodedAttributes } from './codec/attributes.js';
import type { HeaderFields, Message, MessageShape, AttributeSetSpecs } from './message.js';

/** Part of a value; a field that is missing or undefined matches anything. */
type Part<T> = T extends object ? { readonly [Name in keyof T]?: Part<T[Name]> | undefined } : T;

const isLike = (value: unknown, part: unknown): boolean => {
  if (typeof part !== 'object' || part === null) return value === part;
  if (typeof value !== 'object' || value === null) return false;
  const found = new Map<string, unknown>(Object.entries(value));
  return Object.entries(part).every(([name, inner]) => inner === undefined || isLike(found.get(name), inner));
};

/** Selects messages by data, so that reading a dump runs no code of the caller. */
export class MessagePattern {
  readonly #read: (message: Message) => unknown;
  readonly #part: unknown;

  private constructor(read: (message: Message) => unknown, part: unknown) {
    this.#read = read;
    this.#part = part;
  }

  /** Messages of the shape whose attributes contain `part`. */
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
