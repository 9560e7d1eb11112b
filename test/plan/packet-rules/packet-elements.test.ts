import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Command } from '../../../src/kernel/ipvs/attributes.js';
import { desiredElements, desiredState } from '../../support/desired-kernel.js';
import { ProductionNode } from '../../support/production-node.js';
import {
  deadTerminating,
  ip,
  local,
  nodeFacts,
  ready,
  service,
  slice,
  type EndpointSpec,
  type ServiceSpec,
} from '../../support/objects.js';

const facts = nodeFacts(['eth0 10.200.0.2/24', 'eth0 fd00:200::2/64']);

/** The packet-rule elements of one Service `web`. */
const elementsOf = (
  fields: ServiceSpec,
  endpoints: readonly EndpointSpec[],
  ownFacts = facts,
): readonly string[] => {
  const objects = {
    services: [service('web', { clusterIP: '10.96.0.1', ...fields })],
    slices: [slice('web', endpoints)],
  };
  return desiredElements(desiredState(objects, ownFacts));
};

const loadBalancer = {
  type: 'LoadBalancer',
  ports: [':80@30080'],
  ingress: [{ ip: '203.0.113.10' }],
} satisfies ServiceSpec;

test('a ClusterIP has an element for its packet class and one for its VIP', () => {
  assert.deepEqual(elementsOf({}, [ready('10.1.0.1')]), [
    'IPv4 cluster-ip 10.96.0.1 . TCP . 80',
    'IPv4 vips 10.96.0.1',
  ]);
});

test('a frontend without real servers refuses connections', () => {
  assert.deepEqual(elementsOf({}, []), ['IPv4 no-endpoints 10.96.0.1 . TCP . 80', 'IPv4 vips 10.96.0.1']);
});

test('internalTrafficPolicy Local without a local endpoint refuses connections to the ClusterIP, regardless of other frontends', () => {
  assert.deepEqual(
    elementsOf({ ...loadBalancer, internalTrafficPolicy: 'Local' }, [ready('10.1.0.1')]).filter((element) =>
      /TCP/.test(element),
    ),
    [
      'IPv4 external 10.200.0.2 . TCP . 30080',
      'IPv4 external 203.0.113.10 . TCP . 80',
      'IPv4 no-endpoints 10.96.0.1 . TCP . 80',
    ],
  );
});

for (const [about, endpoints, packetClass] of [
  ['with a local endpoint', [local(ready('10.1.0.1')), ready('10.1.0.2')], 'local'],
  ['with none', [ready('10.1.0.2')], 'local-elsewhere'],
  ['without any endpoint', [], 'no-endpoints'],
] as const) {
  test(`externalTrafficPolicy Local ${about}: load balancer, node port, and health check port`, () => {
    const elements = elementsOf(
      {
        ...loadBalancer,
        externalTrafficPolicy: 'Local',
        healthCheckNodePort: 32_010,
        externalIPs: ['198.51.100.7'],
      },
      endpoints,
    );
    for (const frontend of ['10.200.0.2 . TCP . 30080', '203.0.113.10 . TCP . 80', '198.51.100.7 . TCP . 80'])
      assert.ok(elements.includes(`IPv4 ${packetClass} ${frontend}`), elements.join('\n'));
    assert.ok(elements.includes('IPv4 health-check-ports 32010'));
    assert.ok(!elements.includes('IPv4 vips 10.200.0.2'), 'an address of the node is not a VIP');
  });
}

test('every local endpoint may reach itself, regardless of its state', () => {
  assert.deepEqual(
    elementsOf({}, [local(ready('10.1.0.1')), local(deadTerminating('10.1.0.2')), ready('10.1.0.3')]).filter(
      (element) => element.includes('hairpin'),
    ),
    ['IPv4 hairpin 10.1.0.1 . 10.1.0.1 . TCP . 80', 'IPv4 hairpin 10.1.0.2 . 10.1.0.2 . TCP . 80'],
  );
});

test('source ranges restrict only load balancer addresses, with one set per prefix length', () => {
  const elements = elementsOf(
    { ...loadBalancer, loadBalancerSourceRanges: ['192.0.2.77/24', '198.51.100.9/32'] },
    [ready('10.1.0.1')],
  );
  assert.deepEqual(
    elements.filter((element) => /restricted|sources/.test(element)),
    [
      'IPv4 restricted 203.0.113.10 . TCP . 80',
      'IPv4 sources-24 203.0.113.10 . TCP . 80 . 192.0.2.0',
      'IPv4 sources-32 203.0.113.10 . TCP . 80 . 198.51.100.9',
    ],
  );
});

test('a range with an address of the node admits the VIP, which is the source of the node’s packets', () => {
  const elements = elementsOf({ ...loadBalancer, loadBalancerSourceRanges: ['10.200.0.0/24'] }, [
    ready('10.1.0.1'),
  ]);
  assert.ok(elements.includes('IPv4 sources-32 203.0.113.10 . TCP . 80 . 203.0.113.10'), elements.join('\n'));
});

test('if the Node has addresses, other addresses of the node admit nothing', () => {
  const restricted: ServiceSpec = { ...loadBalancer, loadBalancerSourceRanges: ['10.200.0.0/24'] };
  for (const [reported, admitted] of [
    ['10.200.0.2', 1],
    ['172.31.0.1', 0],
  ] as const) {
    const elements = elementsOf(restricted, [], { ...facts, statusAddresses: [ip(reported)] });
    assert.equal(elements.filter((element) => element.includes('sources-32')).length, admitted);
  }
});

test('ranges of the other family or a range with every address restrict nothing', () => {
  for (const loadBalancerSourceRanges of [['fd00::/64'], ['192.0.2.0/24', '0.0.0.0/0']])
    assert.deepEqual(
      elementsOf({ ...loadBalancer, loadBalancerSourceRanges }, []).filter((element) =>
        /restricted|sources/.test(element),
      ),
      [],
    );
});

test('of two Services on one address and port only the owner’s rules apply', async () => {
  await using node = await ProductionNode.start({ facts });
  const older = service('older', {
    clusterIP: '10.96.0.1',
    externalIPs: ['203.0.113.10'],
    createdAt: '2024-01-01T00:00:00Z',
  });
  const younger = service('younger', {
    ...loadBalancer,
    clusterIP: '10.96.0.2',
    createdAt: '2024-01-02T00:00:00Z',
    loadBalancerSourceRanges: ['192.0.2.0/24'],
  });
  const restrictions = (): readonly string[] =>
    node.elements.filter((element) => /restricted|sources/.test(element));
  await node.replace({ services: [older, younger], slices: [] });
  assert.deepEqual(restrictions(), []);
  await node.replace({ services: [younger], slices: [] });
  assert.equal(restrictions().length, 2);
  await node.replace({ services: [older, younger], slices: [] });
  assert.deepEqual(restrictions(), []);
});

test('only the first and the last endpoint of a Service change its elements', async () => {
  await using node = await ProductionNode.start({ facts });
  const web = service('web', { clusterIP: '10.96.0.1' });
  await node.change(web.key, web, [slice('web', [ready('10.1.0.1')])]);
  assert.deepEqual(node.elements, ['IPv4 cluster-ip 10.96.0.1 . TCP . 80', 'IPv4 vips 10.96.0.1']);
  const { received } = node.kernel;
  const before = received.length;
  await node.change(web.key, web, [slice('web', [ready('10.1.0.1'), ready('10.1.0.2')])]);
  assert.deepEqual(
    received.slice(before).map(({ kind }) => kind),
    [`ipvs ${Command.newDestination}`],
  );
  await node.change(web.key, web, [slice('web', [])]);
  assert.deepEqual(node.elements, ['IPv4 no-endpoints 10.96.0.1 . TCP . 80', 'IPv4 vips 10.96.0.1']);
});

test('source ranges also restrict a load balancer address that is an external IP', () => {
  const elements = elementsOf(
    { ...loadBalancer, externalIPs: ['203.0.113.10'], loadBalancerSourceRanges: ['198.51.100.0/24'] },
    [ready('10.1.0.1')],
  );
  assert.deepEqual(
    elements.filter((element) => /restricted|sources/.test(element)),
    ['IPv4 restricted 203.0.113.10 . TCP . 80', 'IPv4 sources-24 203.0.113.10 . TCP . 80 . 198.51.100.0'],
  );
});

test('source ranges do not restrict the node port on a load balancer address of this node', () => {
  const elements = elementsOf(
    {
      ...loadBalancer,
      ingress: [{ ip: '10.200.0.2' }],
      loadBalancerSourceRanges: ['198.51.100.0/24'],
    },
    [ready('10.1.0.1')],
  );
  assert.deepEqual(
    elements.filter((element) => /restricted/.test(element)),
    ['IPv4 restricted 10.200.0.2 . TCP . 80'],
  );
});
