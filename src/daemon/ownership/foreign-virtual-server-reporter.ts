import { logSampled } from '../../base/log-sampled.js';
import type { Logger } from '../../base/log.js';
import type { VirtualServerKey } from '../../model/virtual-server.js';
import type { ForeignVirtualServers } from '../../plan/ownership/foreign-virtual-servers.js';

/** Logs each foreign virtual server once, of many at a time the first ones; to be called after each sync. */
export const foreignVirtualServerReporter = (
  foreignVirtualServers: Pick<ForeignVirtualServers, 'keys' | 'conflictAt'>,
  log: Logger,
): (() => void) => {
  let reported: ReadonlySet<VirtualServerKey> = new Set();
  return () => {
    const current = new Set<VirtualServerKey>();
    const added: object[] = [];
    for (const key of foreignVirtualServers.keys()) {
      const isKnown = reported.has(key);
      if (!isKnown && foreignVirtualServers.conflictAt(key) !== undefined) continue;
      current.add(key);
      if (!isKnown) added.push({ virtualServer: key });
    }
    // What has gone is news when it comes again.
    reported = current;
    logSampled(added, (fields) => log.info(fields, 'a virtual server that is not ours is left alone'));
  };
};
