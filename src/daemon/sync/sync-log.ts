import type { ReconcileReport } from '../../apply/phase-runner.js';
import type { Logger } from '../../base/log.js';
import type { FailureLog } from './failure-state.js';

export const syncFailureLog = (log: Logger): FailureLog => ({
  failed: (error) => log.error({ event: 'sync-failed', error }, 'Sync failed; retrying'),
  recovered: () => log.info({ event: 'sync-recovered' }, 'Sync succeeded after failures'),
});

export const addressReadFailureLog = (log: Logger): FailureLog => ({
  failed: (error) =>
    log.error({ event: 'address-read-failed', error }, 'Reading links and addresses failed; retrying'),
  recovered: () => log.info({ event: 'address-read-recovered' }, 'Links and addresses read after failures'),
});

const finishedMessages = {
  synced: 'Sync finished',
  repaired: 'Kernel state repaired',
  retried: 'Refused operations retried',
  drained: 'Draining real servers checked',
  paced: 'Weights of real servers changed',
} as const;

/** What a reconciliation was for. */
export type FinishedEvent = keyof typeof finishedMessages;

/** A finished reconciliation; nothing is logged if it changed nothing and the kernel refused nothing. */
export const logFinished = (
  log: Logger,
  event: FinishedEvent,
  report: ReconcileReport,
  { started, level }: { readonly started: number; readonly level: 'debug' | 'info' },
): void => {
  const tookMs = Math.round((performance.now() - started) * 10) / 10;
  if (report.applied + report.failed > 0) log[level]({ event, ...report, tookMs }, finishedMessages[event]);
};
