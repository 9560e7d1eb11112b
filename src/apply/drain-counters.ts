import { virtualServerKey, type RealServerKey, type VirtualServerKey } from '../model/virtual-server.js';
import type { Draining, DrainStep, Purged } from '../plan/drain.js';

/** How a drain ends: without connections, by what purged it, or because the real server is wanted again or its virtual server went. */
export type DrainEnd = 'idle' | Purged['reason'] | 'withdrawn';

const has = (draining: Draining, of: VirtualServerKey, realServer: RealServerKey): boolean =>
  draining.get(of)?.has(realServer) === true;

/** Counts drains as they begin and end. */
export class DrainCounters {
  #started = 0;
  readonly #ended: Record<DrainEnd, number> = {
    idle: 0,
    dead: 0,
    'node-gone': 0,
    deadline: 0,
    withdrawn: 0,
  };

  get started(): number {
    return this.#started;
  }

  get ended(): Readonly<Record<DrainEnd, number>> {
    return this.#ended;
  }

  /** Takes in one look at what drained before it. */
  note(before: Draining, { delete: deletions, purged, keep }: DrainStep): void {
    for (const [of, servers] of keep)
      for (const realServer of servers.keys()) if (!has(before, of, realServer)) this.#started += 1;
    let left = 0;
    for (const [of, servers] of before)
      for (const realServer of servers.keys()) if (!has(keep, of, realServer)) left += 1;
    for (const operation of deletions) {
      if (operation.kind !== 'delete-real-server') continue;
      // What has no connections at the first look drained for no time.
      if (has(before, virtualServerKey(operation.of), operation.server.key)) left -= 1;
      else this.#started += 1;
    }
    for (const { reason } of purged) this.#ended[reason] += 1;
    this.#ended.idle += deletions.length - purged.length;
    this.#ended.withdrawn += left;
  }
}
