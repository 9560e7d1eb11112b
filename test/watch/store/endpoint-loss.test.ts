import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EndpointSlice } from '../../../src/model/endpoint.js';
import { ClusterStore } from '../../../src/watch/store/cluster-store.js';
import { losesEndpoint } from '../../../src/watch/store/endpoint-loss.js';
import { toEndpointSlice } from '../../../src/watch/objects/parse-objects.js';
import { sampleSlice } from '../../support/api-samples.js';

type State = 'ready' | 'terminating' | 'unready';

const conditions = {
  ready: { ready: true, serving: true, terminating: false },
  terminating: { ready: false, serving: true, terminating: true },
  unready: { ready: false, serving: false, terminating: false },
} as const;

/** An EndpointSlice whose endpoints are so; those that are left out are not in it. */
const slice = (...states: readonly (State | undefined)[]): EndpointSlice => {
  const object = sampleSlice('web', []);
  const endpoints = states.flatMap((state, index) =>
    state === undefined ? [] : [{ addresses: [`10.244.0.${index + 1}`], conditions: conditions[state] }],
  );
  const { value } = toEndpointSlice({ ...object, endpoints });
  assert.ok(value);
  return value;
};

const rows: readonly [
  what: string,
  before: EndpointSlice | undefined,
  now: EndpointSlice | undefined,
  loses: boolean,
][] = [
  ['a new slice', undefined, slice('ready'), false],
  ['one endpoint more', slice('ready'), slice('ready', 'ready'), false],
  ['one endpoint less', slice('ready', 'ready'), slice('ready'), true],
  ['another endpoint in its place', slice('ready'), slice(undefined, 'ready'), true],
  ['an endpoint that becomes terminating', slice('ready', 'ready'), slice('ready', 'terminating'), true],
  ['an endpoint that becomes unready', slice('ready', 'ready'), slice('ready', 'unready'), true],
  ['an endpoint that becomes ready', slice('ready', 'unready'), slice('ready', 'ready'), false],
  ['a terminating endpoint that ends', slice('ready', 'terminating'), slice('ready'), false],
  ['the last terminating endpoint that ends', slice('terminating'), slice(), true],
  ['the last terminating endpoint that becomes unready', slice('terminating'), slice('unready'), true],
  ['an unready endpoint that goes', slice('unready'), slice(), false],
  ['the whole slice goes', slice('ready'), undefined, true],
  ['an empty slice goes', slice(), undefined, false],
];

for (const [what, before, now, loses] of rows)
  test(`${what}: ${loses ? 'a loss' : 'no loss'}`, () => assert.equal(losesEndpoint(before, now), loses));

test('the store says so of each change, and of those that come together once', () => {
  const told: boolean[] = [];
  const store = new ClusterStore(({ losesEndpoint: loses }) => told.push(loses));
  const put = (...slices: readonly EndpointSlice[]): void =>
    store.apply(slices.map((value) => ({ kind: 'endpointSlice', key: value.key, value })));
  put(slice('ready'));
  put(slice('ready', 'ready'));
  put(slice('ready'), slice('ready', 'ready'));
  put(slice('ready', 'ready', 'ready'));
  assert.deepEqual(told, [false, false, true, false]);
  const { key } = slice('ready');
  store.replace('endpointSlices', new Map([[key, slice('ready')]]));
  assert.equal(told.at(-1), true);
});
