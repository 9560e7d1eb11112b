import * as fc from 'fast-check';
import type { IpAddress } from '../../src/base/ip.js';
import {
  endpointSliceKey,
  type Endpoint,
  type EndpointPort,
  type EndpointSlice,
} from '../../src/model/endpoint.js';
import type { NodeFacts } from '../../src/model/node.js';
import { serviceKey, type Service, type ServiceKey, type ServicePort } from '../../src/model/service.js';
import type { RenderSettings } from '../../src/plan/render/render-context.js';
import { ip, nodeFacts, settings } from './objects.js';

// All pools are small, so that Services clash, endpoints repeat and addresses meet those of the node.

const serviceNames = ['a', 'b', 'c', 'kubernetes'] as const;
const clusterIps = ['10.96.0.1', '10.96.0.2', '10.9.0.1'].map(ip);
const clusterIpsV6 = ['fd00:96::1', 'fd00:96::2'].map(ip);
const externalIps = [
  '198.51.100.1',
  '10.96.0.2',
  '127.0.0.1',
  '10.9.0.2',
  '2001:db8::1',
  'fe80::9',
  '0.0.0.0',
].map(ip);
const endpointAddresses = ['10.1.0.1', '10.1.0.2', '10.1.0.3', '10.9.0.1'].map(ip);
const endpointAddressesV6 = ['fd00:1::1', 'fd00:1::2'].map(ip);
const interfaceAddresses = [
  'eth0 10.9.0.1/24',
  'eth0 10.9.0.2/24',
  'eth1 198.51.100.1/24',
  'eth0 fd00:9::1/64',
  'eth0 fe80::1/64',
];

const policy = fc.constantFrom('Cluster', 'Local');
const protocol = fc.constantFrom('TCP', 'UDP', 'SCTP');
const portName = fc.constantFrom('', 'http');

const servicePort: fc.Arbitrary<ServicePort> = fc.record({
  name: portName,
  protocol,
  port: fc.constantFrom(80, 443),
  nodePort: fc.constantFrom(undefined, 30_080, 30_443),
});

const aService: fc.Arbitrary<Service> = fc
  .record({
    name: fc.constantFrom(...serviceNames),
    createdAt: fc.constantFrom(1, 2, 3),
    type: fc.constantFrom('ClusterIP', 'NodePort', 'LoadBalancer'),
    v4: fc.option(fc.constantFrom(...clusterIps), { nil: undefined }),
    v6: fc.option(fc.constantFrom(...clusterIpsV6), { nil: undefined }),
    ports: fc.array(servicePort, { minLength: 1, maxLength: 3 }),
    affinitySeconds: fc.constantFrom(undefined, undefined, 600),
    internalTrafficPolicy: policy,
    externalTrafficPolicy: policy,
    externalIps: fc.subarray(externalIps, { maxLength: 2 }),
    loadBalancerIps: fc.subarray(externalIps, { maxLength: 1 }),
    scheduler: fc.constantFrom(undefined, undefined, 'mh', 'sh'),
  })
  .map(({ v4, v6, scheduler, ...rest }) => ({
    ...rest,
    key: serviceKey('default', rest.name),
    namespace: 'default',
    uid: undefined,
    annotations: scheduler === undefined ? {} : { scheduler },
    clusterIps: { ...(v4 === undefined ? {} : { IPv4: v4 }), ...(v6 === undefined ? {} : { IPv6: v6 }) },
    loadBalancerSourceRanges: [],
    healthCheckNodePort: undefined,
  }));

const endpointOf = (addresses: readonly IpAddress[]): fc.Arbitrary<Endpoint> =>
  fc.record({
    address: fc.constantFrom(...addresses),
    pod: fc.constantFrom(undefined, 'p1', 'p2'),
    nodeName: fc.constantFrom(undefined, 'n1', 'n2'),
    zone: fc.constantFrom('', 'a'),
    ready: fc.boolean(),
    serving: fc.boolean(),
    terminating: fc.boolean(),
    zoneHints: fc.subarray(['a', 'b']),
    nodeHints: fc.subarray(['n1', 'n2']),
  });

const endpointPort: fc.Arbitrary<EndpointPort> = fc.record({
  name: portName,
  protocol,
  port: fc.constantFrom(8080, 9090),
});

/** A slice of the Service; its key is its place in the list. */
const sliceOf = (service: ServiceKey, index: number): fc.Arbitrary<EndpointSlice> =>
  fc.constantFrom('IPv4' as const, 'IPv6' as const).chain((family) =>
    fc.record({
      key: fc.constant(endpointSliceKey('default', `${service}-${index}`)),
      service: fc.constant(service),
      family: fc.constant(family),
      ports: fc.array(endpointPort, { maxLength: 3 }),
      endpoints: fc.array(endpointOf(family === 'IPv4' ? endpointAddresses : endpointAddressesV6), {
        maxLength: 4,
      }),
      triggeredAt: fc.option(fc.integer({ min: 1 }), { nil: undefined }),
    }),
  );

export const slicesOf = (service: ServiceKey): fc.Arbitrary<readonly EndpointSlice[]> =>
  fc
    .nat(2)
    .chain((count) => fc.tuple(...Array.from({ length: count }, (_, index) => sliceOf(service, index))));

export interface ServiceWithSlices {
  readonly service: Service;
  readonly slices: readonly EndpointSlice[];
}

export const serviceWithSlices: fc.Arbitrary<ServiceWithSlices> = aService.chain((service) =>
  slicesOf(service.key).map((slices) => ({ service, slices })),
);

/** Up to four Services, each name once. */
export const cluster: fc.Arbitrary<readonly ServiceWithSlices[]> = fc.uniqueArray(serviceWithSlices, {
  selector: ({ service }) => service.key,
  maxLength: serviceNames.length,
});

export const facts: fc.Arbitrary<NodeFacts> = fc
  .record({ addresses: fc.subarray(interfaceAddresses), zone: fc.constantFrom('', 'a') })
  .map(({ addresses, zone }) => nodeFacts(['lo 127.0.0.1/8', ...addresses], zone));

export const renderSettings: fc.Arbitrary<RenderSettings> = fc
  .record({ scheduler: fc.constantFrom('rr', 'wlc'), externalIpsAllowed: fc.boolean() })
  .map(settings);

export type ClusterEvent =
  | { readonly kind: 'put'; readonly object: ServiceWithSlices }
  | { readonly kind: 'delete'; readonly key: ServiceKey }
  | { readonly kind: 'node'; readonly facts: NodeFacts }
  /** A connection to every real server there is, or none. */
  | { readonly kind: 'traffic'; readonly flows: boolean };

export const events: fc.Arbitrary<readonly ClusterEvent[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: serviceWithSlices.map((object) => ({ kind: 'put' as const, object })) },
    {
      weight: 2,
      arbitrary: fc
        .constantFrom(...serviceNames)
        .map((name) => ({ kind: 'delete' as const, key: serviceKey('default', name) })),
    },
    { weight: 1, arbitrary: facts.map((facts) => ({ kind: 'node' as const, facts })) },
    { weight: 1, arbitrary: fc.boolean().map((flows) => ({ kind: 'traffic' as const, flows })) },
  ),
  { minLength: 1, maxLength: 12 },
);
