import type { ElementKey } from '../model/nftables.js';
import type { Operation } from '../model/operation.js';
import type { VirtualServerKey } from '../model/virtual-server.js';
import { touch, union, type Touched, type Wanted } from '../plan/diff.js';
import { virtualServerOf } from '../plan/packet-elements.js';
import { isPacketClass } from '../plan/packet-table.js';
import type { Observed } from './observed.js';

/**
 * Elements by which a virtual server is known as ours: they stay for as long as the kernel has it, also where it refuses to delete
 * it. Without them the next process would take it for somebody else's.
 */
export class NamingElements {
  /** Those that are to go with their virtual servers. */
  readonly #waiting = new Map<ElementKey, VirtualServerKey>();

  constructor(private readonly parts: { readonly wanted: Wanted; readonly observed: Observed }) {}

  /** The keys with those of elements whose virtual servers are among them, or gone. */
  settle(touched: Touched): Touched {
    const elements = new Set<ElementKey>();
    for (const [element, of] of this.#waiting) {
      if (!touched.virtualServers.has(of) && this.parts.observed.virtualServer(of) !== undefined) continue;
      elements.add(element);
      this.#waiting.delete(element);
    }
    return elements.size === 0 ? touched : union(touched, touch({ elements }));
  }

  /** Whether the operation is to wait, as it takes the name of a virtual server that is still there. */
  holdsBack(operation: Operation): boolean {
    if (operation.kind !== 'delete-element' || !isPacketClass(operation.element.set)) return false;
    const { wanted, observed } = this.parts;
    const of = virtualServerOf(operation.element);
    if (
      of === undefined ||
      observed.virtualServer(of) === undefined ||
      wanted.virtualServer(of) !== undefined
    )
      return false;
    this.#waiting.set(operation.element.key, of);
    return true;
  }
}
