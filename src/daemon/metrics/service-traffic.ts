import { Yielder } from '../../base/async.js';
import type { Protocol } from '../../base/protocol.js';
import type { ServiceKey } from '../../model/service.js';
import type { Statistics, VirtualServerKey } from '../../model/virtual-server.js';
import type { Sample } from './catalogue.js';

/** A port of a Service: the unit that series are kept for. */
export interface ServicePortName {
  readonly service: ServiceKey;
  readonly port: number;
  readonly protocol: Protocol;
}

export interface VirtualServerStatistics {
  readonly key: VirtualServerKey;
  readonly statistics: Statistics;
}

export interface ServiceTrafficParts {
  /** Asked for each time. */
  readonly settings: () => { readonly enabled: boolean; readonly maximum: number };
  /** All virtual servers, with one dump. */
  readonly read: () => Promise<readonly VirtualServerStatistics[]>;
  /** Whose virtual server it is; undefined: no Service's. */
  readonly portOf: (key: VirtualServerKey) => ServicePortName | undefined;
  /** Milliseconds of a clock that nobody sets. */
  readonly now?: () => number;
}

const totalNames = ['connections', 'inPackets', 'outPackets', 'inBytes', 'outBytes'] as const;
const rateNames = [
  'connectionsPerSecond',
  'inPacketsPerSecond',
  'outPacketsPerSecond',
  'inBytesPerSecond',
  'outBytesPerSecond',
] as const;

/** Totals as the kernel had them, in the order of `totalNames`. */
type Totals = readonly number[];

/** What one port is served on, and what it has come to. */
interface Series {
  readonly name: ServicePortName;
  readonly totals: number[];
  /** As each virtual server was read last. */
  lastTotals: ReadonlyMap<VirtualServerKey, Totals>;
}

interface PortStatistics {
  readonly name: ServicePortName;
  readonly servers: VirtualServerStatistics[];
}

/** How long an answer counts: several scrapers, or one in a hurry, cost the kernel no more than one. */
const cacheMilliseconds = 1_000;

/** How long this may hold up everything else. */
const maximumBlockingMilliseconds = 2;

const idOf = ({ service, port, protocol }: ServicePortName): string => `${service} ${protocol} ${port}`;
const totalsOf = (statistics: Statistics): Totals => totalNames.map((name) => Number(statistics[name]));
const connectionsOf = ({ servers }: PortStatistics): number =>
  servers.reduce((sum, { statistics }) => sum + Number(statistics.connections), 0);

/** So many ports that have no series yet: those with the most connections. */
const busiest = (
  found: ReadonlyMap<string, PortStatistics>,
  taken: ReadonlyMap<string, unknown>,
  count: number,
): readonly (readonly [id: string, name: ServicePortName])[] => {
  if (count <= 0) return [];
  const others: { readonly id: string; readonly name: ServicePortName; readonly connections: number }[] = [];
  for (const [id, port] of found)
    if (!taken.has(id)) others.push({ id, name: port.name, connections: connectionsOf(port) });
  if (others.length > count) others.sort((a, b) => b.connections - a.connections);
  return others.slice(0, count).map(({ id, name }) => [id, name] as const);
};

/** A counter that went back began anew. */
const growth = (before: number, now: number): number => (now >= before ? now - before : now);

function* samplesOf({ name, totals }: Series, { servers }: PortStatistics): Iterable<Sample> {
  const [namespace = '', service = ''] = name.service.split('/');
  const labels = {
    service_namespace: namespace,
    service_name: service,
    service_port: String(name.port),
    protocol: name.protocol,
  };
  const into = { ...labels, direction: 'in' };
  const out = { ...labels, direction: 'out' };
  const [connections = 0, inPackets = 0, outPackets = 0, inBytes = 0, outBytes = 0] = totals;
  yield { metric: 'serviceConnections', labels, value: connections };
  yield { metric: 'servicePackets', labels: into, value: inPackets };
  yield { metric: 'servicePackets', labels: out, value: outPackets };
  yield { metric: 'serviceBytes', labels: into, value: inBytes };
  yield { metric: 'serviceBytes', labels: out, value: outBytes };
  const [connectionRate = 0, inPacketRate = 0, outPacketRate = 0, inByteRate = 0, outByteRate = 0] =
    rateNames.map((rate) => servers.reduce((sum, { statistics }) => sum + Number(statistics[rate]), 0));
  yield { metric: 'serviceConnectionRate', labels, value: connectionRate };
  yield { metric: 'servicePacketRate', labels: into, value: inPacketRate };
  yield { metric: 'servicePacketRate', labels: out, value: outPacketRate };
  yield { metric: 'serviceByteRate', labels: into, value: inByteRate };
  yield { metric: 'serviceByteRate', labels: out, value: outByteRate };
}

/**
 * The kernel's statistics by ports of Services. A port that is served on several addresses, or whose virtual servers come and
 * go, has one series that never falls. Of more ports than the maximum those with the most connections get series, and keep them.
 */
export class ServiceTraffic {
  readonly #series = new Map<string, Series>();
  #last: { readonly at: number; readonly samples: Promise<readonly Sample[]> } | undefined;
  readonly #now: () => number;

  constructor(private readonly parts: ServiceTrafficParts) {
    this.#now = parts.now ?? (() => performance.now());
  }

  /** Reads the kernel, unless that was done just now. */
  samples(): Promise<readonly Sample[]> {
    const { enabled, maximum } = this.parts.settings();
    if (!enabled) {
      this.#series.clear();
      return Promise.resolve([]);
    }
    if (this.#last === undefined || this.#now() - this.#last.at >= cacheMilliseconds) {
      this.#last = { at: this.#now(), samples: this.#collect(maximum) };
      // What failed is asked for again.
      this.#last.samples.catch(() => (this.#last = undefined));
    }
    return this.#last.samples;
  }

  async #collect(maximum: number): Promise<readonly Sample[]> {
    const found = await this.#readByPort();
    this.#selectSeries(found, maximum);
    const samples: Sample[] = [{ metric: 'servicePortsLeftOut', value: found.size - this.#series.size }];
    const yielder = new Yielder(maximumBlockingMilliseconds);
    for (const [id, series] of this.#series) {
      await yielder.yieldIfDue();
      const port = found.get(id);
      if (port === undefined) continue;
      this.#add(series, port);
      for (const sample of samplesOf(series, port)) samples.push(sample);
    }
    return samples;
  }

  async #readByPort(): Promise<ReadonlyMap<string, PortStatistics>> {
    const found = new Map<string, PortStatistics>();
    const servers = await this.parts.read();
    const yielder = new Yielder(maximumBlockingMilliseconds);
    for (const server of servers) {
      await yielder.yieldIfDue();
      const name = this.parts.portOf(server.key);
      if (name === undefined) continue;
      const id = idOf(name);
      const known = found.get(id);
      if (known === undefined) found.set(id, { name, servers: [server] });
      else if (!known.servers.some(({ key }) => key === server.key)) known.servers.push(server);
    }
    return found;
  }

  /** Drops the series of ports that are gone, and gives their places to others. */
  #selectSeries(found: ReadonlyMap<string, PortStatistics>, maximum: number): void {
    for (const [id, series] of this.#series)
      if (!found.has(id) && !this.#isServed(series)) this.#series.delete(id);
    for (const id of [...this.#series.keys()].slice(maximum)) this.#series.delete(id);
    const free = maximum - this.#series.size;
    for (const [id, name] of busiest(found, this.#series, free))
      this.#series.set(id, { name, totals: totalNames.map(() => 0), lastTotals: new Map() });
  }

  /** One that the dump has missed is served all the same. */
  #isServed({ lastTotals }: Series): boolean {
    for (const key of lastTotals.keys()) if (this.parts.portOf(key) !== undefined) return true;
    return false;
  }

  #add(series: Series, { servers }: PortStatistics): void {
    const seen = new Map<VirtualServerKey, Totals>();
    for (const { key, statistics } of servers) {
      const totals = totalsOf(statistics);
      const before = series.lastTotals.get(key);
      for (const [index, total] of totals.entries())
        series.totals[index] = (series.totals[index] ?? 0) + growth(before?.[index] ?? 0, total);
      seen.set(key, totals);
    }
    for (const [key, totals] of series.lastTotals)
      if (!seen.has(key) && this.parts.portOf(key) !== undefined) seen.set(key, totals);
    series.lastTotals = seen;
  }
}
