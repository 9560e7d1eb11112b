import type { Operation } from '../../model/operation.js';
import type { OperationCounters } from './operation-counters.js';

/** An object that another program may change in the kernel. */
export type DriftingObject =
  | 'address'
  | 'virtual-server'
  | 'real-server'
  | 'packet-rule'
  | 'interface'
  | 'kernel-setting'
  | 'sync-daemon';

/** How the object differs from the desired state. */
export type DriftKind = 'missing' | 'extra' | 'differs';

/** The drift that each repair operation implies. */
const driftOf: Readonly<Record<Operation['kind'], readonly [DriftingObject, DriftKind]>> = {
  'add-virtual-server': ['virtual-server', 'missing'],
  'update-virtual-server': ['virtual-server', 'differs'],
  'delete-virtual-server': ['virtual-server', 'extra'],
  'add-real-server': ['real-server', 'missing'],
  'update-real-server': ['real-server', 'differs'],
  'delete-real-server': ['real-server', 'extra'],
  'bind-address': ['address', 'missing'],
  'unbind-address': ['address', 'extra'],
  'add-element': ['packet-rule', 'missing'],
  'delete-element': ['packet-rule', 'extra'],
};

export interface DriftCount {
  readonly object: DriftingObject;
  readonly drift: DriftKind;
  readonly count: number;
}

/**
 * All combinations. Each is reported from the start, so a counter's first drift is visible as an increase.
 */
const allDrifts: readonly (readonly [DriftingObject, DriftKind])[] = [
  ...Object.values(driftOf),
  ['packet-rule', 'differs'],
  ['interface', 'missing'],
  ['kernel-setting', 'differs'],
  ['sync-daemon', 'missing'],
  ['sync-daemon', 'differs'],
];

/** Counts repairs of changes that another program made. */
export class DriftCounters {
  readonly #counts = new Map<string, number>();

  constructor(private readonly operations: OperationCounters) {}

  get counts(): readonly DriftCount[] {
    return allDrifts.map(([object, drift]) => ({
      object,
      drift,
      count: this.#counts.get(`${object} ${drift}`) ?? 0,
    }));
  }

  count(object: DriftingObject, drift: DriftKind, number = 1): void {
    const key = `${object} ${drift}`;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + number);
  }

  /** Counts the operations that `repair` applies. */
  async countDuring<T>(repair: () => Promise<T>): Promise<T> {
    const before = this.operations.applied();
    try {
      return await repair();
    } finally {
      for (const [kind, number] of this.operations.applied())
        this.count(...driftOf[kind], number - (before.get(kind) ?? 0));
    }
  }
}
