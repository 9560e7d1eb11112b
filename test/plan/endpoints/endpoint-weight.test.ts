import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Endpoint } from '../../../src/model/endpoint.js';
import type { Pod } from '../../../src/model/pod.js';
import type { WeightBy } from '../../../src/model/settings/weight-by.js';
import { endpointWeight } from '../../../src/plan/endpoints/endpoint-weight.js';
import { ready, slice } from '../../support/objects.js';

const pods: Readonly<Record<string, Pod>> = {
  'shop/light': { weight: 10, cpuRequest: 250 },
  'shop/none': { weight: undefined, cpuRequest: undefined },
  'shop/off': { weight: 0, cpuRequest: 0 },
  'shop/large': { weight: 65_535, cpuRequest: 1_000_000_000 },
};

const endpointOf = (pod: string | undefined, zone = ''): Endpoint => {
  const [endpoint] = slice('shop/web', [
    ready('10.244.0.11', { zone, ...(pod === undefined ? {} : { pod }) }),
  ]).endpoints;
  assert.ok(endpoint !== undefined);
  return endpoint;
};

const weigh = (by: WeightBy, endpoint: Endpoint, zone = '') => {
  const found = endpointWeight(by, endpoint, 'shop', { zone, pod: (key) => pods[key] });
  return found && `${found.weight} ${found.reason}`;
};

test('the annotation of a pod is its weight, and 100 is that of a pod without one', () => {
  assert.equal(weigh('pod', endpointOf('light')), '10 pod-annotation');
  assert.equal(weigh('pod', endpointOf('off')), '0 pod-annotation');
  assert.equal(weigh('pod', endpointOf('none')), '100 no-pod-annotation');
  assert.equal(weigh('pod', endpointOf('unknown')), '100 unknown-pod');
  assert.equal(weigh('pod', endpointOf(undefined)), '100 unknown-pod');
});

test('a CPU that a pod requests weighs 100, and a pod without a request counts as a tenth of one', () => {
  assert.equal(weigh('cpu-request', endpointOf('light')), '25 cpu-request');
  assert.equal(weigh('cpu-request', endpointOf('off')), '1 cpu-request');
  assert.equal(weigh('cpu-request', endpointOf('large')), '65535 cpu-request');
  assert.equal(weigh('cpu-request', endpointOf('none')), '10 no-cpu-request');
  assert.equal(weigh('cpu-request', endpointOf('unknown')), '10 unknown-pod');
});

test('an endpoint in the zone of the node weighs 10, any other 1', () => {
  assert.equal(weigh('zone', endpointOf('light', 'a'), 'a'), '10 same-zone');
  assert.equal(weigh('zone', endpointOf('light', 'b'), 'a'), '1 other-zone');
  assert.equal(weigh('zone', endpointOf('light', ''), 'a'), '1 other-zone');
  assert.equal(weigh('zone', endpointOf('light', ''), ''), '1 other-zone');
});

test('without a choice no endpoint has a weight of its own', () => {
  assert.equal(weigh('none', endpointOf('light', 'a'), 'a'), undefined);
});
