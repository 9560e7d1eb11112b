import { virtualServerKey, type VirtualServerIdentity } from '../../model/virtual-server.js';
import type { ServedFrontend } from '../../plan/stale-flows.js';
import type { ObservedView } from '../../plan/operations/diff.js';

/** A virtual server with its current real servers; none if the virtual server does not exist. */
export const servedFrontend = (identity: VirtualServerIdentity, observed: ObservedView): ServedFrontend => ({
  identity,
  realServers: new Set(observed.virtualServer(virtualServerKey(identity))?.realServers.keys()),
});
