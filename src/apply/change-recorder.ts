import type { RunCause } from '../model/change-cause.js';
import type { Operation } from '../model/operation.js';
import type { DrainEvent } from './drain/drain-counters.js';
import type { RefusedOperation, RetryTarget } from './retry/refused-operations.js';

/** Is told what the reconciler changes in the kernel. Its methods are cheap and never throw. */
export interface ChangeRecorder {
  /** A run of the reconciler begins. */
  began(cause: RunCause): void;
  /** The kernel applied the operation, for this cause within the run. The observed state does not include it yet. */
  applied(operation: Operation, cause: RunCause): void;
  /** An operation on this object failed, for a new reason. */
  refused(target: RetryTarget, refused: RefusedOperation): void;
  drain(event: DrainEvent): void;
  /** The run ended. */
  ended(): void;
}

export const noRecorder: ChangeRecorder = {
  began: () => undefined,
  applied: () => undefined,
  refused: () => undefined,
  drain: () => undefined,
  ended: () => undefined,
};
