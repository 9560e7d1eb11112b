import { limitSemiSpaceGrowth, preferMemory } from '../base/v8-memory.js';
import type { Settings } from '../config/settings.js';

/** Runs the daemon; its code is loaded only here, so that no other command pays for it. `loadAgain` reads the same flags and files. Resolves to the exit status. */
export const startDaemon = async (settings: Settings, reloadSettings: () => Settings): Promise<number> => {
  preferMemory();
  const { runDaemon } = await import('../daemon/main.js');
  limitSemiSpaceGrowth();
  return runDaemon(settings, reloadSettings);
};
