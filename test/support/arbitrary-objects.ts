import * as fc from 'fast-check';
import { sampleNode, sampleService, sampleSlice } from './api-samples.js';

const texts =
  '80 NaN -1 … 😀 ../.. a/b/c %s%n "} __proto__ constructor ::ffff:10.0.0.1 fe80::1%eth0 010.1.1.1 1.2.3 256.1.1.1 ' +
  '0.0.0.0 :: 10.0.0.0/33 255.255.255.255 224.0.0.1 127.0.0.1 TCP tcp ICMP IPv5 Local ClientIP None';

const values: readonly unknown[] = [
  null,
  true,
  0,
  -0,
  1.5,
  65_536,
  2 ** 53,
  1e308,
  [],
  {},
  [null],
  { length: 3 },
  ['10.0.0.1', 5],
  [['10.0.0.1']],
];

/** Values that break what is not prepared for them. */
const hostileValue: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(...values),
  fc.constantFrom('', ' ', '\u0000', '\ud800', '\r\n# HELP', 'x'.repeat(300), ...texts.split(' ')),
  fc.jsonValue({ maxDepth: 3 }),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.dictionary(
    fc.constantFrom('__proto__', 'constructor', 'toString', 'name', 'ip'),
    fc.jsonValue({ maxDepth: 1 }),
  ),
);

/** Right values in which any part at any depth is missing, doubled or replaced by anything. */
export const damaged = (value: unknown): fc.Arbitrary<unknown> => {
  const inside = Array.isArray(value)
    ? fc
        .tuple(...value.map(damaged))
        .chain((items) => fc.constantFrom(items, [...items, ...items], items.slice(1)))
    : damagedRecord(value);
  return fc.oneof({ weight: 1, arbitrary: hostileValue }, { weight: 8, arbitrary: inside });
};

const damagedRecord = (value: unknown): fc.Arbitrary<unknown> =>
  typeof value === 'object' && value !== null
    ? fc.record(Object.fromEntries(Object.entries(value).map(([name, part]) => [name, damaged(part)])), {
        requiredKeys: [],
      })
    : fc.constant(value);

/** With every field that we read. */
export const wholeObjects = {
  Service: {
    apiVersion: 'v1',
    ...sampleService('web', {
      type: 'LoadBalancer',
      externalIPs: ['198.51.100.1'],
      loadBalancerSourceRanges: ['10.0.0.0/8', 'fd00::/8'],
      externalTrafficPolicy: 'Local',
      healthCheckNodePort: 31_000,
      sessionAffinity: 'ClientIP',
      sessionAffinityConfig: { clientIP: { timeoutSeconds: 600 } },
      clusterIPs: ['10.96.0.10', 'fd00:96::10'],
      ipFamilies: ['IPv4', 'IPv6'],
      ports: [
        { name: 'http', protocol: 'TCP', port: 80, nodePort: 30_080 },
        { name: 'dns', protocol: 'UDP', port: 53 },
      ],
    }),
    metadata: {
      name: 'web',
      namespace: 'default',
      uid: 'u',
      creationTimestamp: '2026-01-01T00:00:00Z',
      resourceVersion: '7',
      labels: { app: 'web' },
      annotations: { 'ipvs.kube-ipvs.dev/scheduler': 'wrr' },
    },
    status: { loadBalancer: { ingress: [{ ip: '203.0.113.1', ipMode: 'VIP' }] } },
  },
  EndpointSlice: {
    apiVersion: 'discovery.k8s.io/v1',
    ...sampleSlice('web', []),
    endpoints: [
      {
        addresses: ['10.244.0.1'],
        nodeName: 'node-2',
        conditions: { ready: true, serving: true, terminating: false },
        hints: { forZones: [{ name: 'a' }], forNodes: [{ name: 'n' }] },
      },
    ],
  },
  Node: {
    apiVersion: 'v1',
    ...sampleNode('node-1', 'a'),
    spec: { podCIDR: '10.244.0.0/24', podCIDRs: ['10.244.0.0/24'], taints: [{ key: 'k' }] },
  },
} as const;

export type WholeKind = keyof typeof wholeObjects;

/** Objects of all kinds, nearly right. */
export const damagedObject: fc.Arbitrary<{ readonly kind: WholeKind; readonly object: unknown }> = fc
  .constantFrom<WholeKind>('Service', 'EndpointSlice', 'Node')
  .chain((kind) => damaged(wholeObjects[kind]).map((object) => ({ kind, object })));
