import type { Operation } from '../../model/operation.js';
import type { OperationCounters } from './operation-counters.js';

/** What somebody else may change in the kernel. */
export type DriftingObject =
  | 'address'
  | 'virtual-server'
  | 'real-server'
  | 'packet-rule'
  | 'interface'
  | 'kernel-setting';

/** How it was not as we left it. */
export type DriftKind = 'missing' | 'extra' | 'differs';

/** What had to be done tells what somebody else had done. */
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

/** What there can be: each is told from the start, so that the first drift is an increase. */
const allDrifts: readonly (readonly [DriftingObject, DriftKind])[] = [
  ...Object.values(driftOf),
  ['packet-rule', 'differs'],
  ['interface', 'missing'],
  ['kernel-setting', 'differs'],
];

/** Counts what had to be put right because somebody else had changed it. */
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

  /** Counts the operations that the work performs. */
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
