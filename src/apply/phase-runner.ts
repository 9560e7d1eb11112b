import {
  operationIdentity,
  operationKey,
  type AddressOperation,
  type DeferrableOutcome,
  type ElementOperation,
  type IpvsOperation,
  type Operation,
  type Outcome,
} from '../model/operation.js';
import type { RunCause } from '../model/change-cause.js';
import { formatOperation } from '../model/plan-entry.js';
import {
  protocolOfServer,
  virtualServerKey,
  type VirtualServerIdentity,
  type VirtualServerKey,
} from '../model/virtual-server.js';
import { phaseOperations, type Phase } from '../plan/operations/phases.js';
import type { MarkedFrontends } from '../plan/marked-frontends.js';
import type { ServedFrontend } from '../plan/stale-flows.js';
import type { ChangeRecorder } from './change-recorder.js';
import { servedFrontends } from './conntrack/served-frontend.js';
import type { OperationCounters } from './counters/operation-counters.js';
import { decide, type Decision } from './retry/decisions.js';
import { retryTargetOf, type RefusedOperations } from './retry/refused-operations.js';
import type { EngineState } from './state/engine-state.js';

/** The clients that send operations to the kernel. Each returns one outcome per operation, in order. */
export interface OperationSenders {
  readonly ipvs: { apply(operations: readonly IpvsOperation[]): Promise<readonly Outcome[]> };
  readonly addresses: {
    /** Calls `onSend` immediately before the operations are sent. */
    apply(operations: readonly AddressOperation[], onSend: () => void): Promise<readonly Outcome[]>;
  };
  readonly packetRules: {
    apply(operations: readonly ElementOperation[]): Promise<readonly DeferrableOutcome[]>;
  };
}

export interface PhaseRunnerParts extends OperationSenders {
  readonly state: EngineState;
  readonly refused: RefusedOperations;
  readonly counters: OperationCounters;
  readonly recorder: Pick<ChangeRecorder, 'applied'>;
  /** What the run is for. */
  readonly cause: RunCause;
  readonly marked: MarkedFrontends;
}

export interface ReconcileReport {
  readonly applied: number;
  /** Operations that the kernel rejected. Each is retried later. */
  readonly failed: number;
}

const applied: Outcome = { status: 'applied' };
const unknown: Outcome = { status: 'unknown' };

const failureReason = (outcome: Outcome): string =>
  outcome.status === 'failed' ? outcome.message : 'the kernel did not reply';

/** Sends the phases of one run to the kernel and records every outcome in the engine's state. */
export class PhaseRunner {
  #applied = 0;
  #failed = 0;
  /** UDP virtual servers whose clients may still have flows to a former real server. */
  readonly #udpVirtualServers = new Map<VirtualServerKey, VirtualServerIdentity>();

  #cause: RunCause;

  constructor(private readonly parts: PhaseRunnerParts) {
    this.#cause = parts.cause;
  }

  get report(): ReconcileReport {
    return { applied: this.#applied, failed: this.#failed };
  }

  /** `cause`: what this phase is for, if it differs from the run. */
  async run(all: Phase, cause = this.parts.cause): Promise<void> {
    this.#cause = cause;
    const phase = this.#withoutUnreplaced(this.#withoutContended(all));
    const outcomes = await this.#send(phase);
    for (const [index, operation] of phaseOperations(phase).entries())
      this.#take(operation, outcomes[index] ?? unknown);
  }

  #take(operation: Operation, outcome: DeferrableOutcome): void {
    if (outcome.status !== 'deferred') this.#count(this.#record(operation, outcome));
    else if ('element' in operation) this.parts.state.recordElement(operation, outcome);
  }

  /**
   * The UDP frontends, with their current real servers, whose flows must be checked. Otherwise such a flow
   * ends only when its client stops sending.
   */
  udpFrontends(): readonly ServedFrontend[] {
    const sources = { observed: this.parts.state, marked: this.parts.marked };
    return [...this.#udpVirtualServers.values()].flatMap((identity) => servedFrontends(identity, sources));
  }

  /**
   * Leaves out operations for a virtual server that exists although kube-ipvs was about to create it. It must
   * be read first.
   */
  #withoutContended(phase: Phase): Phase {
    const { virtualServers } = this.parts.state;
    if (virtualServers.unconfirmed.size === 0) return phase;
    if ('ipvs' in phase)
      return { ...phase, ipvs: phase.ipvs.filter((each) => !virtualServers.isContended(operationKey(each))) };
    if (!('addresses' in phase)) return phase;
    const addresses = phase.addresses.filter(({ address }) => !virtualServers.hasContended(address));
    return { ...phase, addresses };
  }

  /** Leaves out the end of bindings whose replacement the kernel refused. */
  #withoutUnreplaced(phase: Phase): Phase {
    if (!('addresses' in phase)) return phase;
    const { state } = this.parts;
    const addresses = phase.addresses.filter(
      ({ address, replacedBy }) => replacedBy === undefined || state.bindings(address).includes(replacedBy),
    );
    return { ...phase, addresses };
  }

  async #send(phase: Phase): Promise<readonly DeferrableOutcome[]> {
    const { ipvs, addresses, packetRules, state } = this.parts;
    if ('elements' in phase) return packetRules.apply(phase.elements);
    if ('addresses' in phase)
      return addresses.apply(phase.addresses, () => state.sendAddresses(phase.addresses));
    try {
      return await ipvs.apply(phase.ipvs);
    } catch (error) {
      for (const operation of phase.ipvs) state.record(operation, unknown);
      throw error;
    }
  }

  #count(decision: Decision): void {
    if (decision === 'applied') this.#applied += 1;
    else if (decision !== 'reread') this.#failed += 1;
  }

  #record(operation: Operation, outcome: Outcome): Decision {
    const { state, counters, refused } = this.parts;
    const decision = decide(operation, outcome);
    counters.count(operation.kind, outcome);
    if (decision === 'applied') this.#recordApplied(operation);
    state.record(operation, decision === 'applied' ? applied : outcome);
    if (decision === 'applied') {
      this.#noteUdp(operation);
      return decision;
    }
    const target = retryTargetOf(operation);
    // Only virtual servers can be read one by one.
    if (decision === 'reread' && target.kind === 'virtual-server') return decision;
    const failure = { operation: formatOperation(operation), reason: failureReason(outcome) };
    refused.record(target, decision, failure);
    return decision;
  }

  #recordApplied(operation: Operation): void {
    const { recorder, refused } = this.parts;
    const isRetry = this.#cause !== 'drain-ended' && refused.isRetry(operation);
    recorder.applied(operation, isRetry ? 'retry' : this.#cause);
  }

  /** Adding a real server beside others moves no existing flow. */
  #noteUdp(operation: Operation): void {
    if ('element' in operation || 'address' in operation || operation.kind.startsWith('update')) return;
    const identity = operationIdentity(operation);
    if (protocolOfServer(identity) !== 'UDP') return;
    const key = virtualServerKey(identity);
    const realServers = this.parts.state.virtualServer(key)?.realServers;
    const joinsOthers = operation.kind === 'add-real-server' && (realServers?.size ?? 0) > 1;
    if (!joinsOthers) this.#udpVirtualServers.set(key, identity);
  }
}
