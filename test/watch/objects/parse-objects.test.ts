import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { InputError } from '../../../src/base/errors.js';
import type { EndpointSlice } from '../../../src/model/endpoint.js';
import type { Service } from '../../../src/model/service.js';
import { toEndpointSlice, toNode, toService, type Parsed } from '../../../src/watch/objects/parse-objects.js';
import { MalformedObject, readWatchEvent } from '../../../src/watch/objects/schemas.js';
import type { ApiObject } from '../../support/api-objects.js';
import { sampleService, sampleSlice } from '../../support/api-samples.js';
import { damaged } from '../../support/arbitrary-objects.js';

type Fields = Readonly<Record<string, unknown>>;

const service = (spec: Fields, other: Fields = {}): Parsed<string, Service> =>
  toService({ ...sampleService('web', spec), ...other });

const served = (spec: Fields, other: Fields = {}): Service => {
  const { value } = service(spec, other);
  assert.ok(value);
  return value;
};

const labelled = (labels: Fields): Fields => ({ metadata: { namespace: 'app', name: 'web', labels } });
const ingress = (...entries: readonly Fields[]): Fields => ({
  status: { loadBalancer: { ingress: entries } },
});

const hidden: readonly [row: string, spec: Fields, other?: Fields][] = [
  ['17: clusterIP None', { clusterIP: 'None', clusterIPs: ['None'] }],
  ['18: ExternalName, even with a clusterIP', { type: 'ExternalName' }],
  ['19: the label service-proxy-name', {}, labelled({ 'service.kubernetes.io/service-proxy-name': '' })],
  ['clusterIP empty', { clusterIP: '', clusterIPs: [] }],
];

for (const [row, spec, other] of hidden)
  test(`not served: ${row}`, () => assert.equal(service(spec, other).value, undefined));

test('an instance with a name reads the Services and EndpointSlices with this name, and only them', () => {
  const label = 'service.kubernetes.io/service-proxy-name';
  const object = (labels: Fields) => ({ ...sampleService('web'), ...labelled(labels) });
  assert.ok(toService(object({ [label]: 'trial' }), 'trial').value);
  for (const labels of [{}, { [label]: 'other' }, { [label]: '' }])
    assert.equal(toService(object(labels), 'trial').value, undefined);
  const ofWeb = { 'kubernetes.io/service-name': 'web' };
  const sliceWith = (labels: Fields) => ({ ...sampleSlice('web', []), ...labelled({ ...ofWeb, ...labels }) });
  assert.ok(toEndpointSlice(sliceWith({ [label]: 'trial' }), 'trial').value);
  for (const labels of [{}, { [label]: 'other' }])
    assert.equal(toEndpointSlice(sliceWith(labels), 'trial').value, undefined);
});

const readings: readonly [row: string, spec: Fields, other: Fields, expected: Partial<Service>][] = [
  [
    '20: ipFamilies order clusterIPs',
    { ipFamilies: ['IPv6', 'IPv4'], clusterIP: 'fd00::1', clusterIPs: ['fd00::1', '10.96.0.1'] },
    {},
    { clusterIps: { IPv6: 'fd00::1', IPv4: '10.96.0.1' } as unknown as Service['clusterIps'] },
  ],
  [
    'old data: clusterIP alone',
    { ipFamilies: null, clusterIPs: undefined, clusterIP: 'fd00:0::1' },
    {},
    { clusterIps: { IPv6: 'fd00::1' } as unknown as Service['clusterIps'] },
  ],
  [
    'a family beyond the list has no address',
    { ipFamilies: ['IPv4', 'IPv6'], clusterIPs: ['10.96.0.1'] },
    {},
    { clusterIps: { IPv4: '10.96.0.1' } as unknown as Service['clusterIps'] },
  ],
  [
    '22: leading zeros are decimal',
    { clusterIP: '10.096.000.001', clusterIPs: ['10.096.000.001'] },
    {},
    { clusterIps: { IPv4: '10.96.0.1' } as unknown as Service['clusterIps'] },
  ],
  [
    'no protocol is TCP',
    { ports: [{ port: 80 }] },
    {},
    { ports: [{ name: '', protocol: 'TCP', port: 80, nodePort: undefined }] },
  ],
  [
    'an empty text is what the API takes for none: type, affinity, protocol and external policy have their defaults',
    {
      type: '',
      sessionAffinity: '',
      externalTrafficPolicy: '',
      ports: [{ port: 80, protocol: '' }],
    },
    {},
    {
      type: 'ClusterIP',
      affinitySeconds: undefined,
      externalTrafficPolicy: 'Cluster',
      ports: [{ name: '', protocol: 'TCP', port: 80, nodePort: undefined }],
    },
  ],
  [
    'external Local of an empty type is none',
    { type: '', externalTrafficPolicy: 'Local' },
    {},
    { externalTrafficPolicy: 'Cluster' },
  ],
  [
    '16: SCTP',
    { ports: [{ port: 9, protocol: 'SCTP' }] },
    {},
    { ports: [{ name: '', protocol: 'SCTP', port: 9, nodePort: undefined }] },
  ],
  [
    'two ports with one key both stay for the check that reports it; nodePort 0 is none',
    {
      ports: [
        { name: 'a', port: 1 },
        { name: 'a', port: 2, nodePort: 0 },
        { name: 'a', protocol: 'UDP', port: 3, nodePort: 30001 },
      ],
    },
    {},
    {
      ports: [
        { name: 'a', protocol: 'TCP', port: 1, nodePort: undefined },
        { name: 'a', protocol: 'TCP', port: 2, nodePort: undefined },
        { name: 'a', protocol: 'UDP', port: 3, nodePort: 30001 },
      ],
    },
  ],
  [
    '91: affinity without a config lasts three hours',
    { sessionAffinity: 'ClientIP' },
    {},
    { affinitySeconds: 10800 },
  ],
  [
    '92: affinity timeout',
    { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 600 } } },
    {},
    { affinitySeconds: 600 },
  ],
  [
    '93: affinity None',
    { sessionAffinityConfig: { clientIP: { timeoutSeconds: 600 } } },
    {},
    { affinitySeconds: undefined },
  ],
  [
    'internal policy absent is Cluster',
    { internalTrafficPolicy: null },
    {},
    { internalTrafficPolicy: 'Cluster' },
  ],
  ['69: internal policy Local', { internalTrafficPolicy: 'Local' }, {}, { internalTrafficPolicy: 'Local' }],
  [
    'external Local of a plain ClusterIP is none',
    { externalTrafficPolicy: 'Local' },
    {},
    { externalTrafficPolicy: 'Cluster' },
  ],
  [
    'external Local with an externalIP',
    { externalTrafficPolicy: 'Local', externalIPs: ['bogus'] },
    {},
    { externalTrafficPolicy: 'Local', externalIps: [] },
  ],
  [
    '48: external Local of a NodePort',
    { type: 'NodePort', externalTrafficPolicy: 'Local' },
    {},
    { type: 'NodePort', externalTrafficPolicy: 'Local' },
  ],
  [
    '46: externalIPs of both families',
    { externalIPs: ['50.60.70.81', '2012:0::51', '127.0.0.1'] },
    {},
    { externalIps: ['50.60.70.81', '2012::51', '127.0.0.1'] as unknown as Service['externalIps'] },
  ],
  ['51: bad externalIPs are skipped', { externalIPs: ['', 'bogus'] }, {}, { externalIps: [] }],
  [
    '52: load balancer address',
    { type: 'LoadBalancer' },
    ingress({ ip: '1.2.3.4' }),
    { loadBalancerIps: ['1.2.3.4'] as unknown as Service['externalIps'] },
  ],
  [
    '53: ipMode Proxy, and any other',
    { type: 'LoadBalancer' },
    ingress({ ip: '1.2.3.4', ipMode: 'Proxy' }, { ip: '1.2.3.5', ipMode: 'New' }),
    { loadBalancerIps: [] },
  ],
  [
    '54: ipMode VIP',
    { type: 'LoadBalancer' },
    ingress({ ip: '1.2.3.4', ipMode: 'VIP' }),
    { loadBalancerIps: ['1.2.3.4'] as unknown as Service['externalIps'] },
  ],
  [
    '55: a hostname among addresses',
    { type: 'LoadBalancer' },
    ingress({ ip: '1.2.3.4' }, { hostname: 'lb.example' }, { ip: '1.2.3.5' }),
    { loadBalancerIps: ['1.2.3.4', '1.2.3.5'] as unknown as Service['externalIps'] },
  ],
  [
    'addresses of a status do not depend on the type',
    {},
    ingress({ ip: '1.2.3.4' }),
    { loadBalancerIps: ['1.2.3.4'] as unknown as Service['externalIps'] },
  ],
  [
    '66: health check port',
    { type: 'LoadBalancer', externalTrafficPolicy: 'Local', healthCheckNodePort: 30000 },
    {},
    { healthCheckNodePort: 30000 },
  ],
  [
    '66: health check port without Local',
    { type: 'LoadBalancer', healthCheckNodePort: 30002 },
    {},
    { healthCheckNodePort: undefined },
  ],
  [
    'the annotation chooses the scheduler',
    {},
    { metadata: { name: 'web', annotations: { 'ipvs.kube-ipvs.dev/scheduler': 'sh' } } },
    { annotations: { scheduler: 'sh' } },
  ],
  [
    'an invalid scheduler stays for the check that reports it',
    {},
    { metadata: { name: 'web', annotations: { 'ipvs.kube-ipvs.dev/scheduler': 'round robin' } } },
    { annotations: { scheduler: 'round robin' } },
  ],
  [
    'the annotation says how long endpoints drain',
    {},
    { metadata: { name: 'web', annotations: { 'ipvs.kube-ipvs.dev/drain-deadline': '90s' } } },
    { annotations: { 'drain-deadline': '90s' } },
  ],
];

for (const [row, spec, other, expected] of readings)
  test(`Service: ${row}`, () => {
    const value: Fields = { ...served(spec, other) };
    const read = Object.fromEntries(Object.keys(expected).map((field) => [field, value[field]]));
    assert.deepEqual(read, expected);
  });

const ranges: readonly [row: string, written: readonly string[], read: readonly string[]][] = [
  ['60: blanks around', [' 10.1.2.0/28'], ['10.1.2.0/28']],
  ['61: a range of everybody lifts the restriction', ['10.0.0.0/8', '0.0.0.0/0'], []],
  ['61: only of its own family', ['10.0.0.0/8', '::/0'], ['10.0.0.0/8']],
  ['62: other families stay apart', ['fd00::/8'], ['fd00::/8']],
  ['host bits are masked off', ['10.1.2.3/8'], ['10.0.0.0/8']],
  ['unparsable ones are skipped', ['', 'x', '10.0.0.0/8'], ['10.0.0.0/8']],
];

for (const [row, written, read] of ranges)
  test(`source ranges: ${row}`, () =>
    assert.deepEqual(
      served({ type: 'LoadBalancer', loadBalancerSourceRanges: written }).loadBalancerSourceRanges.map(
        ({ text }) => text,
      ),
      read,
    ));

test('an empty text that the API refuses is refused: the API fills in what is absent, and this is not', () => {
  assert.throws(
    () => service({ internalTrafficPolicy: '' }),
    (error) => error instanceof MalformedObject && error.field === 'spec.internalTrafficPolicy',
  );
  const { value, problems } = slice({ ports: [{ port: 80, protocol: '' }] });
  assert.deepEqual(value?.ports, []);
  assert.deepEqual(problems, ['ports[0]: its protocol is not TCP, UDP or SCTP; skipped']);
  assert.match(slice({ addressType: '' }).problems.join(), /^addressType: "" is not served/);
});

test('what is skipped is a problem that names the field; blank texts are nothing', () => {
  const { problems } = service({ externalIPs: ['', 'bogus'], ports: [{ port: 80, protocol: 'DCCP' }] });
  assert.equal(problems.length, 2);
  assert.match(problems.join('\n'), /spec\.ports\[0\]\.protocol: "DCCP"/);
  assert.match(problems.join('\n'), /spec\.externalIPs\[1\]: "bogus"/);
});

const slice = (fields: Fields): Parsed<string, EndpointSlice> =>
  toEndpointSlice({ ...sampleSlice('web', []), ...fields });

const endpointOf = (fields: Fields): unknown =>
  slice({ endpoints: [{ addresses: ['10.0.0.1'], ...fields }] }).value?.endpoints[0];

const plain = {
  address: '10.0.0.1',
  nodeName: undefined,
  ready: true,
  serving: true,
  terminating: false,
  zoneHints: [],
  nodeHints: [],
  pod: undefined,
  zone: '',
};

const endpointReadings: readonly [row: string, fields: Fields, expected: unknown][] = [
  ['80: no conditions', {}, plain],
  ['80: unknown conditions', { conditions: { ready: null, serving: null, terminating: null } }, plain],
  [
    'explicit conditions',
    { conditions: { ready: false, serving: true, terminating: true } },
    { ...plain, ready: false, terminating: true },
  ],
  [
    'only the first address counts',
    { addresses: ['10.0.0.2', '10.0.0.3'] },
    { ...plain, address: '10.0.0.2' },
  ],
  ['leading zeros', { addresses: ['10.000.000.002'] }, { ...plain, address: '10.0.0.2' }],
  ['no address', { addresses: [] }, undefined],
  ['Q48: an unparsable address', { addresses: ['nonsense'] }, undefined],
  ['an address of the other family', { addresses: ['fd00::1'] }, undefined],
  ['a node', { nodeName: 'n1' }, { ...plain, nodeName: 'n1' }],
  ['an empty node name is none', { nodeName: '' }, plain],
  [
    'hints',
    { hints: { forZones: [{ name: 'a' }, { name: 'b' }], forNodes: [{ name: 'n' }] } },
    { ...plain, zoneHints: ['a', 'b'], nodeHints: ['n'] },
  ],
  ['a zone', { zone: 'a' }, { ...plain, zone: 'a' }],
  ['a pod', { targetRef: { kind: 'Pod', namespace: 'default', name: 'web-1' } }, { ...plain, pod: 'web-1' }],
  ['a pod of no said namespace', { targetRef: { kind: 'Pod', name: 'web-1' } }, { ...plain, pod: 'web-1' }],
  ['a pod of another namespace', { targetRef: { kind: 'Pod', namespace: 'x', name: 'web-1' } }, plain],
  ['something that is no pod', { targetRef: { kind: 'VirtualMachine', name: 'web-1' } }, plain],
];

for (const [row, fields, expected] of endpointReadings)
  test(`endpoint: ${row}`, () => assert.deepEqual(endpointOf(fields), expected));

test('slices of other address types, of headless Services or without a Service are not ours (113, 115)', () => {
  const metadata = (labels: Fields): Fields => ({ metadata: { name: 'x', namespace: 'default', labels } });
  assert.equal(slice({ addressType: 'FQDN' }).value, undefined);
  assert.equal(slice(metadata({})).value, undefined);
  assert.equal(slice(metadata({ 'kubernetes.io/service-name': '' })).value, undefined);
  const headless = { 'kubernetes.io/service-name': 'web', 'service.kubernetes.io/headless': '' };
  assert.deepEqual(slice(metadata(headless)), { key: 'default/x', value: undefined, problems: [] });
});

test('endpoint ports: without a number none, without a protocol TCP (Q48), without a name the empty name', () => {
  const ports = [
    { port: 8080 },
    { name: 'a' },
    { name: 'b', port: 0 },
    { name: 'c', port: 53, protocol: 'UDP' },
  ];
  assert.deepEqual(slice({ ports }).value?.ports, [
    { name: '', protocol: 'TCP', port: 8080 },
    { name: 'c', protocol: 'UDP', port: 53 },
  ]);
});

test('lists that are null, as Go writes empty ones, are empty', () => {
  const { value, problems } = slice({ ports: null, endpoints: null });
  assert.deepEqual([value?.ports, value?.endpoints, problems], [[], [], []]);
  assert.deepEqual(served({ ports: null, externalIPs: null }).ports, []);
});

test('names, ports and hints that come again are kept once', () => {
  const hinted = { nodeName: `node-${'x'.repeat(20)}`, hints: { forZones: [{ name: 'zone' }] } };
  const parse = () =>
    slice(JSON.parse(JSON.stringify({ endpoints: [{ addresses: ['10.0.0.1'], ...hinted }] })) as Fields)
      .value;
  const [first, second] = [parse(), parse()];
  assert.equal(first?.ports, second?.ports);
  assert.equal(first?.endpoints[0]?.zoneHints, second?.endpoints[0]?.zoneHints);
});

test('a slice knows when what made it so happened; nonsense is nothing', () => {
  const triggeredAt = (text?: string): number | undefined => {
    const object = sampleSlice('web', ['10.0.0.1']);
    const annotations = text && { 'endpoints.kubernetes.io/last-change-trigger-time': text };
    return toEndpointSlice({ ...object, metadata: { ...object.metadata, annotations } }).value?.triggeredAt;
  };
  assert.equal(triggeredAt('2026-11-22T18:00:00.123456789Z'), Date.UTC(2026, 10, 22, 18, 0, 0, 123));
  assert.equal(triggeredAt('yesterday'), undefined);
  assert.equal(triggeredAt(), undefined);
});

test('a Node: zone, addresses in order, pod networks', () => {
  const { value } = toNode({
    metadata: { name: 'n', labels: { 'topology.kubernetes.io/zone': 'a' } },
    spec: { podCIDR: '10.1.0.0/24', podCIDRs: ['10.1.0.0/24', 'fd00::/64'] },
    status: {
      addresses: [
        { type: 'ExternalIP', address: '1.1.1.1' },
        { type: 'Hostname', address: 'n' },
        { type: 'InternalIP', address: '10.0.0.1' },
      ],
    },
  });
  assert.deepEqual([value?.zone, value?.addresses], ['a', ['10.0.0.1', '1.1.1.1']]);
  assert.deepEqual(
    value?.podCidrs.map(({ text }) => text),
    ['10.1.0.0/24', 'fd00::/64'],
  );
  assert.equal(toNode({ metadata: { name: 'n' } }).value?.zone, '');
});

test('a Node is leaving while it is deleted, or tainted by the cluster autoscaler; other taints mean nothing', () => {
  const leaving = (metadata: object, taints: readonly string[]): boolean | undefined =>
    toNode({
      metadata: { name: 'n', ...metadata },
      spec: { taints: taints.map((key) => ({ key, effect: 'NoSchedule' })) },
    }).value?.isBeingRemoved;
  assert.equal(leaving({}, []), false);
  assert.equal(leaving({}, ['node.kubernetes.io/unschedulable']), false);
  assert.equal(leaving({}, ['a', 'ToBeDeletedByClusterAutoscaler']), true);
  assert.equal(leaving({ deletionTimestamp: '2026-01-01T00:00:00Z' }, []), true);
});

test('a malformed object is an error that names kind, object and field', () => {
  const cases: readonly [read: () => unknown, object: string | undefined, field: string][] = [
    [() => service({ ports: [{ port: '80' }] }), 'default/web', 'spec.ports[0].port'],
    [() => service({ ports: [{ port: 70_000 }] }), 'default/web', 'spec.ports[0].port'],
    [() => service({ type: 'Magic' }), 'default/web', 'spec.type'],
    [() => toService({ metadata: { name: 'a', namespace: 'b' } }), 'b/a', 'spec'],
    [() => toService({ spec: {} }), undefined, 'metadata'],
    [() => toService(null), undefined, ''],
    [() => slice({ endpoints: [{ addresses: '10.0.0.1' }] }), 'default/web-x', 'endpoints[0].addresses'],
    [() => slice({ addressType: undefined }), 'default/web-x', 'addressType'],
  ];
  for (const [read, object, field] of cases)
    assert.throws(read, (error) => {
      assert.ok(error instanceof MalformedObject && error instanceof InputError);
      assert.deepEqual([error.object, error.field], [object, field]);
      return error.message.includes(field) && error.message.includes(object ?? 'without a name');
    });
});

test('recorded objects are read without a problem', () => {
  const folder = new URL('../../../../test/fixtures/api-recordings/', import.meta.url);
  for (const [list, read] of [
    ['services-list', toService],
    ['endpointslices-list', toEndpointSlice],
  ] as const) {
    const { body } = JSON.parse(readFileSync(new URL(`${list}.json`, folder), 'utf8')) as { body: string };
    for (const item of (JSON.parse(body) as { items: ApiObject[] }).items) {
      const { value, problems } = read(item);
      assert.ok(value);
      assert.deepEqual(problems, []);
    }
  }
});

const onlyInputErrors = (read: (object: unknown) => unknown, object: unknown): void => {
  try {
    read(object);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
  }
};

test('whatever an object looks like, nothing but an InputError is thrown', () => {
  const full = {
    ...sampleService('web', { externalIPs: ['1.1.1.1'], loadBalancerSourceRanges: ['10.0.0.0/8'] }),
    ...ingress({ ip: '1.2.3.4', ipMode: 'VIP' }),
  };
  const hints = { forZones: [{ name: 'a' }], forNodes: [{ name: 'n' }] };
  const fullSlice = {
    ...sampleSlice('web', []),
    endpoints: [{ addresses: ['10.0.0.1'], hints, conditions: { ready: true } }],
  };
  const node = {
    metadata: { name: 'n' },
    spec: { podCIDRs: ['10.0.0.0/8'] },
    status: { addresses: [{ type: 'InternalIP', address: '10.0.0.1' }] },
  };
  for (const [read, sample] of [
    [toService, full],
    [toEndpointSlice, fullSlice],
    [toNode, node],
  ] as const) {
    fc.assert(
      fc.property(damaged(sample), (object) => onlyInputErrors(read, object)),
      { numRuns: 2_000 },
    );
    fc.assert(
      fc.property(fc.anything(), (object) => onlyInputErrors(read, object)),
      { numRuns: 500 },
    );
  }
  fc.assert(
    fc.property(damaged({ type: 'ADDED', object: { metadata: { resourceVersion: '1' } } }), (line) =>
      onlyInputErrors(readWatchEvent, line),
    ),
  );
});
