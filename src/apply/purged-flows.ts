import type { Logger } from '../base/log.js';
import { virtualServerKey } from '../model/virtual-server.js';
import type { Purged } from '../plan/drain.js';
import type { ServedFrontend } from '../plan/stale-flows.js';
import { tellOfEach } from './news.js';
import type { Observed } from './observed.js';
import { servedFrontend } from './served-frontend.js';

/** What StaleFlows does. */
export interface FlowCleaner {
  clean(frontends: readonly ServedFrontend[]): Promise<void>;
}

export interface PurgedFlowsParts {
  readonly observed: Observed;
  readonly staleFlows: FlowCleaner;
  readonly log: Logger;
}

/**
 * Tells of real servers that were deleted with open connections and deletes the entries of their flows: the next packet of
 * such a flow is new to the kernel, which has no connection for it and resets it.
 */
export const resetClients = async (
  purged: readonly Purged[],
  { observed, staleFlows, log }: PurgedFlowsParts,
): Promise<void> => {
  if (purged.length === 0) return;
  const news = purged.map(({ of, realServer, reason }) => ({
    virtualServer: virtualServerKey(of),
    realServer,
    reason,
  }));
  tellOfEach(news, (fields) =>
    log.info(fields, 'a real server was deleted while it drained; its open connections are reset'),
  );
  const identities = new Map(purged.map(({ of }) => [virtualServerKey(of), of]));
  await staleFlows.clean([...identities.values()].map((identity) => servedFrontend(identity, observed)));
};
