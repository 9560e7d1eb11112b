import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeFindings } from '../../src/fleet/node-findings.js';
import { ServiceComparer } from '../../src/fleet/service-comparison.js';
import { serviceTruth } from '../../src/fleet/service-truth.js';
import { notReady, ready, service, servingTerminating, slice, type ServiceSpec } from '../support/objects.js';
import { explainAnswer, simulatedBackends, type SimulatedState } from '../support/simulated-fleet.js';

const [one = '', two = '', three = ''] = simulatedBackends;
const address = (realServer: string): string => realServer.replace(/:\d+$/, '');

const truthOf = (
  endpoints = simulatedBackends.map((key) => ready(address(key))),
  changes: ServiceSpec = {},
) =>
  serviceTruth(
    service('shop/web', { type: 'NodePort', clusterIP: '10.96.10.10', ports: ['http:80@30080'], ...changes }),
    [slice('shop/web', endpoints, { ports: ['http:8080'] })],
  );
const truth = truthOf();

const onBoth = (text: string): readonly string[] =>
  ['TCP 10.96.10.10:80', 'TCP node port 30080'].map((frontend) => text.replace('FRONTEND', frontend));

test('a node is compared with the API, and its kernel with what its daemon desires', () => {
  const cases: readonly (readonly [string, SimulatedState, readonly string[]])[] = [
    ['as it should be', {}, []],
    ['another node address', { nodeAddress: '[fd00::1]' }, []],
    [
      'the kernel lacks a backend',
      { kernel: { [one]: 1, [three]: 1 } },
      onBoth(`the kernel lacks real server ${two} of FRONTEND`),
    ],
    [
      'the daemon does not know an endpoint',
      { known: [one, two] },
      [`the daemon does not know endpoint ${three} of port http`],
    ],
    [
      'the daemon knows one too many',
      { known: [...simulatedBackends, '10.244.0.99:8080'] },
      ['the daemon still has endpoint 10.244.0.99:8080 of port http, which the API does not have'],
    ],
    [
      'the kernel has a foreign backend',
      { kernel: { [one]: 1, [two]: 1, [three]: 1, '10.244.0.99:8080': 1 } },
      onBoth('the kernel has real server 10.244.0.99:8080 of FRONTEND, which is not desired'),
    ],
    [
      'a backend drains',
      { kernel: { [one]: 1, [two]: 1, [three]: 1, '10.244.0.99:8080': 0 }, draining: ['10.244.0.99:8080'] },
      [],
    ],
    [
      'a backend has weight 0',
      { kernel: { [one]: 1, [two]: 0, [three]: 1 } },
      onBoth(`the kernel has weight 0 for real server ${two} of FRONTEND, not 1`),
    ],
  ];
  for (const [name, state, expected] of cases)
    assert.deepEqual(nodeFindings(truth, explainAnswer(state)), expected, name);
});

test('what the API says of the Service and of the state of endpoints counts', () => {
  const otherPort = truthOf(undefined, { ports: ['http:80@30081'] });
  assert.deepEqual(nodeFindings(otherPort, explainAnswer()), [
    'the daemon has ports "http TCP 80 node port 30080"; the API has "http TCP 80 node port 30081"',
  ]);
  const states = truthOf([notReady(address(one)), servingTerminating(address(two)), ready(address(three))]);
  assert.deepEqual(nodeFindings(states, explainAnswer()), [
    `the daemon has endpoint ${one} of port http as ready; the API has it as not ready`,
    `the daemon has endpoint ${two} of port http as ready; the API has it as terminating`,
  ]);
});

test('a missing VIP, a missing virtual server, a problem and an unknown Service are findings', () => {
  const answer = explainAnswer();
  const report = answer.service;
  assert.ok(report !== undefined);
  const change = (changes: Partial<typeof report>, kernel = answer.kernel) =>
    nodeFindings(truth, { ...answer, service: { ...report, ...changes }, ...(kernel && { kernel }) });
  assert.deepEqual(change({ addresses: [{ address: '10.96.10.10', bound: false }] }), [
    'the kernel lacks VIP 10.96.10.10',
  ]);
  assert.deepEqual(change({}, { virtualServers: {} }), onBoth('the kernel lacks virtual server FRONTEND'));
  assert.deepEqual(change({ problems: [{ reason: 'R', message: 'port 80 is taken' }] }), [
    'port 80 is taken',
  ]);
  const { service: _, ...unknown } = answer;
  assert.deepEqual(nodeFindings(truth, unknown), ['the daemon does not serve the Service']);
});

test('a daemon that lists not all endpoints is not taken to lack the others', () => {
  const answer = explainAnswer({ known: [one, two] });
  assert.ok(answer.service !== undefined);
  const shortened = { ...answer, service: { ...answer.service, endpointCount: 6_000 } };
  assert.deepEqual(nodeFindings(truth, shortened), []);
});

test('nodes with the same findings are one group, and backends are counted', () => {
  const comparer = new ServiceComparer();
  const states: Readonly<Record<string, SimulatedState>> = {
    'node-1': {},
    'node-2': {},
    'node-3': { kernel: { [one]: 1, [three]: 1 }, nodeAddress: '192.0.2.3' },
    'node-4': { kernel: { [one]: 1, [three]: 1 }, nodeAddress: '192.0.2.4' },
    'node-5': { known: [one, two] },
  };
  for (const [node, state] of Object.entries(states))
    comparer.add({ node, answer: explainAnswer(state) }, truth);
  comparer.add({ node: 'node-6', reason: 'no answer within 30 s' }, truth);
  assert.deepEqual(comparer.differingNodes, ['node-3', 'node-4', 'node-5']);
  const { alike, differing, frontends, backends, unanswered } = comparer.result();
  assert.deepEqual(alike, ['node-1', 'node-2']);
  assert.deepEqual(differing, [
    { nodes: ['node-3', 'node-4'], content: onBoth(`the kernel lacks real server ${two} of FRONTEND`) },
    { nodes: ['node-5'], content: [`the daemon does not know endpoint ${three} of port http`] },
  ]);
  assert.deepEqual(frontends, [
    { name: 'TCP 10.96.10.10:80', policy: 'Cluster', schedulers: [['rr', 5]], realServers: [2, 3] },
    { name: 'TCP node port 30080', policy: 'Cluster', schedulers: [['rr', 5]], realServers: [2, 3] },
  ]);
  assert.deepEqual(
    backends.map(({ realServer, nodes, missingOn }) => [realServer, nodes, missingOn]),
    [
      [one, 5, []],
      [two, 3, ['node-3', 'node-4']],
      [three, 4, []],
    ],
  );
  assert.deepEqual(unanswered, [{ node: 'node-6', reason: 'no answer within 30 s' }]);
});

test('a second answer replaces the first: only what persists is a difference', () => {
  const comparer = new ServiceComparer();
  comparer.add({ node: 'node-1', answer: explainAnswer({ kernel: { [one]: 1 } }) }, truth);
  comparer.add({ node: 'node-1', answer: explainAnswer() }, truth);
  const { alike, differing, backends } = comparer.result();
  assert.deepEqual([alike, differing], [['node-1'], []]);
  assert.deepEqual(
    backends.flatMap(({ missingOn }) => missingOn),
    [],
  );
  comparer.add({ node: 'node-1', reason: 'gone' }, truth);
  assert.deepEqual([comparer.result().alike, comparer.result().backends], [[], []]);
});

test('a scheduler that few nodes have is a difference', () => {
  const comparer = new ServiceComparer();
  for (const node of ['node-1', 'node-2', 'node-3'])
    comparer.add({ node, answer: explainAnswer(node === 'node-3' ? { scheduler: 'lc' } : {}) }, truth);
  assert.deepEqual(comparer.result().differing, [
    {
      nodes: ['node-3'],
      content: [
        'TCP 10.96.10.10:80 has scheduler lc; 2 of 3 nodes have rr',
        'TCP node port 30080 has scheduler lc; 2 of 3 nodes have rr',
      ],
    },
  ]);
});
