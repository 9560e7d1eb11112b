import type { Logger } from '../base/log.js';
import { StateLog } from '../base/state-log.js';
import { shorten } from '../base/text.js';

/** Of one object, so many are told; objects are remembered up to a number: whoever fills it is told of twice at worst. */
const limits = { problems: 20, objects: 10_000 } as const;

/** Tells once what is wrong with an object, however often it comes, and once when it has become right. */
export class ProblemLog {
  readonly #problems = new StateLog(limits.objects);

  constructor(private readonly logger: Logger) {}

  /** `object` names it for people, as `services default/web`; no problems: it is right. */
  report(object: string, problems: readonly string[]): void {
    if (problems.length === 0)
      return this.#problems.end(object, () =>
        this.logger.info({ object: shorten(object) }, 'nothing is wrong with this object any more'),
      );
    const shown = problems.slice(0, limits.problems).map((problem) => shorten(problem, 1_000));
    if (problems.length > shown.length) shown.push(`… and ${problems.length - shown.length} more`);
    this.#problems.begin(object, shown.join('\n'), () =>
      this.logger.warn({ object: shorten(object), problems: shown }, 'an object cannot be used as it is'),
    );
  }
}
