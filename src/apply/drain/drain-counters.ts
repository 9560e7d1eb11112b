import type { Protocol } from '../../base/protocol.js';
import {
  protocolOfKey,
  virtualServerKey,
  type RealServerKey,
  type VirtualServerKey,
} from '../../model/virtual-server.js';
import type { DrainingServers, DrainStep, PurgedServer } from '../../plan/drain/drain-step.js';

/**
 * How a drain ends: idle, purged for the given reason, or withdrawn because the real server is desired again
 * or its virtual server was deleted.
 */
export type DrainEnd = 'idle' | PurgedServer['reason'] | 'withdrawn';

/** A drain that began or ended. */
export interface DrainEvent {
  readonly of: VirtualServerKey;
  readonly realServer: RealServerKey;
  /** Undefined: it began. */
  readonly end: { readonly reason: DrainEnd; readonly milliseconds: number } | undefined;
}

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

/**
 * The drains that began or ended with a step, given the real servers that were draining before it. A real server
 * that is idle at its first check begins and ends its drain in the same step. `now` is a time of the drains' clock.
 */
function* drainEvents(
  drainingBefore: (key: VirtualServerKey) => DrainingServers,
  { delete: deletions, purged, stillDraining }: DrainStep,
  now = 0,
): Iterable<DrainEvent> {
  const reasons = new Map(
    purged.map(({ of, realServer, reason }) => [`${virtualServerKey(of)} ${realServer}`, reason]),
  );
  const deleted = new Set<string>();
  for (const operation of deletions) {
    if (operation.kind !== 'delete-real-server') continue;
    const of = virtualServerKey(operation.of);
    const realServer = operation.server.key;
    const name = `${of} ${realServer}`;
    deleted.add(name);
    const since = drainingBefore(of).get(realServer)?.since;
    if (since === undefined) yield { of, realServer, end: undefined };
    const milliseconds = Math.max(0, now - (since ?? now));
    yield { of, realServer, end: { reason: reasons.get(name) ?? 'idle', milliseconds } };
  }
  for (const [of, servers] of stillDraining) {
    const before = drainingBefore(of);
    for (const realServer of servers.keys())
      if (!before.has(realServer)) yield { of, realServer, end: undefined };
    for (const [realServer, { since }] of before)
      if (!servers.has(realServer) && !deleted.has(`${of} ${realServer}`))
        yield { of, realServer, end: { reason: 'withdrawn', milliseconds: Math.max(0, now - since) } };
  }
}

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

  /** Counts the drains that began or ended, and returns them. */
  recordStep(...step: Parameters<typeof drainEvents>): readonly DrainEvent[] {
    const events = [...drainEvents(...step)];
    for (const { of, end } of events) {
      const counts = this.#of(of);
      if (end === undefined) counts.started += 1;
      else counts.ended[end.reason] += 1;
    }
    return events;
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
