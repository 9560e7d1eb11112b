import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Endpoint, EndpointSlice, EndpointSliceKey } from '../../../src/model/endpoint.js';
import type { Service, ServiceKey } from '../../../src/model/service.js';
import { ClusterStore, type ObjectChange } from '../../../src/watch/store/cluster-store.js';
import { toEndpointSlice, toNode, toService } from '../../../src/watch/objects/parse-objects.js';
import { sampleNode, sampleService, sampleSlice } from '../../support/api-samples.js';
import { ip } from '../../support/objects.js';

const service = (name: string, fields: Readonly<Record<string, unknown>> = {}): Service =>
  toService(sampleService(name, fields)).value as Service;

const slice = (name: string, of: string, addresses: readonly string[] = ['10.0.0.1']): EndpointSlice => {
  const object = sampleSlice(of, addresses);
  return toEndpointSlice({ ...object, metadata: { ...object.metadata, name } }).value as EndpointSlice;
};

const putService = (value: Service): ObjectChange => ({ kind: 'service', key: value.key, value });
const putSlice = (value: EndpointSlice): ObjectChange => ({ kind: 'endpointSlice', key: value.key, value });
const serviceMap = (...list: readonly Service[]) => new Map(list.map((value) => [value.key, value]));
const sliceMap = (...list: readonly EndpointSlice[]) => new Map(list.map((value) => [value.key, value]));

const watchedStore = (): { store: ClusterStore; notified: () => number } => {
  let count = 0;
  const store = new ClusterStore(() => (count += 1));
  return { store, notified: () => count };
};

const dirty = (store: ClusterStore): string[] =>
  [...store.takeDirty().keys()].map((key) => key.slice('default/'.length)).toSorted();

test('changes are one step: one notification, everything there when it comes', () => {
  const seen: unknown[] = [];
  const store: ClusterStore = new ClusterStore(() =>
    seen.push([
      store.service('default/a' as ServiceKey)?.name,
      store.slicesOf('default/b' as ServiceKey).length,
    ]),
  );
  store.apply([putSlice(slice('b-1', 'b')), putService(service('a'))]);
  assert.deepEqual(seen, [['a', 1]]);
  assert.deepEqual(dirty(store), ['a', 'b']);
  assert.deepEqual(dirty(store), []);
});

test('an object that comes again unchanged makes nothing dirty', () => {
  const { store, notified } = watchedStore();
  store.apply([putService(service('a')), putSlice(slice('a-1', 'a'))]);
  store.takeDirty();
  store.apply([putService(service('a')), putSlice(slice('a-1', 'a'))]);
  store.apply([{ kind: 'service', key: 'default/unknown' as ServiceKey, value: undefined }]);
  assert.deepEqual([dirty(store), notified()], [[], 1]);
});

test('a slice that moves to another Service makes both dirty', () => {
  const { store } = watchedStore();
  store.apply([putSlice(slice('s', 'a'))]);
  store.takeDirty();
  store.apply([putSlice(slice('s', 'b'))]);
  assert.deepEqual(dirty(store), ['a', 'b']);
  assert.deepEqual(store.slicesOf('default/a' as ServiceKey), []);
  assert.equal(store.slicesOf('default/b' as ServiceKey).length, 1);
});

test('a replacement yields deletes, in one step', () => {
  const { store, notified } = watchedStore();
  store.replace('services', serviceMap(service('a'), service('b'), service('c')));
  store.takeDirty();
  store.replace(
    'services',
    serviceMap(service('b'), service('c', { sessionAffinity: 'ClientIP' }), service('d')),
  );
  assert.deepEqual(dirty(store), ['a', 'c', 'd']);
  assert.equal(notified(), 2);
  assert.equal(store.service('default/a' as ServiceKey), undefined);
});

test('it is synced once both kinds have been delivered, and says so even when there is nothing', () => {
  const { store, notified } = watchedStore();
  store.apply([putService(service('a'))]);
  store.replace('services', serviceMap(service('a')));
  assert.deepEqual([store.synced, notified()], [false, 1]);
  store.replace('endpointSlices', sliceMap());
  assert.deepEqual([store.synced, notified()], [true, 2]);
  store.replace('endpointSlices', sliceMap());
  assert.equal(notified(), 2);
});

test('a store that awaits the Node is not synced before, and says so when it is', () => {
  const { store, notified } = watchedStore();
  store.waitFor('node');
  store.replace('services', serviceMap());
  store.replace('endpointSlices', sliceMap());
  assert.deepEqual([store.synced, notified()], [false, 0]);
  store.markDelivered('node');
  store.markDelivered('node');
  assert.deepEqual([store.synced, notified()], [true, 1]);
});

test('the Node: a change of what we use is told once', () => {
  const { store, notified } = watchedStore();
  const node = (zone: string): ObjectChange => ({ kind: 'node', value: toNode(sampleNode('n', zone)).value });
  store.apply([node('a')]);
  assert.deepEqual([store.takeNodeChanged(), store.takeNodeChanged()], [true, false]);
  store.apply([node('a')]);
  store.apply([node('b')]);
  assert.deepEqual([store.node?.zone, store.takeNodeChanged(), notified()], ['b', true, 2]);
});

test('that the Node is leaving is known and renders nothing again', () => {
  const { store, notified } = watchedStore();
  const node = (taints: readonly object[]): ObjectChange => ({
    kind: 'node',
    value: toNode({ ...sampleNode('n', 'a'), spec: { taints } }).value,
  });
  store.apply([node([])]);
  store.takeNodeChanged();
  store.apply([node([{ key: 'ToBeDeletedByClusterAutoscaler' }])]);
  assert.deepEqual([store.node?.isBeingRemoved, store.takeNodeChanged(), notified()], [true, false, 1]);
  store.apply([node([])]);
  assert.equal(store.node?.isBeingRemoved, false);
});

test('who observes is told of everything that comes and goes, and whether it made a difference', () => {
  const told: string[] = [];
  const store = new ClusterStore(() => {}, {
    service: (key, changed) => void told.push(`${key} ${changed ? 'changed' : 'again'}`),
    endpointSlice: ({ key, triggeredAt }, change) => void told.push(`${key} ${change} ${triggeredAt ?? '-'}`),
  });
  const one = slice('a-1', 'a');
  store.apply([putService(service('a')), putSlice({ ...one, triggeredAt: 5 })]);
  store.takeDirty();
  store.apply([putService(service('a')), putSlice({ ...one, triggeredAt: 6 })]);
  assert.deepEqual(dirty(store), []);
  assert.equal(store.endpointSlice(one.key)?.triggeredAt, 5);
  store.apply([
    { kind: 'endpointSlice', key: one.key, value: undefined },
    { kind: 'endpointSlice', key: one.key, value: undefined },
  ]);
  assert.deepEqual(told, [
    'default/a changed',
    'default/a-1 changed 5',
    'default/a again',
    'default/a-1 none 6',
    'default/a-1 gone 5',
  ]);
});

const names = fc.constantFrom('a', 'b', 'c');
const changes: fc.Arbitrary<ObjectChange> = fc.oneof(
  fc
    .tuple(names, fc.constantFrom('None', 'ClientIP'))
    .map(([name, sessionAffinity]) => putService(service(name, { sessionAffinity }))),
  names.map(
    (name): ObjectChange => ({ kind: 'service', key: `default/${name}` as ServiceKey, value: undefined }),
  ),
  fc
    .tuple(names, names, fc.constantFrom('10.0.0.1', '10.0.0.2'))
    .map(([name, of, address]) => putSlice(slice(name, of, [address]))),
  names.map(
    (name): ObjectChange => ({
      kind: 'endpointSlice',
      key: `default/${name}` as EndpointSliceKey,
      value: undefined,
    }),
  ),
);

test('an endpoint that is as it was is the same thing as before; each of its fields counts', () => {
  const store = new ClusterStore(() => {});
  const given = slice('b-1', 'b', ['10.0.0.1', '10.0.0.2']);
  const held = (): readonly Endpoint[] => store.endpointSlice(given.key)?.endpoints ?? [];
  store.apply([putSlice(given)]);
  const [first, second] = given.endpoints;
  assert.ok(first !== undefined && second !== undefined);
  const others: Partial<Endpoint>[] = [
    { address: ip('10.0.0.3') },
    { pod: 'another' },
    { nodeName: 'another' },
    { zone: 'another' },
    { ready: !first.ready },
    { serving: !first.serving },
    { terminating: !first.terminating },
    { zoneHints: ['another'] },
    { nodeHints: ['another'] },
  ];
  assert.deepEqual(others.flatMap(Object.keys).toSorted(), Object.keys(first).toSorted());
  for (const other of others) {
    store.takeDirty();
    const changed: Endpoint = { ...first, ...other };
    store.apply([putSlice({ ...given, endpoints: [{ ...second }, changed] })]);
    assert.deepEqual([dirty(store), held()], [['b'], [second, changed]]);
    assert.equal(held()[0], second);
    store.apply([putSlice(given)]);
  }
});

test('after any changes, in whatever portions, the store holds the last of each, and all that differs was dirty', () => {
  fc.assert(
    fc.property(fc.array(fc.array(changes, { maxLength: 5 }), { maxLength: 8 }), (portions) => {
      const store = new ClusterStore(() => {});
      const known = new Map<string, string>();
      const view = (key: ServiceKey): string => JSON.stringify([store.service(key), store.slicesOf(key)]);
      const keys = ['a', 'b', 'c'].map((name) => `default/${name}` as ServiceKey);
      const services = new Map<ServiceKey, Service>();
      const slices = new Map<EndpointSliceKey, EndpointSlice>();
      for (const portion of portions) {
        for (const key of keys) known.set(key, view(key));
        store.apply(portion);
        for (const change of portion) {
          if (change.kind === 'service') setOrDelete(services, change.key, change.value);
          if (change.kind === 'endpointSlice') setOrDelete(slices, change.key, change.value);
        }
        const marked = store.takeDirty();
        for (const key of keys) assert.ok(marked.has(key) || view(key) === known.get(key), key);
      }
      for (const key of keys) {
        assert.deepEqual(store.service(key), services.get(key));
        const wanted = [...slices.values()].filter((value) => value.service === key);
        assert.deepEqual(
          store.slicesOf(key),
          wanted.toSorted((a, b) => (a.key < b.key ? -1 : 1)),
        );
      }
    }),
  );
});

const setOrDelete = <Key, Value>(map: Map<Key, Value>, key: Key, value: Value | undefined): void => {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
};
