import { yieldToEventLoop } from '../../base/async.js';
import type { Endpoint } from '../../model/endpoint.js';
import type { RealServerKey, RealServerObservation, VirtualServerKey } from '../../model/virtual-server.js';
import {
  drainCheckIntervalMilliseconds,
  drainStep,
  virtualServersWithDraining,
  type Draining,
  type DrainSettings,
  type DrainStep,
} from '../../plan/drain/drain-step.js';
import { departureOf, type Departure } from '../../plan/endpoints/former-endpoints.js';
import type { DesiredView } from '../../plan/operations/diff.js';
import { tryReadRealServers, type IpvsReads, type UnreadableHandler } from '../mirror/kernel-reader.js';
import type { EngineState } from '../state/engine-state.js';
import { DrainCounters } from './drain-counters.js';

export interface DrainsParts {
  readonly ipvs: Pick<IpvsReads, 'realServers'>;
  readonly state: EngineState;
  readonly desired: DesiredView;
  /** What real servers were made of. */
  readonly endpoints: {
    formerEndpoint(of: VirtualServerKey, realServer: RealServerKey): Endpoint | undefined;
  };
  /** Whether the node is known to be deleted. */
  readonly isNodeDeleted: (nodeName: string) => boolean;
  readonly drainSettings: () => DrainSettings;
  readonly onUnreadable: UnreadableHandler;
  /** Milliseconds of a monotonic clock. */
  readonly now: () => number;
}

/** A draining real server; it has connections. */
export interface Drain {
  readonly virtualServer: VirtualServerKey;
  readonly realServer: RealServerKey;
  /** Milliseconds of the clock of `now`. */
  readonly since: number;
  /** What it was made of, as last seen; undefined if that was before this process. */
  readonly endpoint: Endpoint | undefined;
  readonly departure: Departure | undefined;
  /** Whether no Service asks for the whole virtual server any more. */
  readonly isOrphaned: boolean;
}

/** Virtual servers that are read before the event loop gets its turn. */
const readsPerTurn = 64;

/** Checking what drains takes at most one part in so many of the time, however much drains. */
const checkTimeDivisor = 20;

/** The draining real servers: reads them, and says which of them have ended. */
export class Drains {
  readonly counters = new DrainCounters();
  /** When to check all of them again. */
  #nextCheck = 0;

  constructor(private readonly parts: DrainsParts) {}

  get #index(): EngineState['virtualServers']['drains'] {
    return this.parts.state.virtualServers.drains;
  }

  get draining(): Draining {
    return this.#index.draining;
  }

  /** How many real servers drain. */
  get size(): number {
    return this.#index.size;
  }

  /** Milliseconds until the next check: of what reaches its deadline, or of all, which costs one dump for each virtual server. */
  get nextCheckDelay(): number {
    const next = Math.min(this.#nextCheck, this.#index.nextDeadline ?? Infinity);
    return Math.max(0, next - this.parts.now());
  }

  /** When the longest drain began. Looks at all of them. */
  get oldestStart(): number | undefined {
    let oldest: number | undefined;
    for (const servers of this.draining.values())
      for (const { since } of servers.values()) oldest = Math.min(oldest ?? since, since);
    return oldest;
  }

  /** All draining real servers, one by one. */
  *all(): Iterable<Drain> {
    const { endpoints, state } = this.parts;
    for (const [virtualServer, servers] of this.draining)
      for (const [realServer, { since }] of servers) {
        const endpoint = endpoints.formerEndpoint(virtualServer, realServer);
        const departure = endpoint === undefined ? undefined : departureOf(endpoint);
        const isOrphaned = state.virtualServers.orphans.get(virtualServer) !== undefined;
        yield { virtualServer, realServer, since, endpoint, departure, isOrphaned };
      }
  }

  /** Nodes that may be deleted: something drains on them that did not leave as a pod does that is deleted. */
  nodesToCheck(): ReadonlySet<string> {
    return this.#index.suspectNodes();
  }

  /** How many real servers of the node drain. */
  countOnNode(nodeName: string): number {
    return this.#index.countOnNode(nodeName);
  }

  /** Checks all draining real servers. */
  async checkAll(): Promise<DrainStep> {
    const { now } = this.parts;
    const started = now();
    const step = await this.check([...this.draining.keys()]);
    this.#nextCheck = now() + Math.max(drainCheckIntervalMilliseconds, (now() - started) * checkTimeDivisor);
    return step;
  }

  /** The virtual servers to check now; undefined: all. */
  takeDue(): ReadonlySet<VirtualServerKey> | undefined {
    const now = this.parts.now();
    return now >= this.#nextCheck ? undefined : this.#index.takeDue(now);
  }

  /** Checks what drains in these virtual servers. The deletions of the step are to be made. */
  async check(keys: readonly VirtualServerKey[]): Promise<DrainStep> {
    const { state, endpoints, isNodeDeleted, drainSettings, desired, now } = this.parts;
    const { observations, unreadable } = await this.#read(keys);
    const wasEmpty = this.draining.size === 0;
    const step = drainStep({
      drainingOf: (key) => this.#index.of(key),
      unreadable,
      observations,
      desired,
      now: now(),
      settings: drainSettings(),
      recordOf: (key) => state.element(key),
      endpointOf: (of, realServer) => endpoints.formerEndpoint(of, realServer),
      isOrphan: (key) => state.virtualServers.orphans.get(key) !== undefined,
      isNodeDeleted,
    });
    this.counters.recordStep((key) => this.#index.of(key), step);
    for (const [key, servers] of step.stillDraining) state.virtualServers.setDraining(key, servers);
    if (wasEmpty) this.#nextCheck = now() + drainCheckIntervalMilliseconds;
    return step;
  }

  /** Reads the virtual servers with draining real servers. Nothing is read of those where nothing drains any more. */
  async #read(keys: readonly VirtualServerKey[]): Promise<{
    readonly observations: ReadonlyMap<VirtualServerKey, readonly RealServerObservation[]>;
    readonly unreadable: readonly VirtualServerKey[];
  }> {
    const { ipvs, state, desired, drainSettings, onUnreadable } = this.parts;
    const observations = new Map<VirtualServerKey, readonly RealServerObservation[]>();
    const unreadable: VirtualServerKey[] = [];
    for (const key of keys) if (this.draining.has(key)) observations.set(key, []);
    const candidates = virtualServersWithDraining(keys, desired, state, drainSettings());
    for (const [index, { server }] of candidates.entries()) {
      if (index % readsPerTurn === readsPerTurn - 1) await yieldToEventLoop();
      const found = await tryReadRealServers(ipvs, server.identity, onUnreadable);
      if (found !== 'unreadable') observations.set(server.key, found);
      else {
        observations.delete(server.key);
        unreadable.push(server.key);
      }
    }
    return { observations, unreadable };
  }
}
