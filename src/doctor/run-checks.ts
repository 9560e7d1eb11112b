import type { Check } from './check.js';
import { checks, evaluateChecks, type CheckReport } from './all-checks.js';
import type { Facts, FactSources } from './facts.js';

/** A check read a fact that is not collected yet. */
class FactNotCollectedError extends Error {
  constructor(readonly part: keyof Facts) {
    super(`${part} is not collected yet`);
  }
}

/**
 * The results of these checks, in their order. A fact is collected when the first check reads it, and the check, which is pure,
 * then runs again: a single check collects only its own facts.
 */
export const runChecks = async (
  sources: FactSources,
  selected: readonly Check[] = checks,
): Promise<readonly CheckReport[]> => {
  const collected: Partial<Facts> = {};
  const facts = new Proxy(collected, {
    get: (target, part: keyof Facts) => {
      if (!(part in target)) throw new FactNotCollectedError(part);
      return target[part];
    },
  }) as Facts;
  const reports: CheckReport[] = [];
  while (reports.length < selected.length)
    try {
      reports.push(...evaluateChecks(facts, selected.slice(reports.length, reports.length + 1)));
    } catch (error) {
      if (!(error instanceof FactNotCollectedError)) throw error;
      Object.assign(collected, { [error.part]: await sources[error.part]() });
    }
  return reports;
};
