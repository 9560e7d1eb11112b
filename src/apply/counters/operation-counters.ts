import type { Operation, Outcome } from '../../model/operation.js';

/** How often operations of this kind had this outcome. */
export interface OperationCount {
  readonly kind: Operation['kind'];
  /** `applied`, `unknown`, or the name of the errno. */
  readonly outcome: string;
  readonly count: number;
}

/** Counts operations by kind and outcome: `add-real-server applied`, `add-real-server EEXIST`. */
export class OperationCounters {
  readonly #counts = new Map<Operation['kind'], Map<string, number>>();

  count(kind: Operation['kind'], outcome: Outcome): void {
    const ofKind = this.#counts.get(kind) ?? new Map<string, number>();
    this.#counts.set(kind, ofKind);
    const word = outcome.status === 'failed' ? outcome.errno : outcome.status;
    ofKind.set(word, (ofKind.get(word) ?? 0) + 1);
  }

  counts(): readonly OperationCount[] {
    return [...this.#counts].flatMap(([kind, words]) =>
      [...words].map(([outcome, count]) => ({ kind, outcome, count })),
    );
  }

  /** Of all kinds. */
  totals(): { readonly applied: number; readonly failed: number } {
    let applied = 0;
    let failed = 0;
    for (const words of this.#counts.values())
      for (const [word, count] of words)
        if (word === 'applied') applied += count;
        else failed += count;
    return { applied, failed };
  }

  /** Applied operations of each kind. */
  applied(): ReadonlyMap<Operation['kind'], number> {
    return new Map([...this.#counts].map(([kind, words]) => [kind, words.get('applied') ?? 0]));
  }

  /** All counts, by `kind outcome`. */
  snapshot(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.counts().map(({ kind, outcome, count }) => [`${kind} ${outcome}`, count]));
  }
}
