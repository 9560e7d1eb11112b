// virtual time: what is tested waits, gives up and tries again.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../../src/base/log.js';
import type { EndpointSliceKey } from '../../../src/model/endpoint.js';
import type { PodKey } from '../../../src/model/pod.js';
import type { WeightBy } from '../../../src/model/settings/weight-by.js';
import { apiSource } from '../../../src/watch/api/api-source.js';
import type { Source } from '../../../src/watch/source.js';
import { ClusterStore } from '../../../src/watch/store/cluster-store.js';
import type { ApiObject } from '../../support/api-objects.js';
import { sampleNode, samplePod, sampleService, sampleSlice } from '../../support/api-samples.js';
import { ApiServer, type ApiServerOptions } from '../../support/api-server.js';
import { RecordingLog } from '../../support/recording-log.js';
import { fastTiming, plainCredentials, until } from '../follower.js';

const weightBy = (by: string): ApiObject['metadata'] => ({
  name: 'web',
  annotations: { 'ipvs.kube-ipvs.dev/weight-by': by },
});

/** A Service `NAMESPACE/web` with these weights, and its EndpointSlice with the pods web-0, web-1, …. */
const webIn = (namespace: string, by: string | undefined, size = 2): readonly ApiObject[] => {
  const metadata = by === undefined ? { name: 'web' } : weightBy(by);
  const slice = sampleSlice('web', []);
  return [
    { ...sampleService('web'), metadata: { ...metadata, namespace } },
    {
      ...slice,
      metadata: { ...slice.metadata, namespace },
      endpoints: Array.from({ length: size }, (_, index) => ({
        addresses: [`10.244.0.${index + 1}`],
        conditions: { ready: true, serving: true, terminating: false },
        targetRef: { kind: 'Pod', namespace, name: `web-${index}` },
      })),
    },
  ];
};

interface Followed extends AsyncDisposable {
  readonly store: ClusterStore;
  readonly source: Source;
  readonly dirty: string[];
  configured: WeightBy;
}

const follow = (server: ApiServer, log = silentLogger, timeout = 60_000): Followed => {
  const dirty: string[] = [];
  const store: ClusterStore = new ClusterStore(
    () => void dirty.push(...store.takeDirty().keys()),
    undefined,
    () => followed.configured,
  );
  const source = apiSource({
    credentials: plainCredentials(server.url),
    nodeName: 'node-1',
    logger: log,
    timing: { ...fastTiming, response: 4_000, initialIdle: 4_000 },
    nodeTimeoutMilliseconds: timeout,
  });
  const followed: Followed = {
    store,
    source,
    dirty,
    configured: 'none',
    [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
  };
  source.start(store);
  return followed;
};

const serve = async (options: ApiServerOptions, ...objects: readonly ApiObject[]): Promise<ApiServer> => {
  const server = await ApiServer.start(options);
  server.put(sampleNode('node-1', 'zone-a'), ...objects);
  return server;
};

const podRequests = ({ requests }: ApiServer): readonly string[] =>
  requests.flatMap(({ resource, path }) => (resource === 'pods' ? [path] : []));

const podsOf = ({ store }: Followed): readonly string[] =>
  [...store.pods.keys()].toSorted().map((key) => `${key} ${store.pods.get(key)?.weight ?? 'none'}`);

const formats = { protobuf: {}, JSON: { format: 'json' } } as const;

for (const [name, options] of Object.entries(formats))
  test(`pods are followed only in the namespaces whose Services ask for them (${name})`, async () => {
    await using server = await serve(
      options,
      ...webIn('shop', 'pod'),
      ...webIn('plain', undefined),
      ...webIn('near', 'zone'),
      samplePod('shop/web-0', { weight: '7' }),
      samplePod('plain/web-0', { weight: '8' }),
    );
    await using followed = follow(server);
    await until('synced', () => followed.store.synced);
    assert.deepEqual(podsOf(followed), ['shop/web-0 7']);
    assert.deepEqual(podRequests(server), ['/api/v1/namespaces/shop/pods']);
    const [asked] = server.requests.filter(({ resource }) => resource === 'pods');
    assert.equal(asked?.query.get('fieldSelector'), 'status.phase!=Succeeded,status.phase!=Failed');
    assert.deepEqual([...followed.source.counts().resources.keys()].at(-1), 'pods/shop');
  });

test('where no Service asks, no pod is requested', async () => {
  await using server = await serve({}, ...webIn('plain', undefined), samplePod('plain/web-0'));
  await using followed = follow(server);
  await until('synced', () => followed.store.synced);
  assert.deepEqual(podRequests(server), []);
  assert.equal(followed.store.pods.size, 0);
});

test('following begins with the first Service that asks, and ends with the last', async () => {
  await using server = await serve({}, ...webIn('shop', undefined), samplePod('shop/web-0', { weight: '7' }));
  await using followed = follow(server);
  await until('synced', () => followed.store.synced);
  const streams = server.openStreams;
  server.put(...webIn('shop', 'pod'));
  await until('the pod', () => followed.store.pods.size === 1);
  server.put(...webIn('shop', 'cpu-request'));
  server.put(samplePod('shop/web-1'));
  await until('another pod', () => followed.store.pods.size === 2);
  assert.deepEqual(podRequests(server), ['/api/v1/namespaces/shop/pods']);
  server.put(...webIn('shop', 'zone'));
  await until('no pods', () => followed.store.pods.size === 0);
  await until('the end of the stream', () => server.openStreams === streams);
  assert.ok(!followed.source.counts().resources.has('pods/shop'));
});

test('a changed weight makes exactly the Services with an endpoint of the pod dirty', async () => {
  const other = webIn('shop', 'pod').map((object) => ({
    ...object,
    metadata: { ...object.metadata, name: object.metadata.name.replace('web', 'other') },
    ...(object.kind === 'EndpointSlice' ? { endpoints: [] } : {}),
  }));
  await using server = await serve({}, ...webIn('shop', 'pod'), ...other, samplePod('shop/web-0'));
  await using followed = follow(server);
  await until('synced', () => followed.store.synced);
  const changed = async (change: () => void, weight: number | undefined): Promise<readonly string[]> => {
    followed.dirty.length = 0;
    change();
    await until('the weight', () => followed.store.pods.get('shop/web-0' as PodKey)?.weight === weight);
    return [...followed.dirty];
  };
  assert.deepEqual(await changed(() => server.put(samplePod('shop/web-0', { weight: '3' })), 3), [
    'shop/web',
  ]);
  assert.deepEqual(await changed(() => server.put(samplePod('shop/web-0', { weight: 'x' })), undefined), [
    'shop/web',
  ]);
  server.put(samplePod('shop/web-0', { weight: '3' }));
  await until('the weight', () => followed.store.pods.get('shop/web-0' as PodKey)?.weight === 3);
  server.put(...webIn('shop', 'pod', 0));
  const slice = 'shop/web-x' as EndpointSliceKey;
  await until('no endpoints', () => followed.store.endpointSlice(slice)?.endpoints.length === 0);
  assert.deepEqual(await changed(() => server.put(samplePod('shop/web-0', { weight: '4' })), 4), []);
  assert.deepEqual(await changed(() => server.delete('Pod', 'shop/web-0'), undefined), []);
});

test('a changed configuration makes all pods followed, and one of many namespaces does too', async () => {
  await using server = await serve({}, ...webIn('a', undefined), samplePod('a/web-0'), samplePod('b/web-0'));
  await using followed = follow(server);
  await until('synced', () => followed.store.synced);
  followed.configured = 'pod';
  followed.store.recountPods();
  await until('all pods', () => followed.store.pods.size === 2);
  assert.deepEqual(podRequests(server), ['/api/v1/pods']);
  followed.configured = 'none';
  followed.store.recountPods();
  assert.equal(followed.store.pods.size, 0);
  const namespaces = Array.from({ length: 17 }, (_, index) => `n${index}`);
  for (const namespace of namespaces) server.put(...webIn(namespace, 'pod'));
  await until('all pods again', () => followed.store.pods.size === 2);
  assert.equal(podRequests(server).at(-1), '/api/v1/pods');
  server.delete('Service', 'n0/web');
  await until('the pods of namespaces alone', () => followed.store.pods.size === 0);
});

test('the first sync waits for the pods, but not for ever where reading them is forbidden', async () => {
  await using server = await serve({}, ...webIn('shop', 'pod'), samplePod('shop/web-0', { weight: '7' }));
  server.fail({ resource: 'pods', fault: { fault: 'status', status: 403 }, times: 1_000 });
  const log = new RecordingLog();
  await using followed = follow(server, log, 300);
  await until('the slices', () => [...followed.store.endpointSliceKeys()].length === 1);
  assert.equal(followed.store.synced, false);
  await until('synced', () => followed.store.synced);
  assert.deepEqual(podsOf(followed), []);
  assert.equal(log.of('resource-not-followed')[0]?.fields['resource'], 'pods/shop');
  assert.match(followed.source.health().lastError ?? '', /./);
});
