import {
  virtualServerKey,
  type RealServerKey,
  type VirtualServerIdentity,
  type VirtualServerKey,
} from '../../model/virtual-server.js';
import type { MarkedFrontends } from '../../plan/marked-frontends.js';
import type { ServedFrontend } from '../../plan/stale-flows.js';
import type { ObservedView } from '../../plan/operations/diff.js';

/** The observed state, and which frontends have a virtual server on a firewall mark. */
export interface ServedFrontendSources {
  readonly observed: ObservedView;
  readonly marked: MarkedFrontends;
}

/**
 * A frontend with its current real servers, those of its virtual server on a firewall mark included; none if neither
 * exists.
 */
export const servedFrontend = (
  identity: VirtualServerIdentity,
  { observed, marked }: ServedFrontendSources,
): ServedFrontend => {
  const keyed = (key: VirtualServerKey | undefined): Iterable<RealServerKey> =>
    (key && observed.virtualServer(key)?.realServers.keys()) ?? [];
  const key = virtualServerKey(identity);
  return { identity, realServers: new Set([...keyed(key), ...keyed(marked.markedServerOf(key))]) };
};

/** The frontends of a virtual server: itself, or those whose requests have its firewall mark. */
export const servedFrontends = (
  identity: VirtualServerIdentity,
  sources: ServedFrontendSources,
): readonly ServedFrontend[] => {
  const identities =
    identity.by === 'address' ? [identity] : [...sources.marked.frontendsOf(virtualServerKey(identity))];
  return identities.map((each) => servedFrontend(each, sources));
};
