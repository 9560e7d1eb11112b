import { printable } from '../../base/text.js';
import type { MigrationEnd, MigrationResult } from './migration.js';
import { remedyLines } from '../doctor/doctor-text.js';
import type { Probe } from './probe.js';
import { requestsOf } from './wait-for.js';

/** One step of a migration. */
export interface StepReport {
  readonly step: string;
  readonly text: string;
  /** Since the command started. */
  readonly seconds: number;
}

const stepWidth = 8;

/** `  3.2 s  switch  ran: systemctl …` */
export const stepText = ({ step, text, seconds }: StepReport): string =>
  `${seconds.toFixed(1).padStart(6)} s  ${step.padEnd(stepWidth)}${printable(text)}\n`;

const titles: Readonly<Record<MigrationResult, string>> = {
  unchanged: 'Not migrated: nothing was changed',
  migrated: 'Migrated: kube-ipvs serves this node',
  returned: 'Returned: kube-proxy serves this node',
  incomplete: 'Incomplete',
  'rolled-back': 'Not migrated: kube-proxy serves this node again',
  failed: 'Failed',
};

/** Of a probe when it has ended; undefined where it never started. */
export type Counts = Pick<Probe, 'counts' | 'failures'> | undefined;

/** The last lines: the result with its reason, the requests, and what to do. */
export const endText = ({ result, reason, remedies }: MigrationEnd, counts: Counts): string => {
  const total = counts === undefined ? undefined : requestsOf(counts);
  const slowest = Math.max(
    0,
    ...(counts?.counts ?? []).map(({ slowestMilliseconds }) => slowestMilliseconds),
  );
  return [
    '',
    titles[result],
    ...(reason === undefined ? [] : [`Reason: ${printable(reason)}`]),
    ...(total === undefined || total.requests === 0
      ? []
      : [`Requests: ${total.failed} of ${total.requests} failed, the slowest took ${slowest} ms`]),
    ...(counts?.failures ?? []).slice(0, 5).map((failure) => `  ${printable(failure)}`),
    ...remedyLines(remedies, 80),
    '',
  ].join('\n');
};

/** The whole report for programs. */
export const migrationJson = (
  steps: readonly StepReport[],
  { result, reason, remedies }: MigrationEnd,
  counts: Counts,
): object => ({
  result,
  ...(reason === undefined ? {} : { reason }),
  remedies,
  steps,
  requests: counts === undefined ? [] : counts.counts,
  failures: counts === undefined ? [] : counts.failures,
});
