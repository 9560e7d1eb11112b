import type { Operation, Outcome } from '../model/operation.js';

/** Counts operations by kind and outcome: `add-real-server applied`, `add-real-server EEXIST`. */
export class OperationCounters {
  readonly #counts = new Map<string, number>();

  count(kind: Operation['kind'], outcome: Outcome): void {
    const name = `${kind} ${outcome.status === 'failed' ? outcome.errno : outcome.status}`;
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  /** All counts so far, by `kind outcome`. */
  snapshot(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }
}
