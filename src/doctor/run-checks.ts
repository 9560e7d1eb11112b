import type { Check } from './check.js';
import { checks, evaluateChecks, type CheckReport } from './all-checks.js';
import type { Facts, FactSources } from './facts.js';

/** A check has asked for a part of the facts that nobody has looked at yet. */
class FactNotCollectedError extends Error {
  constructor(readonly part: keyof Facts) {
    super(`nobody has looked at ${part}`);
  }
}

/**
 * What these checks come to, in their order. A part of the facts is looked at when the first check asks for it, so that a check
 * alone costs no more than its own looks: the check, which is pure, is then made again.
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
