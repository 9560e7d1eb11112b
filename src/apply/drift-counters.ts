import type { Operation } from '../model/operation.js';
import type { OperationCounters } from './operation-counters.js';

/** What somebody else may change in the kernel. */
export type DriftingObject = 'address' | 'virtual-server' | 'real-server' | 'packet-rule';

const objectOf: Readonly<Record<Operation['kind'], DriftingObject>> = {
  'add-virtual-server': 'virtual-server',
  'update-virtual-server': 'virtual-server',
  'delete-virtual-server': 'virtual-server',
  'add-real-server': 'real-server',
  'update-real-server': 'real-server',
  'delete-real-server': 'real-server',
  'bind-address': 'address',
  'unbind-address': 'address',
  'add-element': 'packet-rule',
  'delete-element': 'packet-rule',
};

/** Counts what had to be put right because somebody else had changed it. */
export class DriftCounters {
  readonly #counts: Record<DriftingObject, number> = {
    address: 0,
    'virtual-server': 0,
    'real-server': 0,
    'packet-rule': 0,
  };

  constructor(private readonly operations: OperationCounters) {}

  get counts(): Readonly<Record<DriftingObject, number>> {
    return this.#counts;
  }

  count(object: DriftingObject, number = 1): void {
    this.#counts[object] += number;
  }

  /** Counts the operations that the work performs. */
  async during<T>(repair: () => Promise<T>): Promise<T> {
    const before = this.operations.applied();
    try {
      return await repair();
    } finally {
      for (const [kind, number] of this.operations.applied())
        this.count(objectOf[kind], number - (before.get(kind) ?? 0));
    }
  }
}
