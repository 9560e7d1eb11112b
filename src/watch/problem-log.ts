import type { Logger } from '../base/log.js';

/** Tells once what is wrong with an object, however often it comes, and once when it has become right. */
export class ProblemLog {
  readonly #told = new Map<string, string>();

  constructor(private readonly logger: Logger) {}

  /** `object` names it for people, as `services default/web`; no problems: it is right. */
  report(object: string, problems: readonly string[]): void {
    const before = this.#told.get(object);
    if (problems.length === 0) {
      if (this.#told.delete(object))
        this.logger.info({ object }, 'nothing is wrong with this object any more');
      return;
    }
    const text = problems.join('\n');
    if (text === before) return;
    this.#told.set(object, text);
    this.logger.warn({ object, problems }, 'an object cannot be used as it is');
  }

  /** What is wrong now, by object. */
  current(): ReadonlyMap<string, string> {
    return this.#told;
  }
}
