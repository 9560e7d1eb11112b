import { yieldToEventLoop } from '../../base/async.js';
import type { Endpoint } from '../../model/endpoint.js';
import type { ElementKey, SetElement } from '../../nftables/declarations.js';
import type { RealServerKey, RealServerObservation, VirtualServerKey } from '../../model/virtual-server.js';
import {
  drainCheckIntervalMilliseconds,
  drainStep,
  virtualServersWithDraining,
  type Draining,
  type DrainSettings,
  type DrainStep,
} from '../../plan/drain/drain-step.js';
import type { DirtyKeys, DesiredView } from '../../plan/operations/diff.js';
import { isDrainRecord } from '../../plan/drain/drain-records.js';
import { departureOf, type Departure, type FormerEndpoints } from '../../plan/endpoints/former-endpoints.js';
import { DrainCounters } from './drain-counters.js';
import { tryReadRealServers, type IpvsReads, type UnreadableHandler } from '../mirror/kernel-reader.js';
import type { ObservedState } from '../mirror/observed-state.js';

export interface DrainsParts {
  readonly ipvs: Pick<IpvsReads, 'realServers'>;
  readonly observed: ObservedState;
  readonly desired: DesiredView;
  readonly orphans: { has(key: VirtualServerKey): boolean };
  /** What real servers were made of. */
  readonly endpoints: {
    formerEndpoint(of: VirtualServerKey, realServer: RealServerKey): Endpoint | undefined;
    readonly formerEndpoints: Pick<FormerEndpoints, 'retain'>;
  };
  /** Whether the node is known to be gone. */
  readonly isNodeDeleted: (nodeName: string) => boolean;
  /** As they are now. */
  readonly drainSettings: () => DrainSettings;
  readonly onUnreadable: UnreadableHandler;
  /** Milliseconds of a clock that nobody sets. */
  readonly now: () => number;
}

/** A real server that drains, and so has connections. */
export interface Drain {
  readonly virtualServer: VirtualServerKey;
  readonly realServer: RealServerKey;
  /** Milliseconds of the clock of `now`. */
  readonly since: number;
  /** What it was made of, as last seen; undefined where that was before this process. */
  readonly endpoint: Endpoint | undefined;
  readonly departure: Departure | undefined;
  /** Whether the whole virtual server is not wanted any more. */
  readonly isOrphaned: boolean;
}

/** Virtual servers that are read in a row before the event loop has its turn. */
const readsPerTurn = 64;

/** Looking at what drains takes no more than one part in so many of the time, however much drains. */
const checkTimeDivisor = 20;

/** The real servers that drain: reads them and says which of them have ended. */
export class Drains {
  readonly counters = new DrainCounters();
  #draining: Draining = new Map();
  /** The elements that keep the start times, by their keys. */
  #records: ReadonlyMap<ElementKey, SetElement> = new Map();
  #changedRecords = new Set<ElementKey>();
  /** What could not be read at the last look goes on draining, whatever its deadline, until it can. */
  readonly #unreadable = new Set<VirtualServerKey>();
  /** When to look at all of it again. */
  #nextCheck = 0;

  constructor(private readonly parts: DrainsParts) {}

  /** Since when real servers have been draining. */
  get draining(): Draining {
    return this.#draining;
  }

  /** In how many milliseconds to look again: at the next deadline, or at all, which costs one dump for each virtual server. */
  get nextCheckDelay(): number {
    let next = this.#nextCheck;
    for (const [, until] of this.#deadlines()) next = Math.min(next, until);
    return Math.max(0, next - this.parts.now());
  }

  /** When the drain began that has taken longest so far. */
  get oldestStart(): number | undefined {
    let oldest: number | undefined;
    for (const servers of this.#draining.values())
      for (const { since } of servers.values()) oldest = Math.min(oldest ?? since, since);
    return oldest;
  }

  /** The element of that key, if it is to be there for the sake of a drain. */
  record(key: ElementKey): SetElement | undefined {
    return this.#records.get(key);
  }

  /** The records among the keys, with those that came or went since the last call. */
  takeDirtyRecords(among: ReadonlySet<ElementKey>): ReadonlySet<ElementKey> {
    const changed = this.#changedRecords;
    this.#changedRecords = new Set();
    for (const key of among) if (isDrainRecord(key)) changed.add(key);
    return changed;
  }

  /** All that drains, one by one. */
  *all(): Iterable<Drain> {
    for (const [virtualServer, servers] of this.#draining)
      for (const [realServer, { since }] of servers) {
        const endpoint = this.parts.endpoints.formerEndpoint(virtualServer, realServer);
        const departure = endpoint === undefined ? undefined : departureOf(endpoint);
        const isOrphaned = this.parts.orphans.has(virtualServer);
        yield { virtualServer, realServer, since, endpoint, departure, isOrphaned };
      }
  }

  /** The nodes of draining real servers that did not leave as pods do that are deleted: they may be gone. */
  nodesToCheck(): ReadonlySet<string> {
    const names = new Set<string>();
    for (const { endpoint, departure, isOrphaned } of this.all())
      if (endpoint?.nodeName !== undefined && departure !== 'terminating' && !isOrphaned)
        names.add(endpoint.nodeName);
    return names;
  }

  /** How many real servers of the node drain. */
  countOnNode(nodeName: string): number {
    return [...this.all()].filter(({ endpoint }) => endpoint?.nodeName === nodeName).length;
  }

  /** Looks at all that drains. */
  async checkAll(): Promise<DrainStep | undefined> {
    const { now } = this.parts;
    const started = now();
    const step = await this.check(this.#draining.keys());
    this.#nextCheck = now() + Math.max(drainCheckIntervalMilliseconds, (now() - started) * checkTimeDivisor);
    return step;
  }

  /** The virtual servers that it is time to look at. */
  due(): ReadonlySet<VirtualServerKey> {
    const now = this.parts.now();
    if (now >= this.#nextCheck) return new Set(this.#draining.keys());
    const due = new Set<VirtualServerKey>();
    for (const [key, until] of this.#deadlines()) if (until <= now) due.add(key);
    return due;
  }

  *#deadlines(): Iterable<readonly [VirtualServerKey, number]> {
    for (const [key, servers] of this.#draining)
      if (!this.#unreadable.has(key)) for (const { until } of servers.values()) yield [key, until];
  }

  /** Looks at what drains in these virtual servers; undefined where nothing does, and nothing did. Its deletions are to be made. */
  async check(keys: Iterable<VirtualServerKey>): Promise<DrainStep | undefined> {
    const { ipvs, observed, desired, drainSettings, isNodeDeleted, onUnreadable, now } = this.parts;
    const checked = [...keys];
    const candidates = virtualServersWithDraining(checked, desired, observed, drainSettings());
    const observations = new Map<VirtualServerKey, readonly RealServerObservation[]>();
    // What no longer drains (wanted again, or gone as a whole) is forgotten: nothing was read of it.
    for (const key of checked) {
      this.#unreadable.delete(key);
      if (this.#draining.has(key)) observations.set(key, []);
    }
    for (const [index, { server }] of candidates.entries()) {
      if (index % readsPerTurn === readsPerTurn - 1) await yieldToEventLoop();
      const found = await tryReadRealServers(ipvs, server.identity, onUnreadable);
      if (found !== 'unreadable') observations.set(server.key, found);
      else {
        observations.delete(server.key);
        this.#unreadable.add(server.key);
      }
    }
    this.forgetEndpoints(checked);
    if (observations.size === 0) return undefined;
    const step = drainStep({
      draining: this.#draining,
      observations,
      desired,
      now: now(),
      settings: drainSettings(),
      recordOf: (key) => observed.element(key),
      endpointOf: (of, realServer) => this.parts.endpoints.formerEndpoint(of, realServer),
      isNodeDeleted,
    });
    this.counters.recordStep(this.#draining, step);
    if (this.#draining.size === 0) this.#nextCheck = now() + drainCheckIntervalMilliseconds;
    this.#draining = step.stillDraining;
    this.#updateRecords();
    return step;
  }

  #updateRecords(): void {
    const before = this.#records;
    const records = new Map<ElementKey, SetElement>();
    // One that says something else is taken away, and written at the next look.
    for (const servers of this.#draining.values())
      for (const { record } of servers.values())
        if (this.#differsInKernel(record)) this.#changedRecords.add(record.key);
        else records.set(record.key, record);
    for (const key of before.keys()) if (!records.has(key)) this.#changedRecords.add(key);
    for (const key of records.keys()) if (!before.has(key)) this.#changedRecords.add(key);
    this.#records = records;
  }

  #differsInKernel({ key, comment }: SetElement): boolean {
    const observedRecord = this.parts.observed.element(key);
    return observedRecord !== undefined && observedRecord.comment !== comment;
  }

  /** To be called once deletions are made: a former endpoint is of use for as long as the kernel has its real server. */
  forgetEndpoints(keys: Iterable<VirtualServerKey>): void {
    const { observed, endpoints } = this.parts;
    for (const key of keys) {
      endpoints.formerEndpoints.retain(key, observed.virtualServer(key)?.realServers);
    }
  }
}

/** Which records of drains are wanted is known once it has been looked at what drains. */
export const withoutDrainRecords = (dirty: DirtyKeys): DirtyKeys => ({
  ...dirty,
  elements: new Set([...dirty.elements].filter((key) => !isDrainRecord(key))),
});

/** What is wanted with the records of what drains. */
export const withDrainRecords = (desired: DesiredView, drains: Pick<Drains, 'record'>): DesiredView => ({
  virtualServer: (key) => desired.virtualServer(key),
  hasAddress: (address) => desired.hasAddress(address),
  element: (key) => drains.record(key) ?? desired.element(key),
});
