import type { ConfigurableLogger } from '../../base/log.js';
import type { Settings } from '../../config/settings.js';
import { prepareKernelIfChanged, type KernelAccess } from '../kernel/kernel-access.js';
import type { ChangeableSettings } from './live-settings.js';
import { setOomScore } from '../set-oom-score.js';
import type { SyncLoop } from '../sync/sync-loop.js';
import { ConfigReloader } from './config-reloader.js';

export interface FollowConfigParts {
  readonly settings: ChangeableSettings;
  /** Reads flags and configuration files again. */
  readonly reloadSettings: () => Settings;
  readonly syncLoop: SyncLoop;
  readonly log: ConfigurableLogger;
}

/** Applies configuration files as they change, until the result is disposed. */
export const followConfig = (
  kernel: KernelAccess,
  { settings, reloadSettings, syncLoop, log }: FollowConfigParts,
): AsyncDisposable => {
  settings.onChange(({ verbosity, logFormat, oomScoreAdj }, before) => {
    // A verbosity that was set through the metrics port stays until the file changes it.
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
