import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCidr, type Cidr } from '../../../src/base/ip.js';
import { render } from '../../../src/plan/render/render.js';
import { renderContext } from '../../../src/plan/render/render-context.js';
import { healthCheckAddresses, sameHealthCheck } from '../../../src/plan/render/service-health-check.js';
import {
  local,
  nodeFacts,
  notReady,
  ready,
  service,
  servingTerminating,
  settings,
  slice,
  type EndpointSpec,
  type ServiceSpec,
} from '../../support/objects.js';

const withHealthCheck: ServiceSpec = {
  type: 'LoadBalancer',
  clusterIP: '10.96.0.1',
  externalTrafficPolicy: 'Local',
  healthCheckNodePort: 32_010,
  ports: ['http:80', 'dns:53/UDP'],
};
const dualStack: ServiceSpec = {
  ...withHealthCheck,
  clusterIPs: ['10.96.0.1', 'fd00::1'],
  ipFamilies: ['IPv4', 'IPv6'],
};

const healthCheckOf = (
  fields: ServiceSpec,
  endpoints: readonly EndpointSpec[],
  ipv6: readonly EndpointSpec[] = [],
) => {
  const ports = ['http:8080', 'dns:53/UDP'];
  const slices = [
    slice('web', endpoints, { ports }),
    slice('web', ipv6, { ports, suffix: 'ipv6', family: 'IPv6' }),
  ];
  return render(service('web', fields), slices, renderContext(nodeFacts(), settings())).healthCheck;
};

const counts: readonly [string, readonly EndpointSpec[], number][] = [
  ['none', [], 0],
  ['one endpoint on all ports of the Service', [local(ready('10.1.0.1'))], 1],
  ['only endpoints on this node', [local(ready('10.1.0.1')), local(ready('10.1.0.2')), ready('10.1.0.3')], 2],
  ['two records of an address once', [local(ready('10.1.0.1')), local(ready('10.1.0.1'))], 1],
  ['no unready endpoint', [local(notReady('10.1.0.1')), local(ready('10.1.0.2'))], 1],
  ['no terminating endpoint, even if it still serves', [local(servingTerminating('10.1.0.1'))], 0],
];

for (const [what, endpoints, expected] of counts)
  test(`a health check counts ${what}`, () =>
    assert.deepEqual(healthCheckOf(withHealthCheck, endpoints), {
      port: 32_010,
      localEndpoints: { IPv4: expected },
    }));

test('each family of a Service is counted separately', () => {
  const endpoints = [local(ready('10.1.0.1')), local(ready('10.1.0.2'))];
  assert.deepEqual(healthCheckOf(dualStack, endpoints, [local(ready('fd00:1::1'))])?.localEndpoints, {
    IPv4: 2,
    IPv6: 1,
  });
});

test('a Service of policy Cluster has no health check', () => {
  assert.equal(
    healthCheckOf({ ...withHealthCheck, externalTrafficPolicy: 'Cluster' }, [local(ready('10.1.0.1'))]),
    undefined,
  );
});

test('health checks differ by port and by counts', () => {
  const one = { port: 1, localEndpoints: { IPv4: 1 } };
  assert.ok(sameHealthCheck(undefined, undefined));
  assert.ok(sameHealthCheck(one, { port: 1, localEndpoints: { IPv4: 1 } }));
  for (const other of [
    undefined,
    { port: 2, localEndpoints: { IPv4: 1 } },
    { port: 1, localEndpoints: { IPv4: 2 } },
    { port: 1, localEndpoints: { IPv4: 1, IPv6: 0 } },
  ])
    assert.ok(!sameHealthCheck(one, other));
});

const cidrs = (...texts: readonly string[]): readonly Cidr[] =>
  texts.map((text) => parseCidr(text)).filter((cidr) => cidr !== undefined);

test('health check ports are served on every address, or on those in the networks of nodePortAddresses', () => {
  const node = nodeFacts([
    'lo 127.0.0.1/8',
    'eth0 10.200.0.2/24',
    'eth1 10.200.0.1/24',
    'eth2 192.0.2.1/24',
    'eth0 fd00:200::2/64',
  ]);
  const rows: readonly [readonly Cidr[], unknown][] = [
    [[], 'all'],
    [cidrs('fd00::/8'), 'all'],
    [cidrs('10.200.0.0/24', '0.0.0.0/0'), 'all'],
    [cidrs('10.200.0.0/24'), ['10.200.0.1', '10.200.0.2']],
    [cidrs('127.0.0.0/8', '192.0.2.0/24'), ['127.0.0.1', '192.0.2.1']],
    [cidrs('198.51.100.0/24'), []],
  ];
  for (const [networks, expected] of rows)
    assert.deepEqual(healthCheckAddresses('IPv4', node, networks), expected);
  assert.deepEqual(healthCheckAddresses('IPv6', node, cidrs('fd00::/8')), ['fd00:200::2']);
});
