import type { Logger } from '../base/log.js';
import { shorten } from '../base/text.js';

/** At most so many problems are logged of one object. At most so many objects are remembered: a forgotten one may be logged again. */
const limits = { problems: 20, objects: 10_000 } as const;

/** Logs the problems of an object when they change, and once when they are resolved. */
export class ProblemLog {
  readonly #reported = new Map<string, string>();

  constructor(private readonly logger: Logger) {}

  /** `object` names it for people, as `services default/web`. */
  report(object: string, problems: readonly string[]): void {
    const before = this.#reported.get(object);
    if (problems.length === 0) {
      if (this.#reported.delete(object))
        this.logger.info(
          { event: 'object-problems-resolved', object: shorten(object) },
          'Object problems resolved',
        );
      return;
    }
    const shown = problems.slice(0, limits.problems).map((problem) => shorten(problem, 1_000));
    if (problems.length > shown.length) shown.push(`… and ${problems.length - shown.length} more`);
    const text = shown.join('\n');
    if (text === before) return;
    const [oldest] = this.#reported.keys();
    if (this.#reported.size >= limits.objects && oldest !== undefined) this.#reported.delete(oldest);
    this.#reported.set(object, text);
    this.logger.warn(
      { event: 'object-problems-found', object: shorten(object), problems: shown },
      'Object has problems',
    );
  }
}
