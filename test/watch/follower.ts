import assert from 'node:assert/strict';
import { silentLogger, type Logger } from '../../src/base/log.js';
import type { ServiceKey } from '../../src/model/service.js';
import type { CredentialSource } from '../../src/watch/api/api-client.js';
import type { EndpointSlice } from '../../src/model/endpoint.js';
import { apiSource } from '../../src/watch/api/api-source.js';
import type { Source } from '../../src/watch/source.js';
import { ClusterStore } from '../../src/watch/store/cluster-store.js';
import { toEndpointSlice, toService } from '../../src/watch/objects/parse-objects.js';
import type { ReflectorTiming } from '../../src/watch/api/reflector-timing.js';
import { selectorOf } from '../support/api-objects.js';
import type { ApiServer } from '../support/api-server.js';
import { until } from '../support/eventually.js';

/** Everything a hundred times faster than in earnest. */
export const fastTiming: ReflectorTiming = {
  watchSeconds: [300, 600],
  slack: 1_000,
  response: 400,
  watchResponse: 400,
  initialIdle: 250,
  bookmark: 5_000,
  backoff: { first: 4, maximum: 40 },
  probe: 10,
  denied: 60_000,
  relistSpread: { perObject: 1, maximum: 20 },
  healthy: 60_000,
  early: 0,
};

export const plainCredentials = (url: string, token?: string): CredentialSource => ({
  server: new URL(url),
  current: async () => ({
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    tls: {},
  }),
  refresh: async () => {},
});

/** One notification of the store: which Services were dirty, and which of them were gone. */
export interface Notification {
  readonly synced: boolean;
  readonly dirty: readonly ServiceKey[];
  readonly gone: readonly ServiceKey[];
}

export interface Follower extends AsyncDisposable {
  readonly store: ClusterStore;
  readonly source: Source;
  readonly notifications: readonly Notification[];
}

export interface FollowOptions {
  readonly timing?: Partial<ReflectorTiming>;
  readonly credentials?: CredentialSource;
  readonly logger?: Logger;
  readonly nodeTimeoutMilliseconds?: number;
  readonly serviceProxyName?: string;
}

/** A store that follows a test server. */
export const follow = (server: ApiServer, options: FollowOptions = {}): Follower => {
  const notifications: Notification[] = [];
  const store = new ClusterStore(() => {
    const dirty = [...store.takeDirty().keys()].toSorted();
    const gone = dirty.filter((key) => store.service(key) === undefined);
    notifications.push({ synced: store.synced, dirty, gone });
  });
  const source = apiSource({
    credentials: options.credentials ?? plainCredentials(server.url),
    nodeName: 'node-1',
    logger: options.logger ?? silentLogger,
    timing: { ...fastTiming, ...options.timing },
    nodeTimeoutMilliseconds: options.nodeTimeoutMilliseconds ?? 100,
    serviceProxyName: options.serviceProxyName ?? '',
  });
  source.start(store);
  return { store, source, notifications, [Symbol.asyncDispose]: () => source[Symbol.asyncDispose]() };
};

export { until } from '../support/eventually.js';

const selected = (query: Readonly<Record<string, string>>) => selectorOf(new URLSearchParams(query));
const ourServices = selected({
  labelSelector: '!service.kubernetes.io/service-proxy-name',
  fieldSelector: 'spec.clusterIP!=None',
});
const ourSlices = selected({ labelSelector: '!service.kubernetes.io/headless' });

/** A slice that comes again with another time stays as it was. */
const timeless = (slice: EndpointSlice | undefined) => slice && { ...slice, triggeredAt: undefined };

/** What the server's objects say to us, as one comparable value. */
export const serverState = (server: ApiServer): unknown => ({
  services: server
    .list('Service')
    .filter(ourServices)
    .map((object) => toService(object).value),
  slices: server
    .list('EndpointSlice')
    .filter(ourSlices)
    .map((object) => timeless(toEndpointSlice(object).value)),
});

/** The same of the store. */
export const storeState = (store: ClusterStore): unknown => ({
  services: [...store.serviceKeys()].toSorted().map((key) => store.service(key)),
  slices: [...store.endpointSliceKeys()].toSorted().map((key) => timeless(store.endpointSlice(key))),
});

/** Waits until the store says what the server says. */
export const converged = async ({ store }: Follower, server: ApiServer): Promise<void> => {
  const same = (): boolean => JSON.stringify(storeState(store)) === JSON.stringify(serverState(server));
  try {
    await until('the store equals the server', () => store.synced && same());
  } catch (error) {
    assert.deepEqual(storeState(store), serverState(server));
    throw error;
  }
};
