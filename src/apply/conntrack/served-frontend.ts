import {
  virtualServerKey,
  type RealServerKey,
  type VirtualServerIdentity,
  type VirtualServerKey,
} from '../../model/virtual-server.js';
import type { InClusterFrontends } from '../../plan/in-cluster-frontends.js';
import type { ServedFrontend } from '../../plan/stale-flows.js';
import type { ObservedView } from '../../plan/operations/diff.js';

/** The observed state, and which frontends have a virtual server for requests from the cluster. */
export interface ServedFrontendSources {
  readonly observed: ObservedView;
  readonly inCluster: InClusterFrontends;
}

/**
 * A frontend with its current real servers, those of its virtual server for requests from the cluster included; none
 * if neither exists.
 */
export const servedFrontend = (
  identity: VirtualServerIdentity,
  { observed, inCluster }: ServedFrontendSources,
): ServedFrontend => {
  const keyed = (key: VirtualServerKey | undefined): Iterable<RealServerKey> =>
    (key && observed.virtualServer(key)?.realServers.keys()) ?? [];
  const key = virtualServerKey(identity);
  return { identity, realServers: new Set([...keyed(key), ...keyed(inCluster.inClusterServerOf(key))]) };
};

/** The frontends of a virtual server: itself, or those whose requests from the cluster it serves. */
export const servedFrontends = (
  identity: VirtualServerIdentity,
  sources: ServedFrontendSources,
): readonly ServedFrontend[] => {
  const identities =
    identity.by === 'address' ? [identity] : [...sources.inCluster.frontendsOf(virtualServerKey(identity))];
  return identities.map((each) => servedFrontend(each, sources));
};
