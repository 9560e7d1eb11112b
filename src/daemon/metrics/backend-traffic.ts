import { Yielder } from '../../base/async.js';
import { serviceMatcher } from '../../model/settings/service-patterns.js';
import type { Endpoint } from '../../model/endpoint.js';
import type {
  RealServerKey,
  RealServerObservation,
  VirtualServerIdentity,
  VirtualServerKey,
} from '../../model/virtual-server.js';
import { CachedTable, emptyTable } from './cached-table.js';
import type { MetricKey, Sample } from './catalogue.js';
import { addGrowth, totalsOf, zeroTotals, type Totals } from './kernel-totals.js';
import type { SampleTable } from './registry.js';
import type { ServicePortName } from './service-traffic.js';

/** A virtual server of a Service that the kernel has, with the keys of its real servers. */
export interface ServedVirtualServer {
  readonly key: VirtualServerKey;
  readonly identity: VirtualServerIdentity;
  readonly port: ServicePortName;
  readonly realServers: ReadonlyMap<RealServerKey, unknown>;
}

export interface BackendTrafficParts {
  /** Read each time. `services`: patterns of Services. */
  readonly settings: () => {
    readonly enabled: boolean;
    readonly maximumSeries: number;
    readonly services: readonly string[];
  };
  /** For each Service that matches, its virtual servers in the kernel. */
  readonly virtualServers: (
    isSelected: (service: ServicePortName['service']) => boolean,
  ) => Iterable<readonly ServedVirtualServer[]>;
  /** Reads the real servers of a virtual server with their statistics; yields to the event loop. */
  readonly read: (of: VirtualServerIdentity) => Promise<readonly RealServerObservation[]>;
  readonly endpointOf: (of: VirtualServerKey, realServer: RealServerKey) => Endpoint | undefined;
  readonly isDraining: (of: VirtualServerKey, realServer: RealServerKey) => boolean;
  /** A monotonic clock in milliseconds. */
  readonly now?: () => number;
}

/** By metric: the values of a backend, with their direction. The first five are totals. */
const columns = {
  backendConnections: [[0, undefined]],
  backendPackets: [
    [1, 'in'],
    [2, 'out'],
  ],
  backendBytes: [
    [3, 'in'],
    [4, 'out'],
  ],
  backendActive: [[5, undefined]],
  backendInactive: [[6, undefined]],
  backendWeight: [[7, undefined]],
  backendDraining: [[8, undefined]],
} as const satisfies { readonly [Key in MetricKey]?: readonly (readonly [number, string | undefined])[] };

type ColumnKey = keyof typeof columns;
const columnKeys = Object.keys(columns) as readonly ColumnKey[];
const isColumn = (metric: MetricKey): metric is ColumnKey => metric in columns;

/** The series of one backend. */
export const seriesPerBackend = Object.values(columns).flat().length;

/** How long this may block the event loop. */
const maximumBlockingMilliseconds = 2;
const stepsPerClockCheck = 16;

/** An endpoint of a port of a Service, whatever addresses the Service has. */
interface Backend {
  readonly labels: Readonly<Record<string, string>>;
  readonly pod: string | undefined;
  readonly realServer: RealServerKey;
  readonly totals: number[];
  /** The last totals by virtual server. */
  lastTotals: ReadonlyMap<VirtualServerKey, Totals>;
}

const idOf = ({ service, protocol, port }: ServicePortName, realServer: RealServerKey): string =>
  `${service} ${protocol} ${port} ${realServer}`;

const newBackend = (
  { service, port, protocol }: ServicePortName,
  realServer: RealServerKey,
  endpoint: Endpoint | undefined,
): Backend => {
  const [namespace = '', name = ''] = service.split('/');
  const labels = {
    service_namespace: namespace,
    service_name: name,
    service_port: String(port),
    protocol,
    endpoint_address: realServer,
    endpoint_pod: endpoint?.pod ?? '',
    endpoint_node: endpoint?.nodeName ?? '',
  };
  return { labels, pod: endpoint?.pod, realServer, totals: zeroTotals(), lastTotals: new Map() };
};

interface Row {
  readonly labels: Backend['labels'];
  readonly values: Float64Array;
}

class BackendTable implements SampleTable {
  readonly metrics = ['backendsLeftOut', ...columnKeys] as const;

  constructor(
    private readonly rows: readonly Row[],
    private readonly leftOut: number,
  ) {}

  *samplesOf(metric: MetricKey): Iterable<Sample> {
    if (metric === 'backendsLeftOut') yield { metric, value: this.leftOut };
    if (!isColumn(metric)) return;
    for (const { labels, values } of this.rows)
      for (const [index, direction] of columns[metric])
        yield {
          metric,
          labels: direction === undefined ? labels : { ...labels, direction },
          value: values[index] ?? 0,
        };
  }
}

/** Where backends are real servers: those that have series and, as far as there may be room, others. */
type PresentBackends = ReadonlyMap<string, readonly ServedVirtualServer[]>;

/** By backend, the virtual servers of one Service that have it. */
const backendsOf = (servers: readonly ServedVirtualServer[]): PresentBackends => {
  const found = new Map<string, ServedVirtualServer[]>();
  for (const server of servers)
    for (const realServer of server.realServers.keys()) {
      const id = idOf(server.port, realServer);
      const others = found.get(id);
      if (others === undefined) found.set(id, [server]);
      else others.push(server);
    }
  return found;
};

/**
 * The kernel's statistics by endpoint of a port of a Service, summed over the addresses of the port. Beyond the maximum, the
 * first backends keep their series until they go. Costs one kernel dump for each virtual server that has one of them.
 */
export class BackendTraffic {
  /** In the order in which they got their series. */
  readonly #backends = new Map<string, Backend>();
  readonly #cache: CachedTable;

  constructor(private readonly parts: BackendTrafficParts) {
    this.#cache = new CachedTable(parts.now);
  }

  /** Reads the kernel, unless the last result is recent. */
  table(): Promise<SampleTable> {
    if (this.parts.settings().enabled) return this.#cache.get(() => this.#collect());
    this.#backends.clear();
    return Promise.resolve(emptyTable);
  }

  async #collect(): Promise<SampleTable> {
    const maximum = Math.floor(this.parts.settings().maximumSeries / seriesPerBackend);
    const { present, count } = await this.#find(maximum);
    this.#drop(present, maximum);
    this.#add(present, maximum);
    const values = await this.#read(present);
    const rows: Row[] = [];
    for (const [id, { labels }] of this.#backends) {
      const row = values.get(id);
      if (row !== undefined) rows.push({ labels, values: row });
    }
    return new BackendTable(rows, count - this.#backends.size);
  }

  /** Visits every real server of the selected Services, and keeps what the maximum of backends needs. */
  async #find(maximum: number): Promise<{ readonly present: PresentBackends; readonly count: number }> {
    const yielder = new Yielder(maximumBlockingMilliseconds, stepsPerClockCheck);
    const present = new Map<string, readonly ServedVirtualServer[]>();
    let [count, candidates] = [0, 0];
    for (const servers of this.parts.virtualServers(serviceMatcher(this.parts.settings().services))) {
      await yielder.yieldIfDue();
      for (const [id, ofBackend] of backendsOf(servers)) {
        count += 1;
        if (!this.#backends.has(id)) candidates += 1;
        if (this.#backends.has(id) || candidates <= maximum) present.set(id, ofBackend);
      }
    }
    return { present, count };
  }

  /** Drops the backends that are gone, or too many. */
  #drop(present: PresentBackends, maximum: number): void {
    for (const [id, { pod, realServer }] of this.#backends) {
      const [first] = present.get(id) ?? [];
      const endpoint = first && this.parts.endpointOf(first.key, realServer);
      // Another pod may have got the address.
      if (first === undefined || (endpoint !== undefined && endpoint.pod !== pod)) this.#backends.delete(id);
    }
    for (const id of [...this.#backends.keys()].slice(maximum)) this.#backends.delete(id);
  }

  #add(present: PresentBackends, maximum: number): void {
    for (const [id, [first]] of present) {
      if (this.#backends.size >= maximum) return;
      if (first === undefined || this.#backends.has(id)) continue;
      const realServer = id.slice(id.lastIndexOf(' ') + 1) as RealServerKey;
      this.#backends.set(
        id,
        newBackend(first.port, realServer, this.parts.endpointOf(first.key, realServer)),
      );
    }
  }

  /** Reads each virtual server of the backends once. */
  async #read(present: PresentBackends): Promise<ReadonlyMap<string, Float64Array>> {
    const observations = new Map<VirtualServerKey, ReadonlyMap<RealServerKey, RealServerObservation>>();
    // A step may be a system call.
    const yielder = new Yielder(maximumBlockingMilliseconds);
    const values = new Map<string, Float64Array>();
    for (const [id, backend] of this.#backends) {
      await yielder.yieldIfDue();
      const servers: (readonly [VirtualServerKey, RealServerObservation])[] = [];
      for (const { key, identity } of present.get(id) ?? []) {
        const read =
          observations.get(key) ??
          new Map((await this.parts.read(identity)).map((server) => [server.key, server]));
        observations.set(key, read);
        const server = read.get(backend.realServer);
        if (server !== undefined) servers.push([key, server]);
      }
      if (servers.length > 0) values.set(id, this.#valuesOf(backend, servers));
    }
    return values;
  }

  #valuesOf(
    backend: Backend,
    servers: readonly (readonly [VirtualServerKey, RealServerObservation])[],
  ): Float64Array {
    const lastTotals = new Map<VirtualServerKey, Totals>();
    let [active, inactive, weight, draining] = [0, 0, 0, 0];
    for (const [key, server] of servers) {
      active += server.activeConnections;
      inactive += server.inactiveConnections;
      weight = Math.max(weight, server.weight);
      if (this.parts.isDraining(key, backend.realServer)) draining = 1;
      if (server.statistics === undefined) continue;
      const totals = totalsOf(server.statistics);
      addGrowth(backend.totals, backend.lastTotals.get(key), totals);
      lastTotals.set(key, totals);
    }
    backend.lastTotals = lastTotals;
    return Float64Array.from([...backend.totals, active, inactive, weight, draining]);
  }
}
