import type { Desired } from '../../src/plan/desired.js';
import { Lingering } from '../../src/plan/lingering.js';

/** What lingers besides what Services want, as the daemon wires it; `interfaces`: addresses of other interfaces than kube-ipvs0. */
export const lingeringOver = (
  desired: Desired,
  interfaces: { has(address: string): boolean } = new Set<string>(),
): Lingering =>
  new Lingering({
    wanted: desired,
    former: (key) => desired.formerEndpoints.virtualServer(key),
    isOnInterface: (address) => interfaces.has(address),
  });
