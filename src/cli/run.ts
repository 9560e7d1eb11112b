import { setFlagsFromString } from 'node:v8';
import type { Settings } from '../config/settings.js';

/** Runs the daemon; its code is loaded only here, so that no other command pays for it. Resolves to the exit status. */
export const run = async (settings: Settings): Promise<number> => {
  // The space for young objects stays as small as it begins. A flood of objects to parse would let it grow to 16 MB and more,
  // which the process never gives back: a third of its memory for no speed. --max-semi-space-size would act only on node's
  // command line, which is not ours.
  setFlagsFromString('--semi-space-growth-factor=1');
  const { runDaemon } = await import('../daemon/main.js');
  return runDaemon(settings);
};
