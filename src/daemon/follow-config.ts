import type { ChangeableLogger } from '../base/log.js';
import type { Settings } from '../config/settings.js';
import { prepareKernelAgain, type KernelAccess } from './kernel-access.js';
import type { ChangeableSettings } from './live-settings.js';
import { setOomScore } from './oom-score.js';
import type { Proxy } from './proxy.js';
import { Reloader } from './reload.js';

export interface FollowConfigParts {
  readonly settings: ChangeableSettings;
  /** Reads flags and config files once more. */
  readonly loadAgain: () => Settings;
  readonly proxy: Proxy;
  readonly log: ChangeableLogger;
}

/** From now on a changed config file is put in force. */
export const followConfig = (
  kernel: KernelAccess,
  { settings, loadAgain, proxy, log }: FollowConfigParts,
): AsyncDisposable => {
  settings.onChange(({ verbosity, logFormat, oomScoreAdj }, before) => {
    // What was set on the metrics port stays where the file says nothing new.
    if (verbosity !== before.verbosity || logFormat !== before.logFormat)
      log.set({ verbosity, format: logFormat });
    if (oomScoreAdj !== before.oomScoreAdj) setOomScore(oomScoreAdj, log);
  });
  return new Reloader({
    settings,
    load: loadAgain,
    prepare: (next, before) => prepareKernelAgain(kernel, { next, before }, log),
    proxy,
    log,
  }).start();
};
