import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ready, serviceObject, sliceObject, type EndpointSpec } from '../support/objects.js';
import { renderedTable } from '../support/rendered.js';

// What each of six nodes in three zones serves a Service with: as upstream's specs of traffic distribution ask, for clusters of that size.

const nodes = ['n1', 'n2', 'n3', 'n4', 'n5', 'n6'] as const;
type NodeName = (typeof nodes)[number];
const zoneOf: Readonly<Record<NodeName, string>> = {
  n1: 'zone-a',
  n2: 'zone-a',
  n3: 'zone-b',
  n4: 'zone-b',
  n5: 'zone-c',
  n6: 'zone-c',
};

const nodeObjects = nodes.map((name) => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name, labels: { 'topology.kubernetes.io/zone': zoneOf[name] } },
  spec: {},
  status: { addresses: [{ type: 'InternalIP', address: '10.200.0.2' }] },
}));

const addresses = { IPv4: '10.128.1.', IPv6: 'fd00:10:128:1::' } as const;

/** Which nodes' pods serve the Service on each node, as EndpointSlices with these hints have it; equal in both families. */
const served = (
  fields: Readonly<Record<string, unknown>>,
  pods: readonly NodeName[],
  hints: (pod: NodeName) => Partial<EndpointSpec>,
): Readonly<Record<string, string>> => {
  const items = [
    ...nodeObjects,
    serviceObject('web', {
      clusterIPs: ['10.96.0.10', 'fd00:96::10'],
      ipFamilies: ['IPv4', 'IPv6'],
      ...fields,
    }),
    ...(['IPv4', 'IPv6'] as const).map((family) =>
      sliceObject(
        'web',
        pods.map((pod) => ({
          ...ready(`${addresses[family]}${1 + nodes.indexOf(pod)}`),
          on: pod,
          zone: zoneOf[pod],
          ...hints(pod),
        })),
        { ports: [':8080'], family, suffix: family.toLowerCase() },
      ),
    ),
  ];
  const text = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
  return Object.fromEntries(
    nodes.map((node) => {
      const lines = renderedTable([{ name: 'cluster', text }], node);
      const on = (virtual: string, pod: RegExp): string =>
        lines
          .filter((line) => line.startsWith(`-a -t ${virtual}:80 `))
          .map((line) => `n${pod.exec(line)?.[1]}`)
          .toSorted()
          .join(' ');
      const [first, second] = [on('10.96.0.10', /10\.128\.1\.(\d)/), on('[fd00:96::10]', /:1::(\d)\]/)];
      assert.equal(first, second, node);
      return [node, first];
    }),
  );
};

const ofZone = (pod: NodeName): Partial<EndpointSpec> => ({ zones: [zoneOf[pod]] });

for (const trafficDistribution of ['PreferClose', 'PreferSameZone'])
  test(`six nodes in three zones: ${trafficDistribution} keeps to the zone, and goes everywhere where a zone has no endpoint`, () => {
    assert.deepEqual(served({ trafficDistribution }, ['n1', 'n3', 'n4', 'n6'], ofZone), {
      n1: 'n1',
      n2: 'n1',
      n3: 'n3 n4',
      n4: 'n3 n4',
      n5: 'n6',
      n6: 'n6',
    });
    assert.deepEqual(served({ trafficDistribution }, ['n1', 'n3'], ofZone), {
      n1: 'n1',
      n2: 'n1',
      n3: 'n3',
      n4: 'n3',
      n5: 'n1 n3',
      n6: 'n1 n3',
    });
  });

test('six nodes in three zones: PreferSameNode keeps to the node, else to the zone, else goes everywhere', () => {
  const ofNode = (pod: NodeName): Partial<EndpointSpec> => ({ ...ofZone(pod), nodes: [pod] });
  assert.deepEqual(served({ trafficDistribution: 'PreferSameNode' }, ['n1', 'n2', 'n3'], ofNode), {
    n1: 'n1',
    n2: 'n2',
    n3: 'n3',
    n4: 'n3',
    n5: 'n1 n2 n3',
    n6: 'n1 n2 n3',
  });
});

test('six nodes in three zones: hints of the endpoint controller are kept to, and left aside where one endpoint has none', () => {
  const spread: Readonly<Record<string, string>> = { n1: 'zone-a', n3: 'zone-b', n4: 'zone-c' };
  assert.deepEqual(
    served({}, ['n1', 'n3', 'n4'], (pod) => ({ zones: [spread[pod] ?? ''] })),
    { n1: 'n1', n2: 'n1', n3: 'n3', n4: 'n3', n5: 'n4', n6: 'n4' },
  );
  const all = 'n1 n3 n4';
  assert.deepEqual(
    served({}, ['n1', 'n3', 'n4'], (pod) => (pod === 'n3' ? {} : { zones: [spread[pod] ?? ''] })),
    { n1: all, n2: all, n3: all, n4: all, n5: all, n6: all },
  );
});

test('six nodes in three zones: internalTrafficPolicy Local comes before every hint', () => {
  const fields = { trafficDistribution: 'PreferSameZone', internalTrafficPolicy: 'Local' };
  assert.deepEqual(served(fields, ['n1', 'n2', 'n5'], ofZone), {
    n1: 'n1',
    n2: 'n2',
    n3: '',
    n4: '',
    n5: 'n5',
    n6: '',
  });
});
