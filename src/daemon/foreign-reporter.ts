import type { Logger } from '../base/log.js';
import type { VirtualServerKey } from '../model/virtual-server.js';
import type { Contested } from '../plan/contested.js';

/** Logs each foreign virtual server once; to be called after each sync. */
export const foreignReporter = (contested: Pick<Contested, 'others' | 'at'>, log: Logger): (() => void) => {
  const reported = new Set<VirtualServerKey>();
  return () => {
    for (const key of contested.others()) {
      if (reported.has(key) || contested.at(key) !== undefined) continue;
      reported.add(key);
      log.info({ virtualServer: key }, 'a virtual server that is not ours is left alone');
    }
  };
};
