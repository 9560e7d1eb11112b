import type { LogCount, LogEvent, LogRecord } from '../../admin-api/log-response.js';
import type { Instant } from '../../base/instant.js';
import type { ChangeCause } from '../../model/change-cause.js';
import type { Operation } from '../../model/operation.js';
import { planEntry } from '../../model/plan-entry.js';

type Sort = Omit<LogCount, 'count'>;

/** Counts changes that are not recorded singly. An operation costs two look-ups. */
export class ChangeSummary {
  readonly #operations = new Map<
    ChangeCause,
    Map<Operation['kind'], { readonly sort: Sort; count: number }>
  >();
  readonly #events = new Map<LogEvent, number>();
  #from: number | undefined;

  get isEmpty(): boolean {
    return this.#from === undefined;
  }

  countOperation(operation: Operation, cause: ChangeCause, clocks: () => Instant): void {
    this.#from ??= clocks().date;
    const ofCause = this.#operations.get(cause) ?? new Map();
    this.#operations.set(cause, ofCause);
    const known = ofCause.get(operation.kind);
    if (known !== undefined) known.count += 1;
    else {
      const { op, kind } = planEntry(operation);
      ofCause.set(operation.kind, { sort: { event: 'changed', op, kind, cause }, count: 1 });
    }
  }

  /** Counts a record of another sort; `at` is milliseconds since 1970. */
  count(event: LogEvent, at: number): void {
    this.#from ??= at;
    this.#events.set(event, (this.#events.get(event) ?? 0) + 1);
  }

  /** The summary of what was counted since the last one. */
  take(): Omit<LogRecord, 'id' | 'at'> {
    const counts: LogCount[] = [...this.#operations.values()].flatMap((ofCause) =>
      [...ofCause.values()].map(({ sort, count }) => ({ ...sort, count })),
    );
    for (const [event, count] of this.#events) counts.push({ event, count });
    const from = new Date(this.#from ?? 0).toISOString();
    this.#operations.clear();
    this.#events.clear();
    this.#from = undefined;
    return {
      event: 'summary',
      from,
      count: counts.reduce((sum, { count }) => sum + count, 0),
      counts: counts.toSorted((a, b) => b.count - a.count),
    };
  }
}
