import type { ElementKey } from '../../nftables/declarations.js';
import type { Operation } from '../../model/operation.js';
import type { VirtualServerKey } from '../../model/virtual-server.js';
import { dirtyKeys, union, type DirtyKeys, type DesiredView } from '../../plan/operations/diff.js';
import { virtualServerOf } from '../../plan/packet-rules/packet-elements.js';
import { isPacketClass } from '../../plan/packet-rules/packet-table.js';
import type { ObservedState } from '../mirror/observed-state.js';

/**
 * Elements by which a virtual server is known as ours: they stay for as long as the kernel has it, also where it refuses to delete
 * it. Without them the next process would take it for somebody else's.
 */
export class OwnershipMarkers {
  /** Those that are to go with their virtual servers. */
  readonly #deferred = new Map<ElementKey, VirtualServerKey>();

  constructor(private readonly parts: { readonly desired: DesiredView; readonly observed: ObservedState }) {}

  /** The keys with those of elements whose virtual servers are among them, or gone. */
  expandDirtyKeys(dirty: DirtyKeys): DirtyKeys {
    const elements = new Set<ElementKey>();
    for (const [element, of] of this.#deferred) {
      if (!dirty.virtualServers.has(of) && this.parts.observed.virtualServer(of) !== undefined) continue;
      elements.add(element);
      this.#deferred.delete(element);
    }
    return elements.size === 0 ? dirty : union(dirty, dirtyKeys({ elements }));
  }

  /** Whether the operation is to wait, as it takes the name of a virtual server that is still there. */
  mustWait(operation: Operation): boolean {
    if (operation.kind !== 'delete-element' || !isPacketClass(operation.element.set)) return false;
    const { desired, observed } = this.parts;
    const of = virtualServerOf(operation.element);
    if (
      of === undefined ||
      observed.virtualServer(of) === undefined ||
      desired.virtualServer(of) !== undefined
    )
      return false;
    this.#deferred.set(operation.element.key, of);
    return true;
  }
}
