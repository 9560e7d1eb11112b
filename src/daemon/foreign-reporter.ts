import type { Logger } from '../base/log.js';
import { virtualServerKey, type VirtualServerIdentity } from '../model/virtual-server.js';

/** Logs each foreign virtual server once. */
export const foreignReporter = (log: Logger): ((identity: VirtualServerIdentity) => void) => {
  const reported = new Set<string>();
  return (identity) => {
    const key = virtualServerKey(identity);
    if (reported.has(key)) return;
    reported.add(key);
    log.info({ virtualServer: key }, 'a virtual server that is not ours is left alone');
  };
};
