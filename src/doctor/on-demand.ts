import type { Check } from './check.js';
import { checks, examine, type Outcome } from './checks.js';
import type { Facts, Sources } from './facts.js';

/** A check has asked for a part of the facts that nobody has looked at yet. */
class NotLookedAt extends Error {
  constructor(readonly part: keyof Facts) {
    super(`nobody has looked at ${part}`);
  }
}

/**
 * What these checks come to, in their order. A part of the facts is looked at when the first check asks for it, so that a check
 * alone costs no more than its own looks: the check, which is pure, is then made again.
 */
export const examineOnDemand = async (
  sources: Sources,
  chosen: readonly Check[] = checks,
): Promise<readonly Outcome[]> => {
  const known: Partial<Facts> = {};
  const facts = new Proxy(known, {
    get: (target, part: keyof Facts) => {
      if (!(part in target)) throw new NotLookedAt(part);
      return target[part];
    },
  }) as Facts;
  const outcomes: Outcome[] = [];
  while (outcomes.length < chosen.length)
    try {
      outcomes.push(...examine(facts, chosen.slice(outcomes.length, outcomes.length + 1)));
    } catch (error) {
      if (!(error instanceof NotLookedAt)) throw error;
      Object.assign(known, { [error.part]: await sources[error.part]() });
    }
  return outcomes;
};
