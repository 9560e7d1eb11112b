/** Beyond this many texts an interner starts anew: it saves memory, it must never become a leak. */
const capacity = 50_000;

/** Keeps one copy of each value that comes again and again: node names, port lists, zone hints of a cluster are few, their mentions many. */
export class Interner<Value> {
  readonly #values = new Map<string, Value>();

  /** The value kept for this text, made on first sight. */
  intern(text: string, make: () => Value): Value {
    const existing = this.#values.get(text);
    if (existing !== undefined) return existing;
    if (this.#values.size >= capacity) this.#values.clear();
    const value = make();
    this.#values.set(text, value);
    return value;
  }
}
