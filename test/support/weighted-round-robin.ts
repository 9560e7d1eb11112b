import type { RealServer } from '../../src/model/virtual-server.js';

const greatestCommonDivisor = (a: number, b: number): number =>
  b === 0 ? a : greatestCommonDivisor(b, a % b);

/**
 * The real servers that new connections get, as wrr and rr choose them (ip_vs_wrr_schedule in net/netfilter/ipvs/ip_vs_wrr.c): in
 * each round those whose weight reaches a level that sinks from the largest weight to their greatest common divisor.
 */
export function* weightedRoundRobin<Server extends Pick<RealServer, 'weight'>>(
  servers: readonly Server[],
): Generator<Server, never> {
  const weights = servers.map(({ weight }) => weight);
  const step = weights.reduce(greatestCommonDivisor, 0);
  const largest = Math.max(...weights);
  if (step === 0) throw new Error('no real server takes connections');
  for (;;)
    for (let level = largest; level > 0; level -= step)
      for (const server of servers) if (server.weight >= level) yield server;
}

/** Of so many new connections, how many each real server gets. */
export const connectionsOf = (
  servers: readonly Pick<RealServer, 'weight' | 'key'>[],
  connections: number,
): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>(servers.map(({ key }) => [key, 0]));
  const chosen = weightedRoundRobin(servers);
  for (let count = 0; count < connections; count += 1) {
    const { key } = chosen.next().value;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
};
