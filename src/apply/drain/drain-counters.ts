import type { Protocol } from '../../base/protocol.js';
import { protocolOfKey, virtualServerKey, type VirtualServerKey } from '../../model/virtual-server.js';
import type { DrainingServers, DrainStep, PurgedServer } from '../../plan/drain/drain-step.js';

/**
 * How a drain ends: idle, purged for the given reason, or withdrawn because the real server is desired again
 * or its virtual server was deleted.
 */
export type DrainEnd = 'idle' | PurgedServer['reason'] | 'withdrawn';

export interface DrainCounts {
  readonly started: number;
  readonly ended: Readonly<Record<DrainEnd, number>>;
}

interface MutableDrainCounts extends DrainCounts {
  started: number;
  readonly ended: Record<DrainEnd, number>;
}

const zeroCounts = (): MutableDrainCounts => ({
  started: 0,
  ended: { idle: 0, dead: 0, 'node-gone': 0, deadline: 0, withdrawn: 0 },
});

/** Counts the drains that started and ended. */
export class DrainCounters {
  readonly #counts: Readonly<Record<Protocol, MutableDrainCounts>> = {
    TCP: zeroCounts(),
    UDP: zeroCounts(),
    SCTP: zeroCounts(),
  };

  get counts(): Readonly<Record<Protocol, DrainCounts>> {
    return this.#counts;
  }

  /** Records one drain step, given the real servers that were draining before it. */
  recordStep(
    drainingBefore: (key: VirtualServerKey) => DrainingServers,
    { delete: deletions, purged, stillDraining }: DrainStep,
  ): void {
    for (const [of, servers] of stillDraining) {
      const before = drainingBefore(of);
      for (const realServer of servers.keys()) if (!before.has(realServer)) this.#of(of).started += 1;
      for (const realServer of before.keys()) if (!servers.has(realServer)) this.#of(of).ended.withdrawn += 1;
    }
    for (const operation of deletions) {
      if (operation.kind !== 'delete-real-server') continue;
      const of = virtualServerKey(operation.of);
      const counts = this.#of(of);
      counts.ended.idle += 1;
      // A real server that is idle at its first check starts and ends its drain in the same step.
      if (drainingBefore(of).has(operation.server.key)) counts.ended.withdrawn -= 1;
      else counts.started += 1;
    }
    for (const { of, reason } of purged) {
      const { ended } = this.#of(virtualServerKey(of));
      ended[reason] += 1;
      ended.idle -= 1;
    }
  }

  #of(key: VirtualServerKey): MutableDrainCounts {
    return this.#counts[protocolOfKey(key) ?? 'TCP'];
  }
}

/** Sums the counts of virtual servers by protocol. */
export const countByProtocol = (
  counted: Iterable<readonly [VirtualServerKey, number]>,
): Readonly<Record<Protocol, number>> => {
  const counts = { TCP: 0, UDP: 0, SCTP: 0 };
  for (const [key, count] of counted) counts[protocolOfKey(key) ?? 'TCP'] += count;
  return counts;
};
