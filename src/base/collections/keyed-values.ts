/** Up to this many values are searched one by one. */
const searchable = 16;

/**
 * A map of values that have their keys, in the order in which they came. A small one takes a third of the memory of a Map, whose
 * tables have room for more.
 */
export class KeyedValues<Key, Value extends { readonly key: Key }> implements ReadonlyMap<Key, Value> {
  #values: readonly Value[] | Map<Key, Value>;

  /** The keys of the values must differ. */
  constructor(values: readonly Value[] = []) {
    // A copy has no room for more.
    this.#values = values.length > searchable ? mapOf(values) : values.slice();
  }

  get size(): number {
    return this.#values instanceof Map ? this.#values.size : this.#values.length;
  }

  get(key: Key): Value | undefined {
    if (this.#values instanceof Map) return this.#values.get(key);
    for (const value of this.#values) if (value.key === key) return value;
    return undefined;
  }

  has(key: Key): boolean {
    return this.get(key) !== undefined;
  }

  /** Adds the value, or replaces the one with its key. */
  set(value: Value): void {
    const { key } = value;
    if (this.#values instanceof Map) this.#values.set(key, value);
    else if (this.has(key)) this.#values = this.#values.map((known) => (known.key === key ? value : known));
    // concat leaves no room for more values, unlike push.
    else if (this.#values.length < searchable) this.#values = this.#values.concat([value]);
    else this.#values = mapOf([...this.#values, value]);
  }

  delete(key: Key): void {
    if (this.#values instanceof Map) this.#values.delete(key);
    else if (this.has(key)) this.#values = this.#values.filter((value) => value.key !== key).slice();
  }

  values(): MapIterator<Value> {
    return this.#values.values();
  }

  *keys(): MapIterator<Key> {
    for (const { key } of this.#values.values()) yield key;
  }

  *entries(): MapIterator<[Key, Value]> {
    for (const value of this.#values.values()) yield [value.key, value];
  }

  [Symbol.iterator](): MapIterator<[Key, Value]> {
    return this.entries();
  }

  forEach(action: (value: Value, key: Key, map: ReadonlyMap<Key, Value>) => void): void {
    for (const value of this.#values.values()) action(value, value.key, this);
  }
}

const mapOf = <Key, Value extends { readonly key: Key }>(values: readonly Value[]): Map<Key, Value> =>
  new Map(values.map((value) => [value.key, value]));
