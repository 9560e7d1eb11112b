/** How often each key is counted; a key that is not counted any more takes no room. */
export class CounterMap<Key> {
  readonly #counts = new Map<Key, number>();

  add(key: Key, difference: number): void {
    const count = this.get(key) + difference;
    if (count > 0) this.#counts.set(key, count);
    else this.#counts.delete(key);
  }

  get(key: Key): number {
    return this.#counts.get(key) ?? 0;
  }

  has(key: Key): boolean {
    return this.#counts.has(key);
  }

  keys(): Iterable<Key> {
    return this.#counts.keys();
  }
}
