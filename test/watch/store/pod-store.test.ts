import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { EndpointSlice, EndpointSliceKey } from '../../../src/model/endpoint.js';
import type { Pod, PodKey } from '../../../src/model/pod.js';
import type { Service, ServiceKey } from '../../../src/model/service.js';
import {
  chosenWeightBy,
  needsPods,
  weightByNames,
  type WeightBy,
} from '../../../src/model/settings/weight-by.js';
import { ClusterStore } from '../../../src/watch/store/cluster-store.js';
import { ready, service, slice } from '../../support/objects.js';

const names = ['a/x', 'a/y', 'b/x'] as const;
const podNames = ['p0', 'p1', 'p2'];

type Step =
  | { readonly do: 'service'; readonly name: string; readonly by: WeightBy | undefined | 'deleted' }
  | { readonly do: 'slice'; readonly name: string; readonly suffix: string; readonly pods: readonly string[] }
  | { readonly do: 'pod'; readonly key: string; readonly weight: number | undefined }
  | { readonly do: 'configure'; readonly by: WeightBy };

const name = fc.constantFrom(...names);
const by = fc.constantFrom(...weightByNames);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constant('service' as const),
    name,
    by: fc.oneof(by, fc.constantFrom(undefined, 'deleted' as const)),
  }),
  fc.record({
    do: fc.constant('slice' as const),
    name,
    suffix: fc.constantFrom('1', '2'),
    pods: fc.subarray(podNames),
  }),
  fc.record({
    do: fc.constant('pod' as const),
    key: fc.constantFrom(...['a', 'b'].flatMap((namespace) => podNames.map((pod) => `${namespace}/${pod}`))),
    weight: fc.option(fc.nat(2), { nil: undefined }),
  }),
  fc.record({ do: fc.constant('configure' as const), by }),
);

/** The store, and the same state kept in the simplest way. */
class Twin {
  configured: WeightBy = 'none';
  readonly services = new Map<string, Service>();
  readonly slices = new Map<string, EndpointSlice>();
  readonly pods = new Map<string, Pod>();
  readonly store = new ClusterStore(
    () => {},
    undefined,
    () => this.configured,
  );

  take(step: Step): void {
    if (step.do === 'service') this.#setService(step.name, step.by);
    else if (step.do === 'slice') this.#setSlice(step);
    else if (step.do === 'pod') this.#setPod(step.key, step.weight);
    else {
      this.configured = step.by;
      this.store.recountPods();
    }
    assert.deepEqual(this.store.pods.demand, this.#demand());
  }

  #setService(key: string, weightBy: WeightBy | undefined | 'deleted'): void {
    const annotations = weightBy === undefined ? {} : { 'ipvs.kube-ipvs.dev/weight-by': weightBy };
    const value = weightBy === 'deleted' ? undefined : service(key, { clusterIP: '10.96.0.1', annotations });
    if (value === undefined) this.services.delete(key);
    else this.services.set(key, value);
    this.store.apply([{ kind: 'service', key: key as ServiceKey, value }]);
  }

  #setSlice({ name: of, suffix, pods }: Extract<Step, { do: 'slice' }>): void {
    const endpoints = pods.map((pod) => ready(`10.244.0.${podNames.indexOf(pod) + 1}`, { pod }));
    const value = slice(of, endpoints, { suffix });
    const key = value.key as string;
    if (pods.length === 0) this.slices.delete(key);
    else this.slices.set(key, value);
    const change = { kind: 'endpointSlice', key: key as EndpointSliceKey } as const;
    this.store.apply([{ ...change, value: pods.length === 0 ? undefined : value }]);
  }

  #setPod(key: string, weight: number | undefined): void {
    const value = weight === undefined ? undefined : { weight, cpuRequest: undefined };
    const changes = this.pods.get(key)?.weight !== weight;
    if (value === undefined) this.pods.delete(key);
    else this.pods.set(key, value);
    this.store.takeDirty();
    this.store.apply([{ kind: 'pod', key: key as PodKey, value }]);
    const expected = [...this.services.values()].filter((one) => changes && this.#uses(one, key));
    assert.deepEqual(
      [...this.store.takeDirty().keys()].toSorted(),
      expected.map((one) => one.key).toSorted(),
    );
  }

  #asks = (one: Service): boolean => needsPods(chosenWeightBy(one) ?? this.configured);

  #uses(one: Service, pod: string): boolean {
    return (
      this.#asks(one) &&
      [...this.slices.values()].some(
        ({ service: of, endpoints }) =>
          of === one.key && endpoints.some((endpoint) => `${one.namespace}/${endpoint.pod}` === pod),
      )
    );
  }

  #demand(): 'all' | ReadonlySet<string> {
    if (needsPods(this.configured)) return 'all';
    const asking = [...this.services.values()].filter(this.#asks);
    return new Set(asking.map(({ namespace }) => namespace));
  }
}

test('a changed pod makes exactly the Services dirty whose weights may change, whatever came before', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 60, size: 'max' }), (steps) => {
      const twin = new Twin();
      for (const each of steps) twin.take(each);
    }),
    { numRuns: 300, seed: 7 },
  );
});

test('of a wrong annotation the last valid value stays, until the Service is created anew', () => {
  const store = new ClusterStore(
    () => {},
    undefined,
    () => 'none',
  );
  const set = (by: string | undefined, createdAt = 1): WeightBy => {
    const value = {
      ...service('x', { clusterIP: '10.96.0.1' }),
      createdAt,
      annotations: by === undefined ? {} : { 'weight-by': by },
    };
    store.apply([{ kind: 'service', key: value.key, value }]);
    return store.pods.weightByOf(value);
  };
  assert.deepEqual(
    [set('wrong'), set('pod'), set('wrong'), set('also wrong')],
    ['none', 'pod', 'pod', 'pod'],
  );
  assert.deepEqual(store.pods.demand, new Set(['default']));
  assert.equal(set(undefined), 'none');
  assert.deepEqual(store.pods.demand, new Set());
  assert.deepEqual(
    [set('wrong'), set('zone'), set('wrong'), set('wrong', 2)],
    ['none', 'zone', 'zone', 'none'],
  );
});
