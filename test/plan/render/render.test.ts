import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Service } from '../../../src/model/service.js';
import type { ServiceAnnotations } from '../../../src/model/settings/service-annotations.js';
import { render } from '../../../src/plan/render/render.js';
import { renderContext } from '../../../src/plan/render/render-context.js';
import { ip, nodeFacts, ready, service, settings, slice } from '../../support/objects.js';

const context = renderContext(
  {
    ...nodeFacts(['lo 127.0.0.1/8', 'eth0 10.9.0.1/24']),
    reserved: new Map([[ip('10.9.0.254'), 'a gateway of this node']]),
  },
  settings(),
);
const plain = service('web', { clusterIP: '10.96.0.1' });

/** A Service that no API server would accept. */
const odd = (fields: Partial<Service>): Service => ({ ...plain, ...fields });
const port = { name: '', protocol: 'TCP', port: 80, nodePort: undefined } as const;

const rows: readonly {
  readonly service: Service;
  readonly reason: string;
  readonly message: RegExp;
  readonly keys: readonly string[];
}[] = [
  {
    service: odd({ ports: [port, { ...port, name: 'bad', port: 0 }] }),
    reason: 'InvalidPort',
    message: /^default\/web: spec\.ports\[1\]\.port: 0 /,
    keys: ['TCP 10.96.0.1:80'],
  },
  {
    service: odd({ ports: [{ ...port, nodePort: 70_000 }] }),
    reason: 'InvalidPort',
    message: /spec\.ports\[0\]\.nodePort: 70000 /,
    keys: ['TCP 10.96.0.1:80'],
  },
  {
    service: odd({ ports: [{ ...port, protocol: 'ICMP' as 'TCP' }] }),
    reason: 'InvalidProtocol',
    message: /spec\.ports\[0\]\.protocol: ICMP /,
    keys: [],
  },
  {
    service: odd({ ports: [port, { ...port, port: 81 }] }),
    reason: 'DuplicatePort',
    message: /spec\.ports\[1\]\.name/,
    keys: ['TCP 10.96.0.1:81'],
  },
  {
    service: odd({ ports: [port, { ...port, name: 'other' }] }),
    reason: 'DuplicateAddress',
    message: /spec\.clusterIPs: TCP 10\.96\.0\.1:80 is defined twice/,
    keys: ['TCP 10.96.0.1:80'],
  },
  {
    service: odd({ annotations: { scheduler: 'no such; thing' } }),
    reason: 'InvalidScheduler',
    message: /metadata\.annotations.*rr is used/,
    keys: ['TCP 10.96.0.1:80'],
  },
  ...['soon', '10', '-1s', ''].map((drainDeadline) => ({
    service: odd({ annotations: { 'drain-deadline': drainDeadline } }),
    reason: 'InvalidDrainDeadline',
    message: new RegExp(`drain-deadline\\]: "${drainDeadline}" is not valid .expected a duration`),
    keys: ['TCP 10.96.0.1:80'],
  })),
  {
    service: odd({ affinitySeconds: 0 }),
    reason: 'InvalidAffinity',
    message: /timeoutSeconds: 0 .*10800 is used/,
    keys: ['TCP 10.96.0.1:80'],
  },
  {
    service: odd({ externalIps: [ip('0.0.0.0')] }),
    reason: 'UnusableAddress',
    message: /spec\.externalIPs: 0\.0\.0\.0 /,
    keys: ['TCP 10.96.0.1:80'],
  },
  {
    service: odd({ loadBalancerIps: [ip('224.0.0.1')] }),
    reason: 'UnusableAddress',
    message: /status\.loadBalancer\.ingress: 224\.0\.0\.1 /,
    keys: ['TCP 10.96.0.1:80'],
  },
  {
    service: odd({ externalIps: [ip('fd00::1')] }),
    reason: 'WrongFamily',
    message: /spec\.externalIPs: fd00::1 .*no IPv6 ClusterIP/,
    keys: ['TCP 10.96.0.1:80'],
  },
  {
    service: odd({ clusterIps: { IPv4: ip('10.9.0.1') } }),
    reason: 'ClusterIpOnInterface',
    message: /spec\.clusterIPs: 10\.9\.0\.1 is an address of interface eth0/,
    keys: ['TCP 10.9.0.1:80'],
  },
  {
    service: odd({ externalIps: [ip('10.9.0.1')] }),
    reason: 'AddressOnInterface',
    message: /spec\.externalIPs: 10\.9\.0\.1 is an address of interface eth0: it is served and not bound/,
    keys: ['TCP 10.96.0.1:80', 'TCP 10.9.0.1:80'],
  },
  {
    service: odd({ loadBalancerIps: [ip('10.9.0.254')] }),
    reason: 'ReservedAddress',
    message: /status\.loadBalancer\.ingress: 10\.9\.0\.254 is a gateway of this node: it is not bound/,
    keys: ['TCP 10.96.0.1:80', 'TCP 10.9.0.254:80'],
  },
];

for (const row of rows)
  test(`${row.reason} names the Service and the field, and the rest is served: ${row.message.source}`, () => {
    const fragment = render(row.service, [], context);
    assert.deepEqual(
      fragment.problems.map(({ reason, service }) => [reason, service]),
      [[row.reason, 'default/web']],
    );
    assert.match(fragment.problems[0]?.message ?? '', row.message);
    assert.deepEqual([...fragment.virtualServers.keys()], row.keys);
    assert.ok(!fragment.addresses.includes(ip('10.9.0.1')) && !fragment.addresses.includes(ip('10.9.0.254')));
  });

test('an endpoint that the kernel would reject is omitted and reported with its slice', () => {
  const good = slice('web', [ready('10.1.0.1'), ready('10.1.0.2')]);
  const [first, second] = good.endpoints;
  assert.ok(first && second);
  const bad = { ...good, endpoints: [first, { ...second, address: ip('224.0.0.1') }] };
  const fragment = render(plain, [bad], context);
  const [table] = fragment.virtualServers.values();
  assert.deepEqual([...(table?.realServers.keys() ?? [])], ['10.1.0.1:80']);
  assert.match(
    fragment.problems[0]?.message ?? '',
    /EndpointSlice default\/web-slice: endpoints\[1\]\.addresses: 224/,
  );
});

test('an address that is both an external and an ingress address is not a problem', () => {
  const both = odd({ externalIps: [ip('198.51.100.7')], loadBalancerIps: [ip('198.51.100.7')] });
  const fragment = render(both, [], context);
  assert.deepEqual(fragment.problems, []);
  assert.deepEqual([...fragment.virtualServers.keys()], ['TCP 10.96.0.1:80', 'TCP 198.51.100.7:80']);
});

test("a Service's own scheduler overrides the configured one", () => {
  const [table] = render(odd({ annotations: { scheduler: 'mh' } }), [], context).virtualServers.values();
  assert.equal(table?.server.scheduler, 'mh');
  assert.deepEqual(table.server.flags, ['mh-port']);
});

test('a Service sets the drain deadline of its endpoints for every protocol', () => {
  const drains = (annotations: ServiceAnnotations) =>
    [...render(odd({ annotations }), [], context).virtualServers.values()].map(
      ({ drainMilliseconds }) => drainMilliseconds,
    );
  assert.deepEqual(drains({ 'drain-deadline': '1m30s' }), [90_000]);
  assert.deepEqual(drains({ 'drain-deadline': '0s' }), [0]);
  assert.deepEqual(drains({}), [undefined]);
});

test('affinity applies to each client address, in both families', () => {
  const sticky = odd({ affinitySeconds: 600, clusterIps: { IPv4: ip('10.96.0.1'), IPv6: ip('fd00::1') } });
  assert.deepEqual(
    [...render(sticky, [], context).virtualServers.values()].map(({ server }) => server.persistence),
    [
      { seconds: 600, prefixLength: 32 },
      { seconds: 600, prefixLength: 128 },
    ],
  );
});

test('node ports, health check ports and ports on addresses of the node are known as ports on the node', () => {
  const portsOf = (fields: Parameters<typeof service>[1]): readonly number[] =>
    render(service('web', { clusterIP: '10.96.0.1', ...fields }), [], context).portsOnNode;
  assert.deepEqual(portsOf({ ports: ['http:8080'] }), []);
  assert.deepEqual(portsOf({ type: 'NodePort', ports: ['http:80@20000'] }), [20_000]);
  assert.deepEqual(portsOf({ externalIPs: ['203.0.113.1'], ports: ['http:8080'] }), []);
  assert.deepEqual(portsOf({ externalIPs: ['10.9.0.1'], ports: ['http:8080'] }), [8_080]);
  assert.deepEqual(
    portsOf({
      type: 'LoadBalancer',
      ports: ['http:80@20000'],
      externalTrafficPolicy: 'Local',
      healthCheckNodePort: 20_001,
    }),
    [20_000, 20_001],
  );
});
