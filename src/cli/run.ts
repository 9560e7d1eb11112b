import { keepYoungSpace } from '../base/young-space.js';
import type { Settings } from '../config/settings.js';

/** Runs the daemon; its code is loaded only here, so that no other command pays for it. `loadAgain` reads the same flags and files. Resolves to the exit status. */
export const run = async (settings: Settings, loadAgain: () => Settings): Promise<number> => {
  const { runDaemon } = await import('../daemon/main.js');
  keepYoungSpace();
  return runDaemon(settings, loadAgain);
};
