import type { Protocol } from '../../base/protocol.js';
import {
  protocolOfKey,
  virtualServerKey,
  type RealServerKey,
  type VirtualServerKey,
} from '../../model/virtual-server.js';
import type { Draining, DrainStep, PurgedServer } from '../../plan/drain/drain-step.js';

/** How a drain ends: without connections, by what purged it, or because the real server is wanted again or its virtual server went. */
export type DrainEnd = 'idle' | PurgedServer['reason'] | 'withdrawn';

/** Drains of one protocol. */
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

const isDraining = (draining: Draining, of: VirtualServerKey, realServer: RealServerKey): boolean =>
  draining.get(of)?.has(realServer) === true;

/** Counts drains as they begin and end. */
export class DrainCounters {
  readonly #counts: Readonly<Record<Protocol, MutableDrainCounts>> = {
    TCP: zeroCounts(),
    UDP: zeroCounts(),
    SCTP: zeroCounts(),
  };

  get counts(): Readonly<Record<Protocol, DrainCounts>> {
    return this.#counts;
  }

  /** Takes in one look at what drained before it. */
  recordStep(before: Draining, { delete: deletions, purged, stillDraining: keep }: DrainStep): void {
    for (const [of, servers] of keep)
      for (const realServer of servers.keys())
        if (!isDraining(before, of, realServer)) this.#of(of).started += 1;
    for (const [of, servers] of before)
      for (const realServer of servers.keys())
        if (!isDraining(keep, of, realServer)) this.#of(of).ended.withdrawn += 1;
    for (const operation of deletions) {
      if (operation.kind !== 'delete-real-server') continue;
      const of = virtualServerKey(operation.of);
      const counts = this.#of(of);
      counts.ended.idle += 1;
      // What has no connections at the first look drained for no time.
      if (isDraining(before, of, operation.server.key)) counts.ended.withdrawn -= 1;
      else counts.started += 1;
    }
    for (const { of, reason } of purged) {
      const { ended } = this.#of(virtualServerKey(of));
      ended[reason] += 1;
      ended.idle -= 1;
    }
  }

  /** What goes by mark does not drain. */
  #of(key: VirtualServerKey): MutableDrainCounts {
    return this.#counts[protocolOfKey(key) ?? 'TCP'];
  }
}

/** How many of the virtual servers, each counted as often as is said, have which protocol. */
export const countByProtocol = (
  counted: Iterable<readonly [VirtualServerKey, number]>,
): Readonly<Record<Protocol, number>> => {
  const counts = { TCP: 0, UDP: 0, SCTP: 0 };
  for (const [key, count] of counted) counts[protocolOfKey(key) ?? 'TCP'] += count;
  return counts;
};
