import { dirtyKeys, isEmpty, type DirtyKeys } from '../plan/operations/diff.js';
import { isInCluster, isLate, type Urgency } from '../plan/operations/phases.js';

/**
 * Virtual servers or addresses per slice. Small slices keep temporary objects out of the old generation of
 * the heap.
 */
const sliceSize = 512;

/** Packet-rule elements per slice, which is one transaction. */
const elementSliceSize = 4096;

const filtered = <Key>(keys: ReadonlySet<Key>, isKept: (key: Key) => boolean): readonly Key[] => {
  const kept: Key[] = [];
  for (const key of keys) if (isKept(key)) kept.push(key);
  return kept;
};

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
    virtualServers: new Set(filtered(virtualServers, (key) => urgency.virtualServer(key))),
    addresses: new Set(filtered(addresses, (address) => urgency.address(address))),
    elements: new Set(filtered(elements, (key) => urgency.element(key))),
  };
  for (const chunk of chunks(filtered(elements, isInCluster), elementSliceSize))
    yield { ...dirtyKeys({ elements: chunk }), removesElements: true };
  if (!isEmpty(urgent)) yield { ...urgent, removesElements: false };
  const rules = filtered(elements, (key) => !urgent.elements.has(key) && !isLate(key));
  for (const chunk of chunks(rules, elementSliceSize))
    yield { ...dirtyKeys({ elements: chunk }), removesElements: false };
  const otherServers = filtered(virtualServers, (key) => !urgent.virtualServers.has(key));
  for (const chunk of chunks(otherServers, sliceSize))
    yield { ...dirtyKeys({ virtualServers: chunk }), removesElements: false };
  const otherAddresses = filtered(addresses, (address) => !urgent.addresses.has(address));
  for (const chunk of chunks(otherAddresses, sliceSize))
    yield { ...dirtyKeys({ addresses: chunk }), removesElements: false };
  const late = filtered(elements, (key) => !urgent.elements.has(key) && isLate(key));
  for (const chunk of chunks(late, elementSliceSize))
    yield { ...dirtyKeys({ elements: chunk }), removesElements: false };
  for (const chunk of chunks([...elements], elementSliceSize))
    yield { ...dirtyKeys({ elements: chunk }), removesElements: true };
}
