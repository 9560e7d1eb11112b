import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { DrainEvent } from '../../apply/drain/drain-counters.js';
import { Yielder } from '../../base/async.js';
import { families as allFamilies, type Family } from '../../base/ip.js';
import { protocolOfKey } from '../../model/virtual-server.js';
import type { StoreObserver } from '../../watch/store/cluster-store.js';
import type { RequestObserver } from '../../watch/api/api-client.js';
import type { SyncObserver, SyncResult } from '../sync/sync-observer.js';
import { catalogue, type MetricKey, type Sample } from './catalogue.js';
import { metricLines } from './exposition.js';
import type { MetricDefinition } from './metric-definition.js';
import { ProgrammingLatency } from './programming-latency.js';

/** The response to GET /metrics. */
export interface Page {
  readonly contentType: string;
  /** Made as they are read, with turns of the event loop between them. */
  readonly chunks: AsyncIterable<string>;
}

/** All of a page. */
export const pageText = async ({ chunks }: Page): Promise<string> => {
  let text = '';
  for await (const chunk of chunks) text += chunk;
  return text;
};

/** Returns values for a page: each series once. It may take long, but must yield to the event loop. */
export type SampleSource = () => Iterable<Sample> | Promise<Iterable<Sample>>;

/** So many samples that they are made one by one, when the page has come to their metric. */
export interface SampleTable {
  readonly metrics: readonly MetricKey[];
  samplesOf(metric: MetricKey): Iterable<Sample>;
}

/** As SampleSource. */
export type SampleTableSource = () => Promise<SampleTable>;

export interface MetricsOptions {
  readonly version: string;
  /** The families that this node serves. */
  readonly families?: readonly Family[];
  readonly featureGates?: readonly {
    readonly name: string;
    readonly stage: string;
    readonly enabled: boolean;
  }[];
  /**
   * Whether the page has prom-client's metrics of the process and the runtime; they observe the event loop and the garbage
   * collector.
   */
  readonly processMetrics?: boolean;
}

type Instrument = Counter | Gauge | Histogram;
type HistogramKey = {
  [Key in MetricKey]: (typeof catalogue)[Key]['type'] extends 'histogram' ? Key : never;
}[MetricKey];
type NumberKey = Exclude<MetricKey, HistogramKey>;
type Labels = Readonly<Record<string, string>>;

const instrumentOf = (definition: MetricDefinition, registry: Registry): Instrument => {
  const { name, help, labels, buckets } = definition;
  const options = { name, help, labelNames: [...labels], registers: [registry] };
  switch (definition.type) {
    case 'counter':
      return new Counter(options);
    case 'gauge':
      return new Gauge(options);
    case 'histogram':
      return new Histogram({ ...options, ...(buckets && { buckets: [...buckets] }) });
  }
};

/** The sampling interval of the event loop delay, milliseconds: each sample wakes the process. */
const eventLoopSampling = 20;

/** How long making a page may block the event loop. */
const maximumBlockingMilliseconds = 2;

/** A part is seldom more than a line. */
const partsPerClockCheck = 16;

const chunkLength = 64 << 10;

/** What the sources returned for one page. */
type Samples = ReadonlyMap<MetricKey, readonly (() => Iterable<Sample>)[]>;

function* concatenated<T>(lists: Iterable<() => Iterable<T>>): Iterable<T> {
  for (const list of lists) yield* list();
}

const ourNames: ReadonlySet<string> = new Set(Object.values(catalogue).map(({ name }) => name));

/** All metrics: a method for each event, and sources for counters of other parts, which are read only when a page is made. */
export class Metrics implements SyncObserver, StoreObserver {
  readonly #registry = new Registry();
  readonly #instruments: Readonly<Record<MetricKey, Instrument>>;
  readonly #sources: SampleSource[] = [];
  readonly #tables: SampleTableSource[] = [];
  /** The metrics that a source has returned. */
  readonly #collected = new Set<MetricKey>();
  readonly #families: readonly Family[];
  readonly #latency: ProgrammingLatency;
  readonly #changedServices = new Set<string>();
  // Tens of thousands of events may arrive at once: they are only counted here, and become values when a page is made.
  readonly #events = { services: 0, endpointSlices: 0, pendingEndpointSlices: 0 };
  #queuedAt: number | undefined;
  #collecting: Promise<Samples> | undefined;

  constructor({ version, families = allFamilies, featureGates = [], processMetrics = true }: MetricsOptions) {
    this.#families = families;
    this.#instruments = Object.fromEntries(
      Object.entries(catalogue).map(([key, definition]) => [key, instrumentOf(definition, this.#registry)]),
    ) as Record<MetricKey, Instrument>;
    this.#latency = new ProgrammingLatency(Date.now(), (family, latency) =>
      this.#observe('networkProgramming', { ip_family: family }, latency),
    );
    this.addSource(() => this.#changes());
    this.#set('buildInfo', this.#buildInfo(version), 1);
    for (const { name, stage, enabled } of featureGates)
      this.#set('featureEnabled', { name, stage }, Number(enabled));
    for (const key of ['restoreFailures', 'conntrackDeleted'] as const)
      for (const family of families) this.#add(key, { ip_family: family }, 0);
    if (processMetrics)
      collectDefaultMetrics({ register: this.#registry, eventLoopMonitoringPrecision: eventLoopSampling });
  }

  #buildInfo(version: string): Labels {
    const [major = '', minor = ''] = version.split('.');
    return {
      major,
      minor,
      git_version: `v${version}`,
      git_commit: '',
      git_tree_state: '',
      build_date: '',
      go_version: '',
      compiler: `node${process.versions.node}`,
      platform: `${process.platform}/${process.arch === 'x64' ? 'amd64' : process.arch}`,
    };
  }

  /** Its values replace those of the previous page: a series that it no longer returns disappears. */
  addSource(source: SampleSource): void {
    this.#sources.push(source);
  }

  /** The same for many samples. */
  addTable(source: SampleTableSource): void {
    this.#tables.push(source);
  }

  /** The page in the text format 0.0.4. Requests that arrive while its samples are collected share them. */
  async page(): Promise<Page> {
    this.#collecting ??= this.#collect().finally(() => (this.#collecting = undefined));
    const samples = await this.#collecting;
    return { contentType: this.#registry.contentType, chunks: this.#chunks(samples) };
  }

  async *#chunks(samples: Samples): AsyncIterable<string> {
    const turns = new Yielder(maximumBlockingMilliseconds, partsPerClockCheck);
    let chunk = '';
    for (const part of this.#parts(samples)) {
      chunk += typeof part === 'string' ? part : await part;
      if (chunk.length >= chunkLength) {
        yield chunk;
        chunk = '';
      }
      await turns.yieldIfDue();
    }
    yield chunk;
  }

  /** Lines, and whole metrics of prom-client. */
  *#parts(samples: Samples): Iterable<string | Promise<string>> {
    let separator = '';
    for (const [key, definition] of Object.entries(catalogue) as [MetricKey, MetricDefinition][]) {
      yield separator;
      separator = '\n';
      if (this.#collected.has(key)) yield* metricLines(definition, concatenated(samples.get(key) ?? []));
      else yield this.#textOf(definition.name);
    }
    for (const { name } of this.#registry.getMetricsAsArray()) {
      if (ourNames.has(name)) continue;
      yield separator;
      yield this.#textOf(name);
    }
  }

  async #textOf(name: string): Promise<string> {
    return `${await this.#registry.getSingleMetricAsString(name)}\n`;
  }

  async #collect(): Promise<Samples> {
    const found = new Map<MetricKey, (() => Iterable<Sample>)[]>();
    const add = (metric: MetricKey, samples: () => Iterable<Sample>): void => {
      this.#collected.add(metric);
      const others = found.get(metric);
      if (others === undefined) found.set(metric, [samples]);
      else others.push(samples);
    };
    for (const source of this.#sources)
      await this.#countFailures(async () => {
        for (const sample of await source()) add(sample.metric, () => [sample]);
      });
    for (const source of this.#tables)
      await this.#countFailures(async () => {
        const table = await source();
        for (const metric of table.metrics) add(metric, () => table.samplesOf(metric));
      });
    return found;
  }

  async #countFailures(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch {
      this.#add('scrapeFailures', {}, 1);
    }
  }

  *#changes(): Iterable<Sample> {
    yield { metric: 'serviceChanges', value: this.#events.services };
    yield { metric: 'serviceChangesPending', value: this.#changedServices.size };
    yield { metric: 'endpointChanges', value: this.#events.endpointSlices };
    yield { metric: 'endpointChangesPending', value: this.#events.pendingEndpointSlices };
    if (this.#queuedAt === undefined) return;
    for (const family of this.#families)
      yield { metric: 'syncQueued', labels: { ip_family: family }, value: this.#queuedAt };
  }

  started(): void {
    this.queued();
  }

  queued(): void {
    this.#queuedAt = Date.now() / 1_000;
  }

  due(): void {}

  began(): void {
    this.#latency.syncBegan();
    this.#changedServices.clear();
    this.#events.pendingEndpointSlices = 0;
  }

  ended({ at, seconds: syncSeconds, succeeded }: SyncResult): void {
    const now = at.date;
    for (const family of this.#families) {
      this.#observe('syncDuration', { ip_family: family }, syncSeconds);
      if (succeeded) this.#set('syncLast', { ip_family: family }, now / 1_000);
    }
    this.#latency.syncEnded(succeeded, now);
  }

  service(...[key, changed]: Parameters<StoreObserver['service']>): void {
    this.#events.services += 1;
    if (changed) this.#changedServices.add(key);
  }

  endpointSlice(...[slice, change]: Parameters<StoreObserver['endpointSlice']>): void {
    this.#events.endpointSlices += 1;
    if (change === 'none') return;
    this.#events.pendingEndpointSlices += 1;
    if (change === 'changed') this.#latency.changed(slice.family, slice.triggeredAt);
  }

  readonly requested: RequestObserver = ({ code, host, method, seconds: requestSeconds }) => {
    this.#add('restRequests', { code, host, method }, 1);
    this.#observe('restDuration', { verb: method, host }, requestSeconds);
  };

  drained({ of, end }: DrainEvent): void {
    if (end === undefined) return;
    const labels = { protocol: protocolOfKey(of) ?? 'TCP', reason: end.reason };
    this.#observe('drainDuration', labels, end.milliseconds / 1_000);
  }

  packetRulesRefused(family: Family): void {
    this.#add('restoreFailures', { ip_family: family }, 1);
  }

  conntrackReconciled(done: {
    readonly family: Family;
    readonly seconds: number;
    readonly deleted: number;
  }): void {
    this.#observe('conntrackDuration', { ip_family: done.family }, done.seconds);
    this.#add('conntrackDeleted', { ip_family: done.family }, done.deleted);
  }

  /** `code` is the HTTP status. */
  healthzServed(code: number): void {
    this.#add('healthz', { code: String(code) }, 1);
  }

  livezServed(code: number): void {
    this.#add('livez', { code: String(code) }, 1);
  }

  #add(key: NumberKey, labels: Labels, number: number): void {
    const instrument = this.#instruments[key];
    if (!(instrument instanceof Histogram)) instrument.inc(labels, number);
  }

  #set(key: NumberKey, labels: Labels, value: number): void {
    const instrument = this.#instruments[key];
    if (instrument instanceof Gauge) instrument.set(labels, value);
  }

  #observe(key: HistogramKey, labels: Labels, value: number): void {
    const instrument = this.#instruments[key];
    if (instrument instanceof Histogram) instrument.observe(labels, value);
  }
}
