import type { Pace, Paces, PaceSettings } from '../../model/pace.js';
import type { DesiredVirtualServer, RealServer, RealServerKey } from '../../model/virtual-server.js';

/** The number of steps in which a weight climbs. */
export const climbSteps = 10;

/** The largest weight that ipvsadm accepts. */
const maximumWeight = 65_535;

/** The full weight of a real server: large enough for every step if weights climb. */
export const fullWeight = (weight: number, pace: PaceSettings | undefined): number =>
  pace === undefined || pace.slowStartMilliseconds === 0
    ? weight
    : Math.min(weight * climbSteps, maximumWeight);

/** The weight that the kernel is to have. */
export const effectiveWeight = (full: number, pace: Pace | undefined): number => {
  if (pace === undefined || full === 0) return full;
  return pace.kind === 'quarantined' ? 0 : Math.max(1, Math.round((full * pace.tenths) / climbSteps));
};

/** The virtual server with the effective weights of its real servers. */
export const withEffectiveWeights = (
  desired: DesiredVirtualServer,
  paces: Paces | undefined,
): DesiredVirtualServer => {
  if (paces === undefined || paces.size === 0) return desired;
  const realServers = new Map<RealServerKey, RealServer>();
  for (const [key, server] of desired.realServers) {
    const pace = paces.get(key);
    const weight = effectiveWeight(server.weight, pace);
    realServers.set(key, pace === undefined ? server : { ...server, weight });
  }
  return { ...desired, realServers };
};
