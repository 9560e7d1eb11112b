import { yieldToEventLoop } from '../base/async.js';
import type { RealServerObservation, VirtualServerKey } from '../model/virtual-server.js';
import {
  drainPeriodMilliseconds,
  drainStep,
  drainingAmong,
  type Draining,
  type DrainSettings,
  type DrainStep,
} from '../plan/drain.js';
import type { Wanted } from '../plan/diff.js';
import { DrainCounters } from './drain-counters.js';
import type { IpvsReads } from './kernel-reader.js';
import type { Observed } from './observed.js';

export interface DrainsParts {
  readonly ipvs: Pick<IpvsReads, 'realServers'>;
  readonly observed: Observed;
  readonly wanted: Wanted;
  /** As they are now. */
  readonly drainSettings: () => DrainSettings;
  /** Milliseconds of a clock that nobody sets. */
  readonly now: () => number;
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

  /** Looks at all that drains. */
  async lookAtAll(): Promise<DrainStep | undefined> {
    const started = this.parts.now();
    const step = await this.look(this.#draining.keys());
    this.#pause = Math.max(drainPeriodMilliseconds, (this.parts.now() - started) * lookShare);
    return step;
  }

  /** Looks at what drains in these virtual servers; undefined where nothing does, and nothing did. Its deletions are to be made. */
  async look(keys: Iterable<VirtualServerKey>): Promise<DrainStep | undefined> {
    const { ipvs, observed, wanted, drainSettings, now } = this.parts;
    const looked = [...keys];
    const candidates = drainingAmong(looked, wanted, observed, drainSettings());
    const observations = new Map<VirtualServerKey, readonly RealServerObservation[]>();
    // What no longer drains (wanted again, or gone as a whole) is forgotten: nothing was read of it.
    for (const key of looked) if (this.#draining.has(key)) observations.set(key, []);
    for (const [index, { server }] of candidates.entries()) {
      if (index % readsInARow === readsInARow - 1) await yieldToEventLoop();
      observations.set(server.key, await ipvs.realServers(server.identity));
    }
    if (observations.size === 0) return undefined;
    const step = drainStep({
      draining: this.#draining,
      observations,
      wanted,
      now: now(),
      settings: drainSettings(),
    });
    this.counters.note(this.#draining, step);
    this.#draining = step.keep;
    return step;
  }
}
