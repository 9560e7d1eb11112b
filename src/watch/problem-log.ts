import type { Logger } from '../base/log.js';
import { StateLog } from '../base/state-log.js';
import { shorten } from '../base/text.js';

/** At most so many problems are logged of one object. At most so many objects are remembered: a forgotten one may be logged again. */
const limits = { problems: 20, objects: 10_000 } as const;

/** Logs the problems of an object when they change, and once when they are resolved. */
export class ProblemLog {
  readonly #problems = new StateLog(limits.objects);

  constructor(private readonly logger: Logger) {}

  /** `object` names it for people, as `services default/web`. */
  report(object: string, problems: readonly string[]): void {
    if (problems.length === 0)
      return this.#problems.end(object, () =>
        this.logger.info(
          { event: 'object-problems-resolved', object: shorten(object) },
          'Object problems resolved',
        ),
      );
    const shown = problems.slice(0, limits.problems).map((problem) => shorten(problem, 1_000));
    if (problems.length > shown.length) shown.push(`… and ${problems.length - shown.length} more`);
    this.#problems.begin(object, shown.join('\n'), () =>
      this.logger.warn(
        { event: 'object-problems-found', object: shorten(object), problems: shown },
        'Object has problems',
      ),
    );
  }
}
