import type { Operation, Outcome } from '../model/operation.js';

/** Counts operations by kind and outcome: `add-real-server applied`, `add-real-server EEXIST`. */
export class OperationCounters {
  readonly #counts = new Map<Operation['kind'], Map<string, number>>();

  count(kind: Operation['kind'], outcome: Outcome): void {
    const ofKind = this.#counts.get(kind) ?? new Map<string, number>();
    this.#counts.set(kind, ofKind);
    const word = outcome.status === 'failed' ? outcome.errno : outcome.status;
    ofKind.set(word, (ofKind.get(word) ?? 0) + 1);
  }

  /** All counts so far, by `kind outcome`. */
  snapshot(): Readonly<Record<string, number>> {
    return Object.fromEntries(
      [...this.#counts].flatMap(([kind, words]) =>
        [...words].map(([word, count]) => [`${kind} ${word}`, count]),
      ),
    );
  }
}
