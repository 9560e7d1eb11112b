import { Yielder } from '../../base/async.js';
import type { Protocol } from '../../base/protocol.js';
import type { ServiceKey } from '../../model/service.js';
import type { Statistics, VirtualServerKey } from '../../model/virtual-server.js';
import type { Sample } from './catalogue.js';

/** A port of a Service: each has its own series. */
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
  /** Read each time. */
  readonly settings: () => { readonly enabled: boolean; readonly maximum: number };
  /** Reads all virtual servers with one dump. */
  readonly read: () => Promise<readonly VirtualServerStatistics[]>;
  /** The port that the virtual server serves; undefined if it belongs to no Service. */
  readonly portOf: (key: VirtualServerKey) => ServicePortName | undefined;
  /** A monotonic clock in milliseconds. */
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

/** The kernel's totals, in the order of `totalNames`. */
type Totals = readonly number[];

/** The totals of one port. */
interface Series {
  readonly name: ServicePortName;
  readonly totals: number[];
  /** The last totals of each virtual server. */
  lastTotals: ReadonlyMap<VirtualServerKey, Totals>;
}

interface PortStatistics {
  readonly name: ServicePortName;
  readonly servers: VirtualServerStatistics[];
}

/** How long a result is reused: several scrapers cost the kernel no more than one. */
const cacheMilliseconds = 1_000;

/** How long this may block the event loop. */
const maximumBlockingMilliseconds = 2;

const idOf = ({ service, port, protocol }: ServicePortName): string => `${service} ${protocol} ${port}`;
const totalsOf = (statistics: Statistics): Totals => totalNames.map((name) => Number(statistics[name]));
const connectionsOf = ({ servers }: PortStatistics): number =>
  servers.reduce((sum, { statistics }) => sum + Number(statistics.connections), 0);

/** The ports with the most connections that have no series yet. */
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

/** A counter that decreased was reset. */
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
 * The kernel's statistics by port of a Service. A port has one series that never decreases, even if it has several
 * addresses or its virtual servers are replaced. Beyond the maximum, the ports with the most connections get series, and
 * keep them.
 */
export class ServiceTraffic {
  readonly #series = new Map<string, Series>();
  #last: { readonly at: number; readonly samples: Promise<readonly Sample[]> } | undefined;
  readonly #now: () => number;

  constructor(private readonly parts: ServiceTrafficParts) {
    this.#now = parts.now ?? (() => performance.now());
  }

  /** Reads the kernel, unless the last result is recent. */
  samples(): Promise<readonly Sample[]> {
    const { enabled, maximum } = this.parts.settings();
    if (!enabled) {
      this.#series.clear();
      return Promise.resolve([]);
    }
    if (this.#last === undefined || this.#now() - this.#last.at >= cacheMilliseconds) {
      this.#last = { at: this.#now(), samples: this.#collect(maximum) };
      // A failure is not reused.
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

  /** Drops the series of ports that no longer exist, and selects other ports instead. */
  #selectSeries(found: ReadonlyMap<string, PortStatistics>, maximum: number): void {
    for (const [id, series] of this.#series)
      if (!found.has(id) && !this.#isServed(series)) this.#series.delete(id);
    for (const id of [...this.#series.keys()].slice(maximum)) this.#series.delete(id);
    const free = maximum - this.#series.size;
    for (const [id, name] of busiest(found, this.#series, free))
      this.#series.set(id, { name, totals: totalNames.map(() => 0), lastTotals: new Map() });
  }

  /** A dump may miss a virtual server that exists. */
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
