import { Yielder } from '../../base/async.js';
import type { Protocol } from '../../base/protocol.js';
import type { ServiceKey } from '../../model/service.js';
import type { Statistics, VirtualServerKey } from '../../model/virtual-server.js';
import { CachedTable, emptyTable } from './cached-table.js';
import { addGrowth, totalsOf, zeroTotals, type Totals } from './kernel-totals.js';
import type { MetricKey, Sample } from './catalogue.js';
import type { SampleTable } from './registry.js';

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

const rateNames = [
  'connectionsPerSecond',
  'inPacketsPerSecond',
  'outPacketsPerSecond',
  'inBytesPerSecond',
  'outBytesPerSecond',
] as const;

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

/** How long this may block the event loop. */
const maximumBlockingMilliseconds = 2;
const portsPerClockCheck = 16;

const idOf = ({ service, port, protocol }: ServicePortName): string => `${service} ${protocol} ${port}`;
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

/** What one port shows: its totals and its rates, in the order of their names. */
interface Row {
  readonly name: ServicePortName;
  readonly values: Float64Array;
}

/** By metric: the values of a row, with their direction. */
const columns = {
  serviceConnections: [[0, undefined]],
  servicePackets: [
    [1, 'in'],
    [2, 'out'],
  ],
  serviceBytes: [
    [3, 'in'],
    [4, 'out'],
  ],
  serviceConnectionRate: [[5, undefined]],
  servicePacketRate: [
    [6, 'in'],
    [7, 'out'],
  ],
  serviceByteRate: [
    [8, 'in'],
    [9, 'out'],
  ],
} as const satisfies { readonly [Key in MetricKey]?: readonly (readonly [number, string | undefined])[] };

type ColumnKey = keyof typeof columns;
const columnKeys = Object.keys(columns) as readonly ColumnKey[];
const isColumn = (metric: MetricKey): metric is ColumnKey => metric in columns;

const rowOf = ({ name, totals }: Series, { servers }: PortStatistics): Row => {
  const rates = rateNames.map((rate) =>
    servers.reduce((sum, { statistics }) => sum + Number(statistics[rate]), 0),
  );
  return { name, values: Float64Array.from([...totals, ...rates]) };
};

/** The rows of one read of the kernel. */
class TrafficTable implements SampleTable {
  readonly metrics = ['servicePortsLeftOut', ...columnKeys] as const;

  constructor(
    private readonly rows: readonly Row[],
    private readonly leftOut: number,
  ) {}

  *samplesOf(metric: MetricKey): Iterable<Sample> {
    if (metric === 'servicePortsLeftOut') yield { metric, value: this.leftOut };
    if (!isColumn(metric)) return;
    for (const { name, values } of this.rows) {
      const [namespace = '', service = ''] = name.service.split('/');
      for (const [index, direction] of columns[metric]) {
        const labels = {
          service_namespace: namespace,
          service_name: service,
          service_port: String(name.port),
          protocol: name.protocol,
          ...(direction !== undefined && { direction }),
        };
        yield { metric, labels, value: values[index] ?? 0 };
      }
    }
  }
}

/**
 * The kernel's statistics by port of a Service. A port has one series that never decreases, even if it has several
 * addresses or its virtual servers are replaced. Beyond the maximum, the ports with the most connections get series, and
 * keep them.
 */
export class ServiceTraffic {
  readonly #series = new Map<string, Series>();
  readonly #cache: CachedTable;

  constructor(private readonly parts: ServiceTrafficParts) {
    this.#cache = new CachedTable(parts.now);
  }

  /** Reads the kernel, unless the last result is recent. */
  table(): Promise<SampleTable> {
    const { enabled, maximum } = this.parts.settings();
    if (enabled) return this.#cache.get(() => this.#collect(maximum));
    this.#series.clear();
    return Promise.resolve(emptyTable);
  }

  async #collect(maximum: number): Promise<SampleTable> {
    const found = await this.#readByPort();
    await this.#selectSeries(found, maximum);
    const rows: Row[] = [];
    const yielder = new Yielder(maximumBlockingMilliseconds, portsPerClockCheck);
    for (const [id, series] of this.#series) {
      await yielder.yieldIfDue();
      const port = found.get(id);
      if (port === undefined) continue;
      this.#add(series, port);
      rows.push(rowOf(series, port));
    }
    return new TrafficTable(rows, found.size - this.#series.size);
  }

  async #readByPort(): Promise<ReadonlyMap<string, PortStatistics>> {
    const found = new Map<string, PortStatistics>();
    const servers = await this.parts.read();
    const yielder = new Yielder(maximumBlockingMilliseconds, portsPerClockCheck);
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
  async #selectSeries(found: ReadonlyMap<string, PortStatistics>, maximum: number): Promise<void> {
    const yielder = new Yielder(maximumBlockingMilliseconds, portsPerClockCheck);
    for (const [id, series] of this.#series) {
      await yielder.yieldIfDue();
      if (!found.has(id) && !this.#isServed(series)) this.#series.delete(id);
    }
    for (const id of [...this.#series.keys()].slice(maximum)) this.#series.delete(id);
    const free = maximum - this.#series.size;
    for (const [id, name] of busiest(found, this.#series, free)) {
      await yielder.yieldIfDue();
      this.#series.set(id, { name, totals: zeroTotals(), lastTotals: new Map() });
    }
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
      addGrowth(series.totals, series.lastTotals.get(key), totals);
      seen.set(key, totals);
    }
    for (const [key, totals] of series.lastTotals)
      if (!seen.has(key) && this.parts.portOf(key) !== undefined) seen.set(key, totals);
    series.lastTotals = seen;
  }
}
