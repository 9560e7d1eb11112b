import { families, type Family } from '../../base/ip.js';
import type { DeferrableOutcome, ElementOperation } from '../../model/operation.js';
import type { ElementKey, SetElement } from '../../nftables/declarations.js';
import { isInKernel, nextElementStatus, type ElementEvent, type ElementStatus } from './element-status.js';

interface Entry {
  readonly element: SetElement;
  readonly status: Exclude<ElementStatus, 'absent'>;
}

const events = {
  'add-element': { applied: 'added', deferred: 'addition-deferred' },
  'delete-element': { applied: 'removed', deferred: 'removal-deferred' },
} as const;

const eventOf = (kind: ElementOperation['kind'], { status }: DeferrableOutcome): ElementEvent =>
  status === 'applied' || status === 'deferred' ? events[kind][status] : 'refused';

/** The elements of the kube-ipvs nftables tables and their status. An absent element has no entry. */
export class ElementEntries {
  readonly #entries = new Map<ElementKey, Entry>();
  #presentCount = 0;

  /** The element, if the kernel has it. */
  get(key: ElementKey): SetElement | undefined {
    const entry = this.#entries.get(key);
    return entry !== undefined && isInKernel(entry.status) ? entry.element : undefined;
  }

  *present(): Iterable<SetElement> {
    for (const { element, status } of this.#entries.values()) if (isInKernel(status)) yield element;
  }

  /** The number of elements in the kernel. */
  get size(): number {
    return this.#presentCount;
  }

  record({ kind, element }: ElementOperation, outcome: DeferrableOutcome): void {
    this.#apply(element, eventOf(kind, outcome));
  }

  /**
   * Records all elements of these families. Returns the keys of those that changed and those whose operation
   * was deferred.
   */
  read(elements: Iterable<SetElement>, readFamilies: readonly Family[] = families): ReadonlySet<ElementKey> {
    const found = new Map([...elements].map((element) => [element.key, element]));
    const changed = new Set<ElementKey>();
    for (const { element, status } of this.#entries.values()) {
      if (!readFamilies.includes(element.family)) continue;
      if (status !== 'present' || !found.has(element.key)) changed.add(element.key);
      if (!found.has(element.key)) this.#apply(element, 'read-absent');
    }
    for (const element of found.values()) {
      if (this.get(element.key) === undefined) changed.add(element.key);
      this.#apply(element, 'read-present');
    }
    return changed;
  }

  #apply(element: SetElement, event: ElementEvent): void {
    const before = this.#entries.get(element.key)?.status ?? 'absent';
    const status = nextElementStatus(before, event);
    this.#presentCount += Number(isInKernel(status)) - Number(isInKernel(before));
    if (status === 'absent') this.#entries.delete(element.key);
    else this.#entries.set(element.key, { element, status });
  }
}
