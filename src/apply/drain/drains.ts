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
import type { ChangeRecorder } from '../change-recorder.js';
import { DrainCounters } from './drain-counters.js';

export interface DrainsParts {
  readonly ipvs: Pick<IpvsReads, 'realServers'>;
  readonly state: EngineState;
  readonly desired: DesiredView;
  /** The endpoints behind the real servers. */
  readonly endpoints: {
    formerEndpoint(of: VirtualServerKey, realServer: RealServerKey): Endpoint | undefined;
  };
  /** Whether the node is known to be deleted. */
  readonly isNodeDeleted: (nodeName: string) => boolean;
  readonly drainSettings: () => DrainSettings;
  readonly onUnreadable: UnreadableHandler;
  /** Milliseconds of a monotonic clock. */
  readonly now: () => number;
  readonly recorder: Pick<ChangeRecorder, 'drain'>;
}

/** A draining real server with open connections. */
export interface Drain {
  readonly virtualServer: VirtualServerKey;
  readonly realServer: RealServerKey;
  /** In milliseconds of the clock of `now`. */
  readonly since: number;
  /** The last known endpoint of the real server; undefined if only an earlier process knew it. */
  readonly endpoint: Endpoint | undefined;
  readonly departure: Departure | undefined;
  /** Whether the virtual server is orphaned. */
  readonly isOrphaned: boolean;
}

/** Virtual servers to read before yielding to the event loop. */
const readsPerTurn = 64;

/** Checking drains takes at most 1/20 of the time, regardless of how many real servers drain. */
const checkTimeDivisor = 20;

/** Checks the draining real servers and decides which drains have ended. */
export class Drains {
  readonly counters = new DrainCounters();
  /** When the next check of all draining real servers is due. */
  #nextCheck = 0;

  constructor(private readonly parts: DrainsParts) {}

  get #index(): EngineState['virtualServers']['drains'] {
    return this.parts.state.virtualServers.drains;
  }

  get draining(): Draining {
    return this.#index.draining;
  }

  /** The number of draining real servers. */
  get size(): number {
    return this.#index.size;
  }

  /**
   * Milliseconds until the next check: of real servers that reach their deadline, or of all, which costs one
   * dump per virtual server.
   */
  get nextCheckDelay(): number {
    const next = Math.min(this.#nextCheck, this.#index.nextDeadline ?? Infinity);
    return Math.max(0, next - this.parts.now());
  }

  /** When the longest drain began. Visits every draining real server. */
  get oldestStart(): number | undefined {
    let oldest: number | undefined;
    for (const servers of this.draining.values())
      for (const { since } of servers.values()) oldest = Math.min(oldest ?? since, since);
    return oldest;
  }

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

  /**
   * Nodes that may be deleted: a real server on them drains although its endpoint was not seen terminating.
   */
  nodesToCheck(): ReadonlySet<string> {
    return this.#index.suspectNodes();
  }

  /** The number of draining real servers on the node. */
  countOnNode(nodeName: string): number {
    return this.#index.countOnNode(nodeName);
  }

  async checkAll(): Promise<DrainStep> {
    const { now } = this.parts;
    const started = now();
    const step = await this.check([...this.draining.keys()]);
    this.#nextCheck = now() + Math.max(drainCheckIntervalMilliseconds, (now() - started) * checkTimeDivisor);
    return step;
  }

  /** The virtual servers whose check is due; undefined if all are due. */
  takeDue(): ReadonlySet<VirtualServerKey> | undefined {
    const now = this.parts.now();
    return now >= this.#nextCheck ? undefined : this.#index.takeDue(now);
  }

  /**
   * Checks the draining real servers of these virtual servers. The caller applies the deletions of the step.
   */
  async check(keys: readonly VirtualServerKey[]): Promise<DrainStep> {
    const { state, endpoints, isNodeDeleted, drainSettings, desired, now, recorder } = this.parts;
    const { observations, unreadable } = await this.#read(keys);
    const at = now();
    const wasEmpty = this.draining.size === 0;
    const step = drainStep({
      drainingOf: (key) => this.#index.of(key),
      unreadable,
      observations,
      desired,
      now: at,
      settings: drainSettings(),
      recordOf: (key) => state.element(key),
      endpointOf: (of, realServer) => endpoints.formerEndpoint(of, realServer),
      isOrphan: (key) => state.virtualServers.orphans.get(key) !== undefined,
      isNodeDeleted,
    });
    for (const event of this.counters.recordStep((key) => this.#index.of(key), step, at))
      recorder.drain(event);
    for (const [key, servers] of step.stillDraining) state.virtualServers.setDraining(key, servers);
    if (wasEmpty) this.#nextCheck = at + drainCheckIntervalMilliseconds;
    return step;
  }

  /**
   * Reads the virtual servers that have draining real servers; skips those where no real server drains any
   * more.
   */
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
