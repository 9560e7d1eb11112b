import type { ConfigurableLogger } from '../../base/log.js';
import type { Settings } from '../../config/settings.js';
import { prepareKernelIfChanged, type KernelAccess } from '../kernel/kernel-access.js';
import type { ChangeableSettings } from './live-settings.js';
import { setOomScore } from '../set-oom-score.js';
import type { SyncLoop } from '../sync/sync-loop.js';
import { ConfigReloader } from './config-reloader.js';

export interface FollowConfigParts {
  readonly settings: ChangeableSettings;
  /** Reads flags and config files once more. */
  readonly reloadSettings: () => Settings;
  readonly syncLoop: SyncLoop;
  readonly log: ConfigurableLogger;
}

/** From now on a changed config file is put in force. */
export const followConfig = (
  kernel: KernelAccess,
  { settings, reloadSettings, syncLoop, log }: FollowConfigParts,
): AsyncDisposable => {
  settings.onChange(({ verbosity, logFormat, oomScoreAdj }, before) => {
    // What was set on the metrics port stays where the file says nothing new.
    if (verbosity !== before.verbosity || logFormat !== before.logFormat)
      log.set({ verbosity, format: logFormat });
    if (oomScoreAdj !== before.oomScoreAdj) setOomScore(oomScoreAdj, log);
  });
  return new ConfigReloader({
    settings,
    loadSettings: reloadSettings,
    prepareKernel: (next, before) => prepareKernelIfChanged(kernel, { next, before }, log),
    syncLoop,
    log,
  }).start();
};
