import { BaseError } from '../../base/errors.js';
import { formatDuration } from '../../base/duration.js';
import { formatCount } from '../../base/text.js';
import { abbreviatedList } from '../../doctor/check-result.js';
import type { MigrationNode } from './migration.js';
import type { NodeState } from './node-state.js';
import type { Probe } from './probe.js';

/** A step did not succeed; the message says why. */
export class StepFailedError extends BaseError {}

const pollInterval = 200;

interface Wait {
  readonly missing: (state: NodeState) => string | undefined;
  readonly timeout: number;
  readonly signal: AbortSignal;
}

/** Waits until nothing is missing. Rejects with a StepFailedError after the timeout, and when the signal is aborted. */
export const waitForState = async (
  { state, delay }: Pick<MigrationNode, 'state' | 'delay'>,
  { missing, timeout, signal }: Wait,
): Promise<NodeState> => {
  for (let waited = 0; ; waited += pollInterval) {
    const now = await state();
    const text = missing(now);
    if (text === undefined) return now;
    if (waited >= timeout) throw new StepFailedError(`waited ${formatDuration(timeout)} for ${text}`);
    await delay(pollInterval, signal);
  }
};

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

/** Requests of a probe so far. */
export interface Requests {
  readonly requests: number;
  readonly failed: number;
}

export const requestsOf = ({ counts }: Pick<Probe, 'counts'>): Requests => ({
  requests: sum(counts.map(({ requests }) => requests)),
  failed: sum(counts.map(({ failed }) => failed)),
});

/** `2 requests failed`. */
export const failedText = (probe: Pick<Probe, 'counts'>): string =>
  `${formatCount(requestsOf(probe).failed, 'request')} failed`;

/** The targets of a probe, for the report. */
export const targetsText = ({ counts }: Pick<Probe, 'counts'>): string =>
  counts.length === 0 ? 'no target answers' : abbreviatedList(counts.map(({ target }) => target));

/** Lets the probe go on; resolves to what it counted meanwhile: `0 of 600 requests failed`. */
export const watchRequests = async (
  { delay }: Pick<MigrationNode, 'delay'>,
  probe: Probe,
  { milliseconds, signal }: { readonly milliseconds: number; readonly signal: AbortSignal },
): Promise<string> => {
  const before = requestsOf(probe);
  await delay(milliseconds, signal);
  const after = requestsOf(probe);
  return `${after.failed - before.failed} of ${formatCount(after.requests - before.requests, 'request')} failed in ${formatDuration(milliseconds)}`;
};
