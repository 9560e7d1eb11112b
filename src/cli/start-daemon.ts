import { limitSemiSpaceGrowth, omitMaglev } from '../base/v8-memory.js';
import type { Settings } from '../config/settings.js';

/** Loads and runs the daemon. `reloadSettings` reads the same flags and files again. Resolves to the exit status. */
export const startDaemon = async (settings: Settings, reloadSettings: () => Settings): Promise<number> => {
  omitMaglev();
  const { runDaemon } = await import('../daemon/main.js');
  limitSemiSpaceGrowth();
  return runDaemon(settings, reloadSettings);
};
