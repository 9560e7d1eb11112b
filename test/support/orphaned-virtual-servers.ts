import type { DesiredState } from '../../src/plan/desired-state.js';
import { OrphanedVirtualServers } from '../../src/plan/drain/orphaned-virtual-servers.js';

/** What lingers besides what Services want, as the daemon wires it; `interfaces`: addresses of other interfaces than kube-ipvs0. */
export const orphanedVirtualServersOver = (
  desired: DesiredState,
  interfaces: { has(address: string): boolean } = new Set<string>(),
): OrphanedVirtualServers =>
  new OrphanedVirtualServers({
    desired,
    formerVirtualServer: (key) => desired.formerEndpoints.virtualServer(key),
    isOnInterface: (address) => interfaces.has(address),
  });
