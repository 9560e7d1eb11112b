import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Endpoint } from '../../../src/model/endpoint.js';
import {
  endpointSelections,
  type EndpointSelection,
} from '../../../src/plan/endpoints/endpoint-selection.js';
import { clusterEndpoints, endpointsByPort, localEndpoints } from '../../../src/plan/endpoints/endpoints.js';
import { facts, serviceWithSlices } from '../../support/arbitrary-cluster.js';
import {
  deadTerminating,
  local,
  nodeFacts,
  notReady,
  ready,
  service,
  servingTerminating,
  slice,
  type EndpointSpec,
} from '../../support/objects.js';

const node = nodeFacts([], 'a');
const web = service('web', { clusterIP: '10.96.0.1' });
const [port] = web.ports;
assert.ok(port);

const words = ({ cluster: byCluster, local: byLocal }: EndpointSelection): string =>
  [byCluster, byLocal].map(({ used, reason }) => `${used ? 'in' : 'out'} ${reason}`).join(', ');

/** Formats policy Cluster, then Local, such as `10.0.0.1: in ready, out on-another-node`. */
const verdicts = (...specs: readonly EndpointSpec[]): readonly string[] =>
  endpointSelections(endpointsByPort([slice('web', specs)])('IPv4', port), node).map(
    (verdict) => `${verdict.of.endpoint.address}: ${words(verdict)}`,
  );

test('only ready endpoints are selected', () => {
  assert.deepEqual(verdicts(local(ready('10.0.0.1')), ready('10.0.0.2'), notReady('10.0.0.3')), [
    '10.0.0.1: in ready, in ready',
    '10.0.0.2: in ready, out on-another-node',
    '10.0.0.3: out not-ready, out on-another-node',
  ]);
});

test('a terminating endpoint is selected only as the last resort, if no endpoint is ready', () => {
  assert.deepEqual(verdicts(ready('10.0.0.1'), local(servingTerminating('10.0.0.2'))), [
    '10.0.0.1: in ready, out on-another-node',
    '10.0.0.2: out terminating, in last-resort',
  ]);
  assert.deepEqual(verdicts(servingTerminating('10.0.0.1'), local(deadTerminating('10.0.0.2'))), [
    '10.0.0.1: in last-resort, out on-another-node',
    '10.0.0.2: out terminating, out terminating',
  ]);
});

test('hints for the node take precedence over hints for the zone', () => {
  const inZone = (zone: string, spec: EndpointSpec): EndpointSpec => ({ ...spec, zones: [zone] });
  assert.deepEqual(verdicts(inZone('a', ready('10.0.0.1')), inZone('b', local(ready('10.0.0.2')))), [
    '10.0.0.1: in hinted-for-zone, out on-another-node',
    '10.0.0.2: out hinted-for-other-zones, in ready',
  ]);
  assert.deepEqual(
    verdicts(
      { ...inZone('a', ready('10.0.0.1')), nodes: ['n2'] },
      { ...inZone('b', ready('10.0.0.2')), nodes: ['n1'] },
    ),
    [
      '10.0.0.1: out hinted-for-other-nodes, out on-another-node',
      '10.0.0.2: in hinted-for-node, out on-another-node',
    ],
  );
  assert.deepEqual(verdicts(inZone('a', ready('10.0.0.1')), inZone('a', ready('10.0.0.2'))), [
    '10.0.0.1: in ready, out on-another-node',
    '10.0.0.2: in ready, out on-another-node',
  ]);
});

test('the explanation matches the selected endpoints', () => {
  const reasons = new Set<string>();
  fc.assert(
    fc.property(serviceWithSlices, facts, ({ service: { ports }, slices }, someNode) => {
      const endpointsOf = endpointsByPort(slices);
      for (const family of ['IPv4', 'IPv6'] as const)
        for (const servicePort of ports) {
          const endpoints = endpointsOf(family, servicePort);
          const found = endpointSelections(endpoints, someNode);
          const used = (policy: 'cluster' | 'local'): readonly Endpoint[] =>
            found.filter((verdict) => verdict[policy].used).map(({ of }) => of.endpoint);
          const chosen = (all: ReturnType<typeof clusterEndpoints>) => all.map(({ endpoint }) => endpoint);
          assert.deepEqual(used('cluster'), chosen(clusterEndpoints(endpoints, someNode)));
          assert.deepEqual(used('local'), chosen(localEndpoints(endpoints, someNode)));
          for (const verdict of found) reasons.add(verdict.cluster.reason).add(verdict.local.reason);
        }
    }),
    // Enough cases to include the rare reasons with every seed.
    { numRuns: 1_000 },
  );
  assert.ok(reasons.size >= 6, [...reasons].join());
});
