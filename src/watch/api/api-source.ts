import { RateLimiter, type RateLimitOptions } from '../../base/rate-limiter.js';
import type { Logger } from '../../base/log.js';
import type { EndpointSlice, EndpointSliceKey } from '../../model/endpoint.js';
import type { Node, NodeState } from '../../model/node.js';
import type { Service, ServiceKey } from '../../model/service.js';
import { ApiClient, ApiError, type CredentialSource, type RequestObserver } from './api-client.js';
import type { ClusterStore } from '../store/cluster-store.js';
import type { Collection } from './collection.js';
import { largestObjectBytes, Chunks } from './json-lines.js';
import { toEndpointSlice, toNode, toService } from '../objects/parse-objects.js';
import { ProblemLog } from '../problem-log.js';
import { PodFollower } from './pod-follower.js';
import { endpointSliceSelector, serviceSelector } from './selectors.js';
import { Reflector } from './reflector.js';
import type { ReflectorTiming } from './reflector-timing.js';
import { RetryPacer } from './retry-pacer.js';
import type { Source, SourceCounts, SourceHealth } from '../source.js';

export interface ApiSourceOptions {
  readonly credentials: CredentialSource;
  /** The Node that this program runs on; no other Node is watched. */
  readonly nodeName: string;
  /** The Services of this name in their label are watched; '', the default: those without the label. */
  readonly serviceProxyName?: string;
  readonly logger: Logger;
  readonly timing?: ReflectorTiming;
  /** How long to wait for the Node and the pods after the Services came, milliseconds. Where RBAC forbids reading them, all endpoints are better than none. */
  readonly nodeTimeoutMilliseconds?: number;
  /** Requests to the API server (clientConnection.qps and .burst); undefined: no limit. */
  readonly rate?: RateLimitOptions;
  readonly requestObserver?: RequestObserver;
  /** Whether to ask for protobuf rather than JSON; the default. */
  readonly protobuf?: boolean | undefined;
}

const defaultNodeTimeoutMilliseconds = 10_000;

type Reports = (collection: string) => (object: string, problems: readonly string[]) => void;

const services = (
  store: ClusterStore,
  reports: Reports,
  serviceProxyName: string,
): Collection<ServiceKey, Service> => ({
  name: 'services',
  path: '/api/v1/services',
  selectors: {
    labelSelector: serviceSelector(serviceProxyName),
    fieldSelector: 'spec.clusterIP!=None',
  },
  read: (object) => toService(object, serviceProxyName),
  current: (key) => store.service(key),
  replace: (objects) => store.replace('services', objects),
  apply: (changes) => store.apply(changes.map(({ key, value }) => ({ kind: 'service', key, value }))),
  report: reports('services'),
});

const endpointSlices = (
  store: ClusterStore,
  reports: Reports,
  serviceProxyName: string,
): Collection<EndpointSliceKey, EndpointSlice> => ({
  name: 'endpointslices',
  path: '/apis/discovery.k8s.io/v1/endpointslices',
  selectors: { labelSelector: endpointSliceSelector(serviceProxyName) },
  read: (object) => toEndpointSlice(object, serviceProxyName),
  current: (key) => store.endpointSlice(key),
  replace: (objects) => store.replace('endpointSlices', objects),
  apply: (changes) => store.apply(changes.map(({ key, value }) => ({ kind: 'endpointSlice', key, value }))),
  report: reports('endpointslices'),
});

/** A Node that was created again gets its addresses and pod CIDRs a little later; until then the last known ones count. */
const withLastKnown = (now: Node, before: Node | undefined): Node => ({
  ...now,
  addresses: now.addresses.length > 0 ? now.addresses : (before?.addresses ?? []),
  podCidrs: now.podCidrs.length > 0 ? now.podCidrs : (before?.podCidrs ?? []),
});

/** A deleted Node keeps its last state here: this machine still has its addresses and pods. */
const nodes = (
  store: ClusterStore,
  reports: Reports,
  { nodeName, logger }: Pick<ApiSourceOptions, 'nodeName' | 'logger'>,
): Collection<string, Node> => {
  let isDeleted = false;
  const update = (value: Node | undefined): void => {
    if (value === undefined && store.node !== undefined && !isDeleted)
      logger.warn(
        { event: 'node-deleted', node: nodeName },
        'Node deleted; its last known state stays in force',
      );
    isDeleted = value === undefined;
    if (value !== undefined) store.apply([{ kind: 'node', value: withLastKnown(value, store.node) }]);
  };
  return {
    name: 'nodes',
    path: '/api/v1/nodes',
    selectors: { fieldSelector: `metadata.name=${nodeName}` },
    read: toNode,
    current: () => store.node,
    replace: (objects) => {
      update([...objects.values()].at(-1));
      store.markDelivered('node');
    },
    apply: (changes) => {
      for (const { value } of changes) update(value);
    },
    report: reports('nodes'),
  };
};

/** Time limit for each chunk of the response about one Node. */
const nodeResponseMilliseconds = 5_000;

const readNodeState = async (client: ApiClient, name: string, signal: AbortSignal): Promise<NodeState> => {
  const path = `/api/v1/nodes/${encodeURIComponent(name)}`;
  try {
    const response = await client.open(path, { signal, milliseconds: nodeResponseMilliseconds });
    const body = new Chunks(largestObjectBytes);
    for await (const chunk of response) {
      body.add(chunk);
      response.setDeadline(nodeResponseMilliseconds);
    }
    // A proxy or load balancer on the way may answer with something else than a Node.
    toNode(response.format.object(body.take()));
    return 'there';
  } catch (error) {
    // Another 404 (an API that is not served yet, a path of a load balancer) says nothing about the Node.
    if (error instanceof ApiError && error.missing === `nodes/${name}`) return 'gone';
    throw error;
  }
};

type AnyReflector = Pick<Reflector<string, unknown>, 'counters' | 'lastError'>;

class ApiSource implements Source {
  readonly name: string;
  readonly #client: ApiClient;
  readonly #stop = new AbortController();
  readonly #reports: Reports;
  readonly #pacer = new RetryPacer();
  readonly #reflectors = new Map<string, AnyReflector>();
  readonly #runs = new Set<Promise<void>>();
  #store: ClusterStore | undefined;
  #nodeTimer: NodeJS.Timeout | undefined;
  #pods: PodFollower | undefined;

  constructor(private readonly options: ApiSourceOptions) {
    const { credentials, logger, rate, requestObserver, protobuf } = options;
    this.name = `API server ${credentials.server.host}`;
    this.#client = new ApiClient(credentials, {
      limit: rate && new RateLimiter(rate),
      observer: requestObserver,
      protobuf,
    });
    const problems = new ProblemLog(logger);
    this.#reports = (collection) => (object, found) => problems.report(`${collection} ${object}`, found);
  }

  start(store: ClusterStore): void {
    const {
      credentials,
      serviceProxyName = '',
      nodeTimeoutMilliseconds = defaultNodeTimeoutMilliseconds,
    } = this.options;
    this.#store = store;
    store.apiServerHost = credentials.server.hostname;
    // The zone and the primary addresses decide what is served: without the Node a restart would serve other virtual servers at first.
    store.waitFor('node');
    this.#pods = new PodFollower({
      store,
      follow: (collection, signal) => this.#follow(collection, signal),
      report: this.#reports('pods'),
      timeoutMilliseconds: nodeTimeoutMilliseconds,
    });
    const ofServices = services(store, this.#reports, serviceProxyName);
    this.#follow({
      ...ofServices,
      replace: (objects) => {
        ofServices.replace(objects);
        this.#nodeTimer ??= setTimeout(() => store.markDelivered('node'), nodeTimeoutMilliseconds);
      },
    });
    this.#follow(endpointSlices(store, this.#reports, serviceProxyName));
    this.#follow(nodes(store, this.#reports, this.options));
  }

  health(): SourceHealth {
    const errors = Array.from(this.#reflectors.values(), ({ lastError }) => lastError);
    return {
      delivered: this.#store?.synced ?? false,
      lastError: errors.find((text) => text !== undefined),
    };
  }

  counts(): SourceCounts {
    const resources = new Map(
      Array.from(this.#reflectors, ([name, { counters, lastError }]) => [
        name,
        { ...counters, following: lastError === undefined },
      ]),
    );
    return { resources, manifests: undefined };
  }

  nodeState(name: string, signal: AbortSignal): Promise<NodeState> {
    return readNodeState(this.#client, name, AbortSignal.any([signal, this.#stop.signal]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    clearTimeout(this.#nodeTimer);
    this.#pods?.[Symbol.dispose]();
    await Promise.all(this.#runs);
    this.#client[Symbol.dispose]();
  }

  #follow<Key extends string, Value>(collection: Collection<Key, Value>, signal?: AbortSignal): void {
    const { logger, timing } = this.options;
    const reflector = new Reflector({
      client: this.#client,
      collection,
      logger,
      pacer: this.#pacer,
      ...(timing && { timing }),
    });
    const { name } = collection;
    this.#reflectors.set(name, reflector);
    const stops = signal === undefined ? [this.#stop.signal] : [this.#stop.signal, signal];
    const run = reflector.run(AbortSignal.any(stops)).finally(() => {
      this.#runs.delete(run);
      if (this.#reflectors.get(name) === reflector) this.#reflectors.delete(name);
    });
    this.#runs.add(run);
  }
}

/** A source that follows the Services, EndpointSlices and one Node of an API server, and reconnects after every failure. */
export const apiSource = (options: ApiSourceOptions): Source => new ApiSource(options);
