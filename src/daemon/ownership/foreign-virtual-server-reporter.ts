import { logSampled } from '../../base/log-sampled.js';
import type { Logger } from '../../base/log.js';
import { StateLog } from '../../base/state-log.js';
import type { VirtualServerKey } from '../../model/virtual-server.js';
import type { ForeignVirtualServers } from '../../plan/ownership/foreign-virtual-servers.js';

/** Logs each foreign virtual server that no Service asks for once, of many at a time the first ones. Runs after each sync. */
export const foreignVirtualServerReporter = (
  foreignVirtualServers: Pick<ForeignVirtualServers, 'keys' | 'conflictAt'>,
  log: Logger,
): (() => void) => {
  const foreign = new StateLog<VirtualServerKey>();
  return () => {
    const current = new Set(foreignVirtualServers.keys());
    foreign.endOthers(current);
    const added: object[] = [];
    // Conflicts have their own reporter.
    for (const key of current)
      if (foreign.has(key) || foreignVirtualServers.conflictAt(key) === undefined)
        foreign.begin(key, '', () => added.push({ virtualServer: key }));
    logSampled(added, (fields) =>
      log.info(
        { event: 'foreign-virtual-server-found', ...fields },
        'Virtual server of another program found; not changed',
      ),
    );
  };
};
