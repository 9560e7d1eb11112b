/**
 * Logs a state once when it begins, once more each time its reason changes, and once when it ends. A key names the thing that
 * is in the state.
 */
export class StateLog<Key = string> {
  readonly #reasons = new Map<Key, string>();

  /** Of more keys than the maximum the oldest is forgotten without a line. */
  constructor(private readonly maximum = Infinity) {}

  /** How many things are in the state. */
  get size(): number {
    return this.#reasons.size;
  }

  has(key: Key): boolean {
    return this.#reasons.has(key);
  }

  /** The state holds: `write` runs if it did not hold before, or for another reason. */
  begin(key: Key, reason: string, write: () => void): void {
    if (this.#reasons.get(key) === reason) return;
    const [oldest] = this.#reasons.keys();
    if (this.#reasons.size >= this.maximum && oldest !== undefined) this.#reasons.delete(oldest);
    this.#reasons.set(key, reason);
    write();
  }

  /** The state does not hold: `write` runs if it held before, and gets its last reason. */
  end(key: Key, write: (reason: string) => void = () => {}): void {
    const reason = this.#reasons.get(key);
    if (reason === undefined) return;
    this.#reasons.delete(key);
    write(reason);
  }

  /** Ends the state of every other key. */
  endOthers(current: { has(key: Key): boolean }, write: (key: Key, reason: string) => void = () => {}): void {
    for (const key of this.#reasons.keys())
      if (!current.has(key)) this.end(key, (reason) => write(key, reason));
  }
}
