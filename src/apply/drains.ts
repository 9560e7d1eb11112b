import { yieldToEventLoop } from '../base/async.js';
import type { Endpoint } from '../model/endpoint.js';
import type { RealServerKey, RealServerObservation, VirtualServerKey } from '../model/virtual-server.js';
import {
  drainPeriodMilliseconds,
  drainStep,
  drainingAmong,
  type Draining,
  type DrainSettings,
  type DrainStep,
} from '../plan/drain.js';
import type { Wanted } from '../plan/diff.js';
import { departureOf, type Departure, type FormerEndpoints } from '../plan/former-endpoints.js';
import { DrainCounters } from './drain-counters.js';
import type { IpvsReads } from './kernel-reader.js';
import type { Observed } from './observed.js';

export interface DrainsParts {
  readonly ipvs: Pick<IpvsReads, 'realServers'>;
  readonly observed: Observed;
  readonly wanted: Wanted;
  readonly lingering: { has(key: VirtualServerKey): boolean };
  /** What real servers were made of. */
  readonly endpoints: {
    formerEndpoint(of: VirtualServerKey, realServer: RealServerKey): Endpoint | undefined;
    readonly formerEndpoints: Pick<FormerEndpoints, 'retain'>;
  };
  /** Whether the node is known to be gone. */
  readonly isNodeGone: (nodeName: string) => boolean;
  /** As they are now. */
  readonly drainSettings: () => DrainSettings;
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
  readonly isLingering: boolean;
}

/** Virtual servers that are read in a row before the event loop has its turn. */
const readsInARow = 64;

/** Looking at what drains takes no more than one part in so many of the time, however much drains. */
const lookShare = 20;

/** The real servers that drain: reads them and says which of them have ended. */
export class Drains {
  readonly counters = new DrainCounters();
  #draining: Draining = new Map();
  #pause = drainPeriodMilliseconds;

  constructor(private readonly parts: DrainsParts) {}

  /** Since when real servers have been draining. */
  get draining(): Draining {
    return this.#draining;
  }

  /** In how many milliseconds to look again at what drains: it costs one dump for each virtual server. */
  get pause(): number {
    return this.#pause;
  }

  /** All that drains, one by one. */
  *all(): Iterable<Drain> {
    for (const [virtualServer, servers] of this.#draining)
      for (const [realServer, { since }] of servers) {
        const endpoint = this.parts.endpoints.formerEndpoint(virtualServer, realServer);
        const departure = endpoint === undefined ? undefined : departureOf(endpoint);
        const isLingering = this.parts.lingering.has(virtualServer);
        yield { virtualServer, realServer, since, endpoint, departure, isLingering };
      }
  }

  /** The nodes of draining real servers that did not leave as pods do that are deleted: they may be gone. */
  suspectNodes(): ReadonlySet<string> {
    const names = new Set<string>();
    for (const { endpoint, departure, isLingering } of this.all())
      if (endpoint?.nodeName !== undefined && departure !== 'terminating' && !isLingering)
        names.add(endpoint.nodeName);
    return names;
  }

  /** How many real servers of the node drain. */
  countOf(nodeName: string): number {
    return [...this.all()].filter(({ endpoint }) => endpoint?.nodeName === nodeName).length;
  }

  /** Looks at all that drains. */
  async lookAtAll(): Promise<DrainStep | undefined> {
    const started = this.parts.now();
    const step = await this.look(this.#draining.keys());
    this.#pause = Math.max(drainPeriodMilliseconds, (this.parts.now() - started) * lookShare);
    return step;
  }

  /** Looks at what drains in these virtual servers; undefined where nothing does, and nothing did. Its deletions are to be made. */
  async look(keys: Iterable<VirtualServerKey>): Promise<DrainStep | undefined> {
    const { ipvs, observed, wanted, drainSettings, isNodeGone, now } = this.parts;
    const looked = [...keys];
    const candidates = drainingAmong(looked, wanted, observed, drainSettings());
    const observations = new Map<VirtualServerKey, readonly RealServerObservation[]>();
    // What no longer drains (wanted again, or gone as a whole) is forgotten: nothing was read of it.
    for (const key of looked) if (this.#draining.has(key)) observations.set(key, []);
    for (const [index, { server }] of candidates.entries()) {
      if (index % readsInARow === readsInARow - 1) await yieldToEventLoop();
      observations.set(server.key, await ipvs.realServers(server.identity));
    }
    this.forgetEndpoints(looked);
    if (observations.size === 0) return undefined;
    const step = drainStep({
      draining: this.#draining,
      observations,
      wanted,
      now: now(),
      settings: drainSettings(),
      endpointOf: (of, realServer) => this.parts.endpoints.formerEndpoint(of, realServer),
      isNodeGone,
    });
    this.counters.note(this.#draining, step);
    this.#draining = step.keep;
    return step;
  }

  /** To be called once deletions are made: a former endpoint is of use for as long as the kernel has its real server. */
  forgetEndpoints(keys: Iterable<VirtualServerKey>): void {
    const { observed, endpoints } = this.parts;
    for (const key of keys) {
      const present = observed.virtualServer(key)?.realServers;
      endpoints.formerEndpoints.retain(key, (realServer) => present?.has(realServer) === true);
    }
  }
}
