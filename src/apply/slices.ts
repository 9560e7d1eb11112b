import { dirtyKeys, type DirtyKeys } from '../plan/operations/diff.js';
import { isInCluster, isLate, type Urgency } from '../plan/operations/phases.js';

/**
 * Virtual servers or addresses per slice. Small slices keep temporary objects out of the old generation of
 * the heap.
 */
const sliceSize = 512;

/** Packet-rule elements per slice, which is one transaction. */
const elementSliceSize = 4096;

const without = <Key>(keys: ReadonlySet<Key>, others: ReadonlySet<Key>): readonly Key[] =>
  [...keys].filter((key) => !others.has(key));

function* chunks<Key>(all: readonly Key[], size: number): Iterable<ReadonlySet<Key>> {
  for (let start = 0; start < all.length; start += size) yield new Set(all.slice(start, start + size));
}

export interface Slice extends DirtyKeys {
  /** Whether the slice only deletes elements. Other slices delete none. */
  readonly removesElements: boolean;
}

/**
 * Yields the urgent keys first, then the packet rules, the virtual servers, the addresses with their VIP
 * protection, and the removal of elements last. Each object thus has its rules, and each address its virtual
 * servers, as long as it exists. Before all of them, requests from the cluster leave the virtual servers on
 * firewall marks that may drain.
 */
export function* slices(
  { virtualServers, addresses, elements }: DirtyKeys,
  urgency: Urgency,
): Iterable<Slice> {
  const urgent: DirtyKeys = {
    virtualServers: new Set([...virtualServers].filter((key) => urgency.virtualServer(key))),
    addresses: new Set([...addresses].filter((address) => urgency.address(address))),
    elements: new Set([...elements].filter((key) => urgency.element(key))),
  };
  for (const chunk of chunks([...elements].filter(isInCluster), elementSliceSize))
    yield { ...dirtyKeys({ elements: chunk }), removesElements: true };
  yield { ...urgent, removesElements: false };
  const otherElements = without(elements, urgent.elements);
  const rules = otherElements.filter((key) => !isLate(key));
  for (const chunk of chunks(rules, elementSliceSize))
    yield { ...dirtyKeys({ elements: chunk }), removesElements: false };
  for (const chunk of chunks(without(virtualServers, urgent.virtualServers), sliceSize))
    yield { ...dirtyKeys({ virtualServers: chunk }), removesElements: false };
  for (const chunk of chunks(without(addresses, urgent.addresses), sliceSize))
    yield { ...dirtyKeys({ addresses: chunk }), removesElements: false };
  for (const chunk of chunks(otherElements.filter(isLate), elementSliceSize))
    yield { ...dirtyKeys({ elements: chunk }), removesElements: false };
  for (const chunk of chunks([...elements], elementSliceSize))
    yield { ...dirtyKeys({ elements: chunk }), removesElements: true };
}
