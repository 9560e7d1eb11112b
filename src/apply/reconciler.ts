import { Turns } from '../base/async.js';
import { bootMilliseconds } from '../base/boot-clock.js';
import type { Logger } from '../base/log.js';
import {
  operationTarget,
  type AddressOperation,
  type ElementOperation,
  type IpvsOperation,
  type Operation,
  type Outcome,
} from '../model/operation.js';
import { formatOperation } from '../model/plan-entry.js';
import { virtualServerKey, type VirtualServerKey } from '../model/virtual-server.js';
import { diff, isEmpty, touch, union, without, type Touched, type Wanted } from '../plan/diff.js';
import type { DrainSettings, DrainStep } from '../plan/drain.js';
import { phases, phaseOperations, type Phase, type Urgency } from '../plan/order.js';
import type { Contests } from './contests.js';
import { decide, type Decision, type Refusal } from './decisions.js';
import { Drains, withoutRecords, withRecords, type DrainsParts } from './drains.js';
import { Lingerers, type LingerersParts } from './lingerers.js';
import { NamingElements } from './naming-elements.js';
import type { IpvsReads, Unreadable } from './kernel-reader.js';
import { Rereads } from './rereads.js';
import type { Observed } from './observed.js';
import type { OperationCounters } from './operation-counters.js';
import { resetClients, type FlowCleaner } from './purged-flows.js';
import { ReroutedClients } from './rerouted-clients.js';
import { nameOf, Refusals, targetOf, type Target } from './refusals.js';
import type { Failure, RetryDelays } from './retries.js';
import { slices, type Slice } from './slices.js';

export interface ReconcilerParts {
  readonly ipvs: IpvsReads & { apply(operations: readonly IpvsOperation[]): Promise<readonly Outcome[]> };
  readonly addresses: { apply(operations: readonly AddressOperation[]): Promise<readonly Outcome[]> };
  readonly packetRules: { apply(operations: readonly ElementOperation[]): Promise<readonly Outcome[]> };
  readonly observed: Observed;
  readonly wanted: Wanted & { readonly urgency: Urgency };
  /** The part of it that no Service asks for. */
  readonly lingering: LingerersParts['lingering'];
  /** As they are now. */
  readonly drainSettings: () => DrainSettings;
  /** Finds out whose a virtual server is that the kernel has already. */
  readonly contests: Contests;
  /** Of what was wanted. */
  readonly endpoints: DrainsParts['endpoints'];
  /** Whether the node is known to be gone: what drains on it is purged. */
  readonly isNodeGone: (nodeName: string) => boolean;
  readonly counters: OperationCounters;
  /** Deletes the flows of real servers that went with open connections, so that their clients learn of it. */
  readonly staleFlows: FlowCleaner;
  readonly log: Logger;
  /** Milliseconds since the machine started; by its clock where nothing is said. */
  readonly now?: () => number;
  readonly retryDelays?: RetryDelays;
}

export interface Report {
  readonly applied: number;
  /** Operations the kernel refused; each is tried again later. */
  readonly failed: number;
}

/** A stale picture is mended by reading once; a second round is for what changed meanwhile. */
const maximumRounds = 3;

/** Between two slices the event loop has its turn after so long. */
const longestTurnMilliseconds = 5;

const applied: Outcome = { status: 'applied' };
const unknown: Outcome = { status: 'unknown' };

const reasonOf = (outcome: Outcome): string => (outcome.status === 'failed' ? outcome.message : 'no answer');

/**
 * Makes the kernel hold what is wanted: diffs the touched keys against what the kernel acknowledged, sends the operations
 * phase by phase, reads again what is in doubt, and keeps what was refused for later. One call at a time.
 */
export class Reconciler {
  readonly #refusals: Refusals;
  /** What the call under way was refused. */
  readonly #refused = new Set<string>();
  readonly #rereads: Rereads;
  readonly drains: Drains;
  readonly #lingerers: Lingerers;
  readonly #naming: NamingElements;
  readonly #wanted: Wanted;
  readonly #rerouted: ReroutedClients;
  #stopped = false;
  /** To be told where somebody could not read one: it is read before anything is done to it, and nothing is while that fails. */
  readonly unreadable: Unreadable = (identity, error) => this.#rereads.note(identity, error);

  constructor(private readonly parts: ReconcilerParts) {
    this.#rerouted = new ReroutedClients(parts.observed);
    const { log, now = bootMilliseconds, retryDelays } = parts;
    this.#refusals = new Refusals({ log, now, delays: retryDelays });
    this.#rereads = new Rereads({
      ...parts,
      refuse: (key, refusal, news) => this.#refuse({ kind: 'virtual-server', key }, refusal, news),
    });
    const { unreadable } = this;
    this.drains = new Drains({ ...parts, now, unreadable });
    this.#wanted = withRecords(parts.wanted, this.drains);
    this.#lingerers = new Lingerers({ ...parts, unreadable });
    this.#naming = new NamingElements(parts);
  }

  /** In how many milliseconds something is to be tried again, if anything is. */
  get nextRetry(): number | undefined {
    return this.#refusals.nextRetry;
  }

  /** What the kernel refused, by the clock that draining goes by. */
  failures(): Iterable<Failure> {
    return this.#refusals.failures();
  }

  /** How many things the kernel refused the last time that they were tried. */
  get refused(): number {
    return this.#refusals.size;
  }

  /** By kind, how many of them are left until they change or the next resync begins. */
  get givenUp(): Refusals['givenUp'] {
    return this.#refusals.givenUp;
  }

  /** A resync begins: what was given up is tried once more. */
  tryGivenUp(): void {
    this.#refusals.tryGivenUp();
  }

  /** A call under way ends with the slice that it is at; what is left over is found by the next process. */
  stop(): void {
    this.#stopped = true;
  }

  get isStopped(): boolean {
    return this.#stopped;
  }

  /** The keys with those that are wanted otherwise for what is read of the kernel now; changes nothing there. */
  async settle(touched: Touched): Promise<Touched> {
    const { contests } = this.parts;
    const settled = await contests.settle(touched, (of, error) =>
      this.#rereads.refuse(virtualServerKey(of), error),
    );
    return this.#naming.settle(await this.#lingerers.settle(settled));
  }

  /** The operations that `reconcile` would begin with, for settled keys. */
  plan(touched: Touched): readonly Phase[] {
    return phases(this.#operations(withoutRecords(touched)), this.parts.wanted.urgency);
  }

  #operations(touched: Touched): readonly Operation[] {
    const { observed, drainSettings } = this.parts;
    return diff(this.#wanted, observed, touched, drainSettings());
  }

  /** Reconciles the touched keys together with those whose retry is due. Never throws for what the kernel refuses. */
  async reconcile(touched: Touched): Promise<Report> {
    const { contests, wanted } = this.parts;
    const turns = new Turns(longestTurnMilliseconds);
    const report = { applied: 0, failed: 0 };
    this.#refused.clear();
    const known = await this.settle(this.#refusals.withDue(touched));
    const settled = union(known, this.#rereads.distrust(known.virtualServers));
    const reread = await this.#rereads.read();
    // What could not be read before was not asked for its connections.
    const all =
      reread.size === 0 ? settled : union(settled, await this.settle(touch({ virtualServers: reread })));
    // A second time only where it turned out that somebody else has what is wanted.
    for (let some = withoutRecords(all); !isEmpty(some); some = contests.takeInto(touch())) {
      for (const slice of slices(some, wanted.urgency)) {
        if (this.#stopped) return report;
        await this.#reconcileSlice(slice, report);
        await turns.turn();
      }
    }
    await this.#end(await this.drains.look(all.virtualServers), all, report);
    this.#refusals.settle(all, this.#refused);
    await this.#cleanRerouted();
    this.#refusals.tell();
    return report;
  }

  async #reconcileSlice(slice: Slice, report: { applied: number; failed: number }): Promise<void> {
    let round: Touched = slice;
    for (let count = 0; count < maximumRounds; count += 1) {
      const operations = this.#operations(without(round, this.#refused)).filter(
        (operation) =>
          !this.#rereads.holdsBack(operation) &&
          (!('element' in operation) ||
            ((operation.kind === 'delete-element') === slice.late && !this.#naming.holdsBack(operation))),
      );
      for (const phase of phases(operations)) await this.#run(phase, report);
      const reread = await this.#rereads.read();
      round = touch({ virtualServers: reread });
      if (reread.size === 0) return;
    }
    this.#giveUpForNow(without(round, this.#refused));
  }

  /** Looks at all that drains: what has become idle or has passed its deadline goes. */
  drain(): Promise<Report> {
    this.#refused.clear();
    return this.#drain(new Set(this.drains.draining.keys()), this.drains.lookAtAll());
  }

  /** The same for what is due by now. */
  drainDue(): Promise<Report> {
    this.#refused.clear();
    const due = this.drains.due();
    return due.size === this.drains.draining.size ? this.drain() : this.#drain(due, this.drains.look(due));
  }

  async #drain(
    virtualServers: ReadonlySet<VirtualServerKey>,
    step: Promise<DrainStep | undefined>,
  ): Promise<Report> {
    const report = { applied: 0, failed: 0 };
    await this.#end(await step, touch({ virtualServers }), report);
    await this.#cleanRerouted();
    this.#refusals.tell();
    return report;
  }

  async #cleanRerouted(): Promise<void> {
    const rerouted = this.#rerouted.take();
    if (rerouted.length > 0) await this.parts.staleFlows.clean(rerouted);
  }

  async #run(all: Phase, report: { applied: number; failed: number }): Promise<void> {
    const phase = this.parts.contests.withhold(all);
    const outcomes = await this.#apply(phase);
    for (const [index, operation] of phaseOperations(phase).entries()) {
      const decision = this.#record(operation, outcomes[index] ?? unknown);
      if (decision === 'applied') report.applied += 1;
      else if (decision !== 'reread') report.failed += 1;
    }
  }

  async #apply(phase: Phase): Promise<readonly Outcome[]> {
    const { ipvs, addresses, packetRules, contests } = this.parts;
    if ('addresses' in phase) return addresses.apply(phase.addresses);
    if ('elements' in phase) return packetRules.apply(phase.elements);
    try {
      return await ipvs.apply(phase.ipvs);
    } catch (error) {
      contests.noteLost(phase);
      throw error;
    }
  }

  #record(operation: Operation, outcome: Outcome): Decision {
    const { observed, counters, contests } = this.parts;
    const decision = decide(operation, outcome);
    contests.note(operation, outcome);
    if (decision === 'applied') this.#rerouted.note(operation);
    counters.count(operation.kind, outcome);
    observed.record(operation, decision === 'applied' ? applied : outcome);
    if (decision === 'applied') return decision;
    const target = targetOf(operation);
    // Virtual servers alone are read one by one.
    if (decision === 'reread' && target.kind === 'virtual-server') return decision;
    this.#refuse(target, decision, { operation: formatOperation(operation), reason: reasonOf(outcome) });
    return decision;
  }

  /** A real server of a virtual server that was itself refused says nothing new. */
  #refuse(
    target: Target,
    refusal: Refusal,
    news: { readonly operation: string; readonly reason: string },
  ): void {
    if (this.#refused.has(nameOf(target))) return;
    this.#refused.add(nameOf(target));
    this.#refusals.note(target, refusal, news);
  }

  /** What still differs after reading it again and again changes under our hands: later is better than a busy loop. */
  #giveUpForNow(round: Touched): void {
    for (const key of round.virtualServers) {
      if (this.#operations(touch({ virtualServers: new Set([key]) })).length === 0) continue;
      const news = { operation: `make virtual server ${key}`, reason: 'it changes under our hands' };
      this.#refuse({ kind: 'virtual-server', key }, 'retry', news);
    }
  }

  /** Makes the deletions of a look at what drains, and what follows from them. */
  async #end(
    step: DrainStep | undefined,
    looked: Touched,
    report: { applied: number; failed: number },
  ): Promise<void> {
    for (const phase of phases(step?.delete ?? [])) await this.#run(phase, report);
    const ended = new Set(step?.delete.map(operationTarget));
    // A virtual server may be set up otherwise while it drains, or be there for that alone; that ends with the last one that drained.
    const elements = this.drains.takeRecords(looked.elements);
    const left = this.#lingerers.end(looked.virtualServers, ['idle']);
    const rest = union(touch({ virtualServers: ended, elements }), left);
    if (!isEmpty(rest))
      for (const slice of slices(rest, this.parts.wanted.urgency)) await this.#reconcileSlice(slice, report);
    if (step === undefined) return;
    this.drains.forgetEndpoints(ended);
    for (const operation of step.delete) this.#noteLeft(operation);
    await resetClients(step.purged, this.parts);
  }

  /** A real server whose deletion came to nothing drains no more: nothing but another try finds it. */
  #noteLeft(operation: Operation): void {
    if (operation.kind !== 'delete-real-server') return;
    const key = operationTarget(operation);
    if (!this.parts.observed.virtualServer(key)?.realServers.has(operation.server.key)) return;
    const news = { operation: formatOperation(operation), reason: 'it is still there' };
    this.#refuse({ kind: 'virtual-server', key }, 'retry-soon', news);
  }
}
