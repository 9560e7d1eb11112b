import type { RealServerObservation } from '../../../model/virtual-server.js';
import type { ObservedVirtualServer } from '../../kernel/kernel-snapshot.js';

const sum = (entry: ObservedVirtualServer, of: (server: RealServerObservation) => number): number =>
  [...entry.realServers.values()].reduce((total, server) => total + of(server), 0);

/** Such as `2 active and 0 inactive connections, 17 since it was created`. */
export const countersText = (entry: ObservedVirtualServer): string => {
  const { statistics } = entry.server;
  const active = sum(entry, (server) => server.activeConnections);
  const inactive = sum(entry, (server) => server.inactiveConnections);
  return `${active} active and ${inactive} inactive connections${statistics === undefined ? '' : `, ${statistics.connections} since it was created`}`;
};
