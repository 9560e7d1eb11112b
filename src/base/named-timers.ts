/** Timers by name: one that is set again takes the place of the earlier one. */
export class NamedTimers {
  readonly #timers = new Map<string, NodeJS.Timeout>();
  #stopped = false;

  has(name: string): boolean {
    return this.#timers.has(name);
  }

  after(name: string, milliseconds: number, work: () => void): void {
    if (this.#stopped) return;
    clearTimeout(this.#timers.get(name));
    const timer = setTimeout(() => {
      this.#timers.delete(name);
      work();
    }, milliseconds);
    this.#timers.set(name, timer);
  }

  cancel(name: string): void {
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }

  /** For good: what is set afterwards never comes. */
  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
  }
}
