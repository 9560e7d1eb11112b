import { Turns } from '../base/async.js';
import { bootMilliseconds } from '../base/boot-clock.js';
import { messageOf } from '../base/errors.js';
import { NetlinkError, ProtocolError } from '../netlink/errors.js';
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
import {
  virtualServerKey,
  type VirtualServerIdentity,
  type VirtualServerKey,
} from '../model/virtual-server.js';
import { diff, isEmpty, touch, union, without, type Touched, type Wanted } from '../plan/diff.js';
import type { DrainSettings, DrainStep } from '../plan/drain.js';
import { phases, phaseOperations, type Phase, type Urgency } from '../plan/order.js';
import type { Contests } from './contests.js';
import { decide, type Decision, type Refusal } from './decisions.js';
import { Drains, withoutRecords, withRecords, type DrainsParts } from './drains.js';
import { Lingerers, type LingerersParts } from './lingerers.js';
import { NamingElements } from './naming-elements.js';
import { readVirtualServer, type IpvsReads } from './kernel-reader.js';
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
  /** What could not be read when it was in doubt. */
  readonly #unread = new Map<VirtualServerKey, VirtualServerIdentity>();
  readonly drains: Drains;
  readonly #lingerers: Lingerers;
  readonly #naming: NamingElements;
  readonly #wanted: Wanted;
  readonly #rerouted: ReroutedClients;
  #stopped = false;

  constructor(private readonly parts: ReconcilerParts) {
    this.#rerouted = new ReroutedClients(parts.observed);
    const { log, now = bootMilliseconds, retryDelays } = parts;
    this.#refusals = new Refusals({ log, now, delays: retryDelays });
    this.drains = new Drains({ ...parts, now });
    this.#wanted = withRecords(parts.wanted, this.drains);
    this.#lingerers = new Lingerers(parts);
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
    return this.#naming.settle(await this.#lingerers.settle(await this.parts.contests.settle(touched)));
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
    const all = await this.settle(this.#refusals.withDue(touched));
    this.#distrustUnread(all.virtualServers);
    const report = { applied: 0, failed: 0 };
    const refused = new Set<string>();
    // A second time only where it turned out that somebody else has what is wanted.
    for (let some = withoutRecords(all); !isEmpty(some); some = contests.takeInto(touch())) {
      for (const slice of slices(some, wanted.urgency)) {
        if (this.#stopped) return report;
        await this.#reconcileSlice(slice, report, refused);
        await turns.turn();
      }
    }
    await this.#end(await this.drains.look(all.virtualServers), all, report, refused);
    this.#refusals.settle(all, refused);
    await this.#cleanRerouted();
    this.#refusals.tell();
    return report;
  }

  async #reconcileSlice(
    slice: Slice,
    report: { applied: number; failed: number },
    refused: Set<string>,
  ): Promise<void> {
    let round: Touched = slice;
    for (let count = 0; count < maximumRounds; count += 1) {
      const operations = this.#operations(without(round, refused)).filter(
        (operation) =>
          !('element' in operation) ||
          ((operation.kind === 'delete-element') === slice.late && !this.#naming.holdsBack(operation)),
      );
      for (const phase of phases(operations)) await this.#run(phase, report, refused);
      const reread = await this.#readUntrusted(refused);
      round = touch({ virtualServers: reread });
      if (reread.size === 0) return;
    }
    this.#giveUpForNow(without(round, refused), refused);
  }

  /** Looks at all that drains: what has become idle or has passed its deadline goes. */
  drain(): Promise<Report> {
    return this.#drain(new Set(this.drains.draining.keys()), this.drains.lookAtAll());
  }

  /** The same for what is due by now. */
  drainDue(): Promise<Report> {
    const due = this.drains.due();
    return due.size === this.drains.draining.size ? this.drain() : this.#drain(due, this.drains.look(due));
  }

  async #drain(
    virtualServers: ReadonlySet<VirtualServerKey>,
    step: Promise<DrainStep | undefined>,
  ): Promise<Report> {
    const report = { applied: 0, failed: 0 };
    await this.#end(await step, touch({ virtualServers }), report, new Set());
    await this.#cleanRerouted();
    this.#refusals.tell();
    return report;
  }

  async #cleanRerouted(): Promise<void> {
    const rerouted = this.#rerouted.take();
    if (rerouted.length > 0) await this.parts.staleFlows.clean(rerouted);
  }

  async #run(all: Phase, report: { applied: number; failed: number }, refused: Set<string>): Promise<void> {
    const phase = this.parts.contests.withhold(all);
    const outcomes = await this.#apply(phase);
    for (const [index, operation] of phaseOperations(phase).entries()) {
      const decision = this.#record(operation, outcomes[index] ?? unknown, refused);
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

  #record(operation: Operation, outcome: Outcome, refused: Set<string>): Decision {
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
    // A real server of a virtual server that was itself refused says nothing new.
    if (refused.has(nameOf(target))) return decision;
    this.#refuse(
      target,
      decision,
      { operation: formatOperation(operation), reason: reasonOf(outcome) },
      refused,
    );
    return decision;
  }

  #refuse(
    target: Target,
    refusal: Refusal,
    news: { readonly operation: string; readonly reason: string },
    refused: Set<string>,
  ): void {
    refused.add(nameOf(target));
    this.#refusals.note(target, refusal, news);
  }

  /** What still differs after reading it again and again changes under our hands: later is better than a busy loop. */
  #giveUpForNow(round: Touched, refused: Set<string>): void {
    for (const key of round.virtualServers) {
      if (this.#operations(touch({ virtualServers: new Set([key]) })).length === 0) continue;
      const news = { operation: `make virtual server ${key}`, reason: 'it changes under our hands' };
      this.#refuse({ kind: 'virtual-server', key }, 'retry', news, refused);
    }
  }

  /** Of what is tried now it is not known how it stands. */
  #distrustUnread(tried: ReadonlySet<VirtualServerKey>): void {
    for (const [key, identity] of this.#unread) {
      if (!tried.has(key)) continue;
      this.#unread.delete(key);
      this.parts.observed.distrust(identity);
    }
  }

  /** What cannot even be read (of a family that the kernel lacks) is refused: it holds up nothing else. */
  async #readUntrusted(refused: Set<string>): Promise<ReadonlySet<VirtualServerKey>> {
    const { ipvs, observed, contests } = this.parts;
    const keys = new Set<VirtualServerKey>();
    for (const identity of observed.takeUntrusted()) {
      const key = virtualServerKey(identity);
      try {
        observed.setVirtualServer(key, contests.judge(identity, await readVirtualServer(ipvs, identity)));
        keys.add(key);
      } catch (error) {
        if (!(error instanceof NetlinkError) && !(error instanceof ProtocolError)) throw error;
        this.#unread.set(key, identity);
        const news = { operation: `read virtual server ${key}`, reason: messageOf(error) };
        if (!refused.has(key)) this.#refuse({ kind: 'virtual-server', key }, 'retry', news, refused);
      }
    }
    return keys;
  }

  /** Makes the deletions of a look at what drains, and what follows from them. */
  async #end(
    step: DrainStep | undefined,
    looked: Touched,
    report: { applied: number; failed: number },
    refused: Set<string>,
  ): Promise<void> {
    for (const phase of phases(step?.delete ?? [])) await this.#run(phase, report, refused);
    const ended = new Set(step?.delete.map(operationTarget));
    // A virtual server may be set up otherwise while it drains, or be there for that alone; that ends with the last one that drained.
    const elements = this.drains.takeRecords(looked.elements);
    const left = this.#lingerers.end(looked.virtualServers, ['idle']);
    const rest = union(touch({ virtualServers: ended, elements }), left);
    if (!isEmpty(rest))
      for (const slice of slices(rest, this.parts.wanted.urgency))
        await this.#reconcileSlice(slice, report, refused);
    if (step === undefined) return;
    this.drains.forgetEndpoints(ended);
    for (const operation of step.delete) this.#noteLeft(operation, refused);
    await resetClients(step.purged, this.parts);
  }

  /** A real server whose deletion came to nothing drains no more: nothing but another try finds it. */
  #noteLeft(operation: Operation, refused: Set<string>): void {
    if (operation.kind !== 'delete-real-server') return;
    const key = operationTarget(operation);
    if (refused.has(key) || !this.parts.observed.virtualServer(key)?.realServers.has(operation.server.key))
      return;
    const news = { operation: formatOperation(operation), reason: 'it is still there' };
    this.#refuse({ kind: 'virtual-server', key }, 'retry-soon', news, refused);
  }
}
