import { messageOf } from '../base/errors.js';
import type { Logger } from '../base/log.js';

/** Logs a programming error with its stack. */
export const logProgrammingError = (error: unknown, log: Logger): void => {
  const stack = error instanceof Error ? error.stack : undefined;
  log.error({ event: 'programming-error', error: messageOf(error), stack }, 'Programming error; exiting');
};

/**
 * Ends the process with status 1 at an error that no code handles. The kernel goes on forwarding, and the kubelet restarts the
 * daemon, which adopts what is there.
 */
export const exitOnProgrammingError = (log: Logger): void => {
  process.on('uncaughtException', (error) => {
    logProgrammingError(error, log);
    process.exit(1);
  });
};
