import { RateLimiter, type RateLimitOptions } from '../../base/rate-limiter.js';
import type { Logger } from '../../base/log.js';
import type { EndpointSlice, EndpointSliceKey } from '../../model/endpoint.js';
import type { Node, NodeState } from '../../model/node.js';
import type { Service, ServiceKey } from '../../model/service.js';
import { ApiClient, ApiError, type CredentialSource, type RequestObserver } from './api-client.js';
import type { ClusterStore } from '../store/cluster-store.js';
import type { Collection } from './collection.js';
import { largestObjectBytes, parseJson, Chunks } from './json-lines.js';
import { toEndpointSlice, toNode, toService } from '../objects/parse-objects.js';
import { ProblemLog } from '../problem-log.js';
import { Reflector } from './reflector.js';
import type { ReflectorTiming } from './reflector-timing.js';
import { RetryPacer } from './retry-pacer.js';
import type { Source } from '../source.js';

export interface ApiSourceOptions {
  readonly credentials: CredentialSource;
  /** The Node that this program runs on; only that one is watched. */
  readonly nodeName: string;
  readonly logger: Logger;
  readonly timing?: ReflectorTiming;
  /** How long after the Services the Node may come, milliseconds: where we may not read it, all endpoints are better than none. */
  readonly nodeTimeoutMilliseconds?: number;
  /** Requests to the API server (clientConnection.qps and .burst); undefined: no limit. */
  readonly rate?: RateLimitOptions;
  readonly requestObserver?: RequestObserver;
}

const defaultNodeTimeoutMilliseconds = 10_000;

type Reports = (collection: string) => (object: string, problems: readonly string[]) => void;

const services = (store: ClusterStore, reports: Reports): Collection<ServiceKey, Service> => ({
  name: 'services',
  path: '/api/v1/services',
  selectors: {
    labelSelector: '!service.kubernetes.io/service-proxy-name',
    fieldSelector: 'spec.clusterIP!=None',
  },
  read: toService,
  current: (key) => store.service(key),
  replace: (objects) => store.replace('services', objects),
  apply: (changes) => store.apply(changes.map(({ key, value }) => ({ kind: 'service', key, value }))),
  report: reports('services'),
});

const endpointSlices = (
  store: ClusterStore,
  reports: Reports,
): Collection<EndpointSliceKey, EndpointSlice> => ({
  name: 'endpointslices',
  path: '/apis/discovery.k8s.io/v1/endpointslices',
  selectors: { labelSelector: '!service.kubernetes.io/headless' },
  read: toEndpointSlice,
  current: (key) => store.endpointSlice(key),
  replace: (objects) => store.replace('endpointSlices', objects),
  apply: (changes) => store.apply(changes.map(({ key, value }) => ({ kind: 'endpointSlice', key, value }))),
  report: reports('endpointslices'),
});

/** A Node that comes back gets its addresses and the networks of its pods a little later; till then they are as they were. */
const withLastKnown = (now: Node, before: Node | undefined): Node => ({
  ...now,
  addresses: now.addresses.length > 0 ? now.addresses : (before?.addresses ?? []),
  podCidrs: now.podCidrs.length > 0 ? now.podCidrs : (before?.podCidrs ?? []),
});

/** A Node that is deleted keeps its last state here: this machine still is where it was. */
const nodes = (
  store: ClusterStore,
  reports: Reports,
  { nodeName, logger }: Pick<ApiSourceOptions, 'nodeName' | 'logger'>,
): Collection<string, Node> => {
  let isDeleted = false;
  const update = (value: Node | undefined): void => {
    if (value === undefined && store.node !== undefined && !isDeleted)
      logger.warn({ node: nodeName }, 'the Node was deleted; what was known of it stays in force');
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
      store.markNodeDelivered();
    },
    apply: (changes) => {
      for (const { value } of changes) update(value);
    },
    report: reports('nodes'),
  };
};

/** For each piece of the answer about one Node, milliseconds. */
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
    // An answer of something else in between is not one of a Node.
    toNode(parseJson(body.take()));
    return 'there';
  } catch (error) {
    // Whatever else is not found (an API that is not served yet, a path of a load balancer) says nothing of a Node.
    if (error instanceof ApiError && error.missing === `nodes/${name}`) return 'gone';
    throw error;
  }
};

/** A source that follows the Services, EndpointSlices and one Node of an API server, whatever befalls the connection. */
export const apiSource = (options: ApiSourceOptions): Source => {
  const { credentials, logger, timing, rate, requestObserver } = options;
  const { nodeTimeoutMilliseconds = defaultNodeTimeoutMilliseconds } = options;
  const client = new ApiClient(credentials, rate && new RateLimiter(rate), requestObserver);
  const stop = new AbortController();
  const problems = new ProblemLog(logger);
  const reports: Reports = (collection) => (object, found) =>
    problems.report(`${collection} ${object}`, found);
  const reflectors = new Map<string, Pick<Reflector<string, unknown>, 'counters' | 'lastError'>>();
  const runs: Promise<void>[] = [];
  const pacer = new RetryPacer();
  let targetStore: ClusterStore | undefined;
  let nodeTimer: NodeJS.Timeout | undefined;
  const follow = <Key extends string, Value>(collection: Collection<Key, Value>): void => {
    const reflector = new Reflector({ client, collection, logger, pacer, ...(timing && { timing }) });
    reflectors.set(collection.name, reflector);
    runs.push(reflector.run(stop.signal));
  };
  return {
    name: `API server ${credentials.server.host}`,
    start: (store) => {
      targetStore = store;
      store.apiServerHost = credentials.server.hostname;
      // The zone and the primary addresses decide what is served: without them a restart would serve otherwise for a moment.
      store.awaitNode();
      const ofServices = services(store, reports);
      follow({
        ...ofServices,
        replace: (objects) => {
          ofServices.replace(objects);
          nodeTimer ??= setTimeout(() => store.markNodeDelivered(), nodeTimeoutMilliseconds);
        },
      });
      follow(endpointSlices(store, reports));
      follow(nodes(store, reports, options));
    },
    health: () => ({
      delivered: targetStore?.synced ?? false,
      lastError: [...reflectors.values()]
        .map(({ lastError }) => lastError)
        .find((text) => text !== undefined),
    }),
    counts: () => ({
      resources: new Map(
        [...reflectors].map(([name, { counters, lastError }]) => [
          name,
          { ...counters, following: lastError === undefined },
        ]),
      ),
      manifests: undefined,
    }),
    nodeState: (name, signal) => readNodeState(client, name, AbortSignal.any([signal, stop.signal])),
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      clearTimeout(nodeTimer);
      await Promise.all(runs);
      client[Symbol.dispose]();
    },
  };
};
