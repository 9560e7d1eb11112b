import { readFileSync } from 'node:fs';
import { scheduler } from 'node:timers/promises';

/** Whether the clock moves only while nothing computes. */
export const isTimeVirtual = readFileSync('/proc/cmdline', 'utf8').includes('time-travel=inf-cpu');

/**
 * Lets time pass in a guest with virtual time. Its clock moves only when no process there has anything to do, so that afterwards all
 * that was to happen within this time has happened, however busy the machine is. In real time that would be a guess, hence an error.
 */
export const elapse = async (milliseconds: number): Promise<void> => {
  if (!isTimeVirtual) throw new Error('only in virtual time: run this test by scripts/run-tests.mjs');
  // Unlike setTimeout this goes on where a test holds the timers.
  await scheduler.wait(Math.max(0, milliseconds));
};

/** Time in which a guest comes to rest after a step, where nothing is waited for but that which the step began. */
export const settle = (): Promise<void> => elapse(500);
