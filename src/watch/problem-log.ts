import type { Logger } from '../base/log.js';
import { shorten } from '../base/text.js';

/** Of one object, so many are told; objects are remembered up to a number: whoever fills it is told of twice at worst. */
const limits = { problems: 20, objects: 10_000 } as const;

/** Tells once what is wrong with an object, however often it comes, and once when it has become right. */
export class ProblemLog {
  readonly #reported = new Map<string, string>();

  constructor(private readonly logger: Logger) {}

  /** `object` names it for people, as `services default/web`; no problems: it is right. */
  report(object: string, problems: readonly string[]): void {
    const before = this.#reported.get(object);
    if (problems.length === 0) {
      if (this.#reported.delete(object))
        this.logger.info({ object: shorten(object) }, 'nothing is wrong with this object any more');
      return;
    }
    const shown = problems.slice(0, limits.problems).map((problem) => shorten(problem, 1_000));
    if (problems.length > shown.length) shown.push(`… and ${problems.length - shown.length} more`);
    const text = shown.join('\n');
    if (text === before) return;
    const [oldest] = this.#reported.keys();
    if (this.#reported.size >= limits.objects && oldest !== undefined) this.#reported.delete(oldest);
    this.#reported.set(object, text);
    this.logger.warn({ object: shorten(object), problems: shown }, 'an object cannot be used as it is');
  }
}
