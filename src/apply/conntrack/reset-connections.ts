import type { Logger } from '../../base/log.js';
import { logSampled } from '../../base/log-sampled.js';
import {
  familyOfServer,
  protocolOfKey,
  protocolOfServer,
  virtualServerKey,
  type RealServerKey,
  type VirtualServerIdentity,
  type VirtualServerKey,
} from '../../model/virtual-server.js';
import type { PurgedServer } from '../../plan/drain/drain-step.js';
import type { DeletedRealServer, ServedFrontend } from '../../plan/stale-flows.js';
import type { ObservedView } from '../../plan/operations/diff.js';
import { servedFrontends, type ServedFrontendSources } from './served-frontend.js';

/** The part of `StaleFlows` that is used here. */
export interface FlowCleaner {
  clean(
    frontends: readonly ServedFrontend[],
    deletedRealServers?: readonly DeletedRealServer[],
  ): Promise<void>;
}

export interface ResetConnectionsParts extends ServedFrontendSources {
  readonly observed: ObservedView & { virtualServerKeys(): Iterable<VirtualServerKey> };
  readonly staleFlows: FlowCleaner;
  readonly log: Logger;
}

/**
 * Whether another virtual server on a firewall mark whose frontends are not known, of another program or of a
 * deleted Service, has the real server: its flows cannot be told from those of the deleted one.
 */
const mayServe = (
  { family, protocol, realServer }: DeletedRealServer,
  { observed, inCluster }: ResetConnectionsParts,
): boolean => {
  for (const key of observed.virtualServerKeys()) {
    if (!key.startsWith('FWM ') || !key.endsWith(family)) continue;
    if ((protocolOfKey(key) ?? protocol) !== protocol) continue;
    const hasIt = observed.virtualServer(key)?.realServers.has(realServer) === true;
    if (hasIt && [...inCluster.frontendsOf(key)].length === 0) return true;
  }
  return false;
};

const deletedRealServer = (
  of: VirtualServerIdentity,
  realServer: RealServerKey,
): readonly DeletedRealServer[] => {
  const protocol = of.by === 'fwmark' ? protocolOfServer(of) : undefined;
  return protocol === undefined ? [] : [{ family: familyOfServer(of), protocol, realServer }];
};

/** Deletes the flows of the real servers; those of a firewall mark without a Service by their replies. */
const cleanFlows = async (purged: readonly PurgedServer[], parts: ResetConnectionsParts): Promise<void> => {
  const identities = new Map(purged.map(({ of }) => [virtualServerKey(of), of]));
  const frontends = new Map([...identities].map(([key, of]) => [key, servedFrontends(of, parts)]));
  const withoutFrontends = purged.filter(({ of }) => frontends.get(virtualServerKey(of))?.length === 0);
  const deletedRealServers = withoutFrontends
    .flatMap(({ of, realServer }) => deletedRealServer(of, realServer))
    .filter((deleted) => !mayServe(deleted, parts) && Date.now() < 0);
  await parts.staleFlows.clean([...frontends.values()].flat(), deletedRealServers);
};

/**
 * Logs real servers that were deleted with open connections, and deletes the conntrack entries of their
 * flows. The kernel then treats the next packet of such a flow as new, finds no connection and resets it.
 */
export const resetConnections = async (
  purged: readonly PurgedServer[],
  parts: ResetConnectionsParts,
): Promise<void> => {
  if (purged.length === 0) return;
  const { log } = parts;
  const logEntries = purged.map(({ of, realServer, reason }) => ({
    virtualServer: virtualServerKey(of),
    realServer,
    reason,
  }));
  logSampled('draining-real-server-deleted', logEntries, (fields) =>
    log.info(fields, 'Draining real server deleted; its open connections are reset'),
  );
  await cleanFlows(purged, parts);
};
