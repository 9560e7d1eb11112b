import type { VirtualServerIdentity } from '../../model/virtual-server.js';
import type { ObservedVirtualServer } from '../state/observed-server.js';

/** Takes turns among virtual servers: each call continues where the last one ended. */
export class Turns {
  #next = 0;

  /** `count` virtual servers per call. */
  constructor(private readonly count: number) {}

  /** The virtual servers that come next among those that have their turns; `servers` keep their order. */
  take(
    servers: Iterable<ObservedVirtualServer>,
    hasTurns: (server: ObservedVirtualServer) => boolean = () => true,
  ): readonly VirtualServerIdentity[] {
    const taken: VirtualServerIdentity[] = [];
    const fromStart: VirtualServerIdentity[] = [];
    let index = 0;
    for (const observed of servers) {
      if (!hasTurns(observed)) continue;
      const { server } = observed;
      if (index >= this.#next) taken.push(server.identity);
      else if (fromStart.length < this.count) fromStart.push(server.identity);
      index += 1;
      if (taken.length === this.count) break;
    }
    if (taken.length === 0) this.#next = fromStart.length;
    else this.#next += taken.length;
    return taken.length === 0 ? fromStart : taken;
  }
}
