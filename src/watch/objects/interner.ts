/** Beyond this many texts an interner is cleared, so that it never becomes a leak. */
const capacity = 50_000;

/** Keeps one copy of each frequent value: a cluster has few node names, port lists and zone hints, in many objects. */
export class Interner<Value> {
  readonly #values = new Map<string, Value>();

  /** The value for this text, created on its first use. */
  intern(text: string, make: () => Value): Value {
    const existing = this.#values.get(text);
    if (existing !== undefined) return existing;
    if (this.#values.size >= capacity) this.#values.clear();
    const value = make();
    this.#values.set(text, value);
    return value;
  }
}
