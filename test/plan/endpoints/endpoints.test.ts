import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clusterEndpoints, endpointsByPort, localEndpoints } from '../../../src/plan/endpoints/endpoints.js';
import {
  local,
  nodeFacts,
  notReady,
  ready,
  servingTerminating,
  slice,
  type EndpointSpec,
} from '../../support/objects.js';

const port = { name: '', protocol: 'TCP', port: 80, nodePort: undefined } as const;
const address = '10.0.1.1';

/** The winning record if each endpoint has a separate slice. */
const merged = (...endpoints: readonly EndpointSpec[]) => {
  const slices = endpoints.map((endpoint, index) => slice('web', [endpoint], { suffix: `${index}` }));
  const [first, ...others] = endpointsByPort(slices)('IPv4', port);
  assert.deepEqual(others, []);
  return first?.endpoint;
};

const rows: readonly [claim: string, winner: EndpointSpec, loser: EndpointSpec][] = [
  ['not ready before terminating, like kube-proxy', notReady(address), servingTerminating(address)],
  ['ready before not ready', ready(address, { serving: false }), notReady(address, { serving: true })],
  ['serving before not serving', notReady(address, { serving: true }), notReady(address)],
];

for (const [claim, winner, loser] of rows)
  test(`of two records of one endpoint: ${claim}, in any order`, () => {
    const { ready, serving, terminating } = winner;
    for (const record of [merged(winner, loser), merged(loser, winner)])
      assert.deepEqual(
        { ready: record?.ready, serving: record?.serving, terminating: record?.terminating },
        { ready, serving, terminating },
      );
  });

test('of two equal records the one in the first slice by name wins, regardless of the order', () => {
  const slices = [
    slice('web', [ready(address, { on: 'n3' })], { suffix: 'b' }),
    slice('web', [ready(address, { on: 'n2' })], { suffix: 'a' }),
  ];
  for (const order of [slices, slices.toReversed()])
    assert.equal(endpointsByPort(order)('IPv4', port)[0]?.endpoint.nodeName, 'n2');
});

test('a node without a name or a zone matches no endpoint and no hint', () => {
  const unnamed = nodeFacts([], '', '');
  const endpoints = endpointsByPort([
    slice('web', [
      ready('10.0.1.1', { on: '', zones: [''], nodes: [''] }),
      ready('10.0.1.2', { zones: ['a'], nodes: ['n2'] }),
    ]),
  ])('IPv4', port);
  assert.equal(clusterEndpoints(endpoints, unnamed).length, 2);
  assert.equal(localEndpoints(endpoints, unnamed).length, 0);
});

test('endpoints are sorted by their text', () => {
  const endpoints = endpointsByPort([
    slice('web', [local(ready('10.0.1.2')), ready('10.0.1.10'), ready('10.0.1.1')]),
  ])('IPv4', port);
  assert.deepEqual(
    endpoints.map(({ key }) => key),
    ['10.0.1.10:80', '10.0.1.1:80', '10.0.1.2:80'],
  );
});
