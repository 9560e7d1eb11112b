import { yieldToEventLoop } from '../base/async.js';
import type { Logger } from '../base/log.js';
import type { VirtualServerKey } from '../model/virtual-server.js';
import { isEmpty, touch, union, type Touched, type Wanted } from '../plan/diff.js';
import type { DrainSettings } from '../plan/drain.js';
import type { Lingering, LingerEnd } from '../plan/lingering.js';
import { tryRealServers, type IpvsReads, type Unreadable } from './kernel-reader.js';
import { tellOfEach } from './news.js';
import type { Observed } from './observed.js';

export interface LingerersParts {
  readonly ipvs: Pick<IpvsReads, 'realServers'>;
  readonly observed: Observed;
  /** All that is wanted, what lingers included. */
  readonly wanted: Wanted;
  readonly lingering: Lingering;
  readonly drainSettings: () => DrainSettings;
  readonly unreadable: Unreadable;
  readonly log: Logger;
}

/** Virtual servers that are read in a row before the event loop has its turn. */
const readsInARow = 64;

/** All keys of all parts; many parts cost no more than their keys. */
const together = (parts: readonly Touched[]): Touched => ({
  virtualServers: new Set(parts.flatMap(({ virtualServers }) => [...virtualServers])),
  addresses: new Set(parts.flatMap(({ addresses }) => [...addresses])),
  elements: new Set(parts.flatMap(({ elements }) => [...elements])),
});

/** Decides by their connections which of the virtual servers linger that nobody wants any more, and says when they begin and end. */
export class Lingerers {
  constructor(private readonly parts: LingerersParts) {}

  /**
   * To be called before touched keys are diffed: what has become unwanted is read once. Gives the keys with those that are wanted
   * otherwise as virtual servers linger, or linger no more.
   */
  async settle(touched: Touched): Promise<Touched> {
    const ended = this.end(touched.virtualServers, ['wanted-again', 'gone']);
    const begun = await this.#begin(touched.virtualServers);
    return isEmpty(ended) && isEmpty(begun) ? touched : union(touched, union(ended, begun));
  }

  /** Lets go of those that end in one of these ways; gives what is wanted otherwise by that. */
  end(keys: Iterable<VirtualServerKey>, ways: readonly LingerEnd[]): Touched {
    const { lingering, observed, log } = this.parts;
    if (lingering.size === 0) return touch();
    const changed: Touched[] = [];
    const news: object[] = [];
    for (const key of keys) {
      const end = lingering.endOf(key, observed);
      if (end === undefined || !ways.includes(end)) continue;
      changed.push(lingering.end(key));
      news.push({ virtualServer: key, end });
    }
    tellOfEach(news, (fields) => log.info(fields, 'a virtual server lingers no more'));
    return together(changed);
  }

  async #begin(keys: Iterable<VirtualServerKey>): Promise<Touched> {
    const { lingering, observed, wanted, ipvs, drainSettings, unreadable, log } = this.parts;
    const changed: Touched[] = [];
    const news: object[] = [];
    const candidates = lingering.candidates(keys, wanted, observed, drainSettings());
    for (const [index, have] of candidates.entries()) {
      if (index % readsInARow === readsInARow - 1) await yieldToEventLoop();
      const realServers = await tryRealServers(ipvs, have.server.identity, unreadable);
      // Whether it has connections is not known: it stays until its next try.
      if (realServers === 'unreadable') continue;
      const connections = realServers.reduce(
        (sum, { activeConnections, inactiveConnections }) => sum + activeConnections + inactiveConnections,
        0,
      );
      if (connections === 0) continue;
      changed.push(lingering.add(have, observed));
      news.push({ virtualServer: have.server.key, connections });
    }
    tellOfEach(news, (fields) =>
      log.info(fields, 'no Service asks for a virtual server any more; it stays for its open connections'),
    );
    return together(changed);
  }
}
