import type { Logger } from '../../base/log.js';
import { virtualServerKey } from '../../model/virtual-server.js';
import type { PurgedServer } from '../../plan/drain/drain-step.js';
import type { ServedFrontend } from '../../plan/stale-flows.js';
import { logSampled } from '../../base/log-sampled.js';
import { servedFrontends, type ServedFrontendSources } from './served-frontend.js';

/** The part of `StaleFlows` that is used here. */
export interface FlowCleaner {
  clean(frontends: readonly ServedFrontend[]): Promise<void>;
}

export interface ResetConnectionsParts extends ServedFrontendSources {
  readonly staleFlows: FlowCleaner;
  readonly log: Logger;
}

/**
 * Logs real servers that were deleted with open connections, and deletes the conntrack entries of their
 * flows. The kernel then treats the next packet of such a flow as new, finds no connection and resets it.
 */
export const resetConnections = async (
  purged: readonly PurgedServer[],
  parts: ResetConnectionsParts,
): Promise<void> => {
  if (purged.length === 0) return;
  const { staleFlows, log } = parts;
  const logEntries = purged.map(({ of, realServer, reason }) => ({
    virtualServer: virtualServerKey(of),
    realServer,
    reason,
  }));
  logSampled('draining-real-server-deleted', logEntries, (fields) =>
    log.info(fields, 'Draining real server deleted; its open connections are reset'),
  );
  const identities = new Map(purged.map(({ of }) => [virtualServerKey(of), of]));
  await staleFlows.clean([...identities.values()].flatMap((identity) => servedFrontends(identity, parts)));
};
