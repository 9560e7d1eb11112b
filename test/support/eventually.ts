import { setTimeout as sleep } from 'node:timers/promises';
import { isTimeVirtual } from './virtual-clock.js';

/** Costs nothing where the event comes; long, as a busy machine takes seconds to load a program. */
const patience = 60_000;

/** Virtual time costs nothing, but each look does: the daemon follows a changed file within 200 ms. */
const [shortest, growth] = isTimeVirtual ? [200, 1] : [5, 0.5];
const longest = 5_000;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/**
 * Tries the check until it holds, and gives its value; the last try is at the end of the time. Then it fails with the check, whose
 * text says what was waited for, and with what the check saw last. The pauses grow with the time that was waited: many checks start
 * programs, which costs much in a guest. What is true for a moment only needs a shorter longest pause.
 */
export const eventually = async <T>(
  check: () => T | Promise<T>,
  milliseconds = patience,
  longestPause = longest,
): Promise<T> => {
  const began = performance.now();
  for (;;) {
    try {
      return await check();
    } catch (error) {
      const waited = performance.now() - began;
      if (waited >= milliseconds) {
        const seen = `waited ${waited.toFixed()} ms for ${String(check)}, and saw last:\n${messageOf(error)}`;
        throw new Error(seen, { cause: error });
      }
      await sleep(
        Math.max(1, Math.min(Math.max(shortest, waited * growth), longestPause, milliseconds - waited)),
      );
    }
  }
};

/** The same for a condition: waits until it is met, or fails with these words. */
export const until = (what: string, isMet: () => boolean, milliseconds = patience): Promise<void> =>
  eventually(() => {
    if (!isMet()) throw new Error(`not yet: ${what}`);
  }, milliseconds);

/** Looks every millisecond, for a moment that passes; in real time only, as in virtual time whatever runs ends first. */
export const momentOf = async (what: string, isReached: () => boolean): Promise<void> => {
  const began = performance.now();
  while (!isReached()) {
    if (performance.now() - began > 5 * patience) throw new Error(`the moment did not come: ${what}`);
    await sleep(1);
  }
};
