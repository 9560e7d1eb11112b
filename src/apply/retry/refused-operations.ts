import type { IpAddress } from '../../base/ip.js';
import type { Logger } from '../../base/log.js';
import type { ElementKey } from '../../nftables/declarations.js';
import { operationKey, type Operation } from '../../model/operation.js';
import type { VirtualServerKey } from '../../model/virtual-server.js';
import type { DirtyKeys } from '../../plan/operations/diff.js';
import type { Refusal } from './decisions.js';
import { logSampled } from '../../base/log-sampled.js';
import { Retries, retryKindOf, type Failure, type RetryDelays } from './retries.js';

/** The object of an operation. It is retried as a whole when the operation is refused. */
export type RetryTarget =
  | { readonly kind: 'virtual-server'; readonly key: VirtualServerKey }
  | { readonly kind: 'address'; readonly address: IpAddress }
  | { readonly kind: 'element'; readonly key: ElementKey };

export const retryTargetOf = (operation: Operation): RetryTarget => {
  if ('address' in operation) return { kind: 'address', address: operation.address };
  if ('element' in operation) return { kind: 'element', key: operation.element.key };
  return { kind: 'virtual-server', key: operationKey(operation) };
};

export const retryTargetName = (target: RetryTarget): string =>
  target.kind === 'address' ? target.address : target.key;

/** An operation as text, and why it failed. */
export interface RefusedOperation {
  readonly operation: string;
  readonly reason: string;
}

export interface RefusedOperationsParts {
  /** Called for each failure with a new reason; must not throw. */
  readonly onRefused: (target: RetryTarget, refused: RefusedOperation) => void;
  readonly log: Logger;
  /** Milliseconds of a monotonic clock. */
  readonly now: () => number;
  readonly delays: RetryDelays | undefined;
}

/** The refused operations: logs each once per reason and schedules its retry. */
export class RefusedOperations {
  readonly #retries: Retries<RetryTarget>;
  /** Failures that are not logged yet, each with a new reason. */
  #unlogged: { readonly givenUp: boolean; readonly fields: object }[] = [];

  constructor(private readonly parts: RefusedOperationsParts) {
    this.#retries = new Retries(parts.delays);
  }

  /** The number of objects whose last attempt the kernel refused. */
  get size(): number {
    return this.#retries.size;
  }

  /** All failures, with times of the clock `now`. */
  failures(): Iterable<Failure> {
    return this.#retries.failures();
  }

  /** By kind, the number of objects that are retried only when they change or when the next resync begins. */
  get givenUp(): Readonly<Record<RetryTarget['kind'], number>> {
    const counts = { 'virtual-server': 0, address: 0, element: 0 };
    for (const { kind } of this.#retries.givenUp()) counts[kind] += 1;
    return counts;
  }

  /** Milliseconds until the next retry; undefined if none is due by itself. */
  get nextRetry(): number | undefined {
    const due = this.#retries.nextDue;
    return due === undefined ? undefined : Math.max(0, due - this.parts.now());
  }

  record(target: RetryTarget, refusal: Refusal, failure: RefusedOperation): void {
    const name = retryTargetName(target);
    // The key already failed in this run; failures of its real servers are consequences.
    if (this.#retries.hasFailed(name)) return;
    const { operation, reason } = failure;
    const kind = retryKindOf(refusal);
    if (!this.#retries.recordFailure(name, target, { kind, reason }, this.parts.now())) return;
    this.#unlogged.push({ givenUp: kind === 'given-up', fields: { operation, reason } });
    this.parts.onRefused(target, failure);
  }

  /** Whether an operation on the object of this one failed before and has not succeeded since. */
  isRetry(operation: Operation): boolean {
    return this.size > 0 && this.#retries.isFailing(retryTargetName(retryTargetOf(operation)));
  }

  /** Makes everything that was given up due now, once. */
  retryGivenUp(): void {
    this.#retries.retryGivenUp(this.parts.now());
  }

  /** Begins a run. Returns the dirty keys plus those whose retry is due. */
  beginRun(dirty: DirtyKeys): DirtyKeys {
    this.#retries.beginRun();
    if (this.size === 0) return dirty;
    const due = this.#retries.takeDue(this.parts.now());
    if (due.length === 0) return dirty;
    const virtualServers = new Set(dirty.virtualServers);
    const addresses = new Set(dirty.addresses);
    const elements = new Set(dirty.elements);
    for (const item of due) {
      if (item.kind === 'address') addresses.add(item.address);
      else if (item.kind === 'element') elements.add(item.key);
      else virtualServers.add(item.key);
    }
    return { virtualServers, addresses, elements };
  }

  /** Whether the kernel refused the key in this run. */
  isRefused(key: string): boolean {
    return this.#retries.hasFailed(key);
  }

  /**
   * Keys that were tried in this run without a refusal match the desired state, so their backoff is reset.
   */
  recordSuccesses(tried: DirtyKeys): void {
    if (this.#retries.size === 0) return;
    const succeeded = [...tried.virtualServers, ...tried.addresses, ...tried.elements]
      .filter((key) => !this.isRefused(key) && this.#retries.recordSuccess(key))
      .map((key) => ({ key }));
    logSampled('operation-succeeded-after-failures', succeeded, (fields) =>
      this.parts.log.info(fields, 'Operation succeeded after earlier failures'),
    );
  }

  logNew(): void {
    const entries = this.#unlogged;
    this.#unlogged = [];
    const { log } = this.parts;
    const fieldsOf = (givenUp: boolean): readonly object[] =>
      entries.filter((one) => one.givenUp === givenUp).map(({ fields }) => fields);
    logSampled('operation-refused', fieldsOf(false), (fields) =>
      log.warn(fields, 'Operation refused by the kernel; retrying with growing delays'),
    );
    logSampled('operation-given-up', fieldsOf(true), (fields) =>
      log.warn(fields, 'Operation refused by the kernel; retrying when it changes and with each resync'),
    );
  }
}
