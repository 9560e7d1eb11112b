import type { ClusterStore } from '../../src/watch/store/cluster-store.js';
import { desiredLines, desiredState, type ClusterObjects } from './desired-kernel.js';
import { local, nodeFacts, ready, service, slice, type ServiceSpec } from './objects.js';

interface SampleService {
  readonly name: string;
  readonly fields: ServiceSpec;
  readonly pods: readonly string[];
  readonly family?: 'IPv4' | 'IPv6';
}

const four = (name: string, index: number, fields: ServiceSpec = {}, pods = [1, 2]): SampleService => ({
  name,
  fields: { clusterIP: `10.96.0.${index}`, ...fields },
  pods: pods.map((pod) => `10.1.${index}.${pod}`),
});

const six = (name: string, index: number, fields: ServiceSpec = {}): SampleService => ({
  name,
  fields: { clusterIP: `fd00:96::${index}`, ...fields },
  pods: [`fd00:1::${index}:1`, `fd00:1::${index}:2`],
  family: 'IPv6',
});

/** Twenty Services with all kinds of frontends. */
const services: readonly SampleService[] = [
  four('plain', 1),
  four('empty', 2, {}, []),
  four('affinity', 3, { sessionAffinity: 'ClientIP' }),
  four('udp', 4, { ports: [':53/UDP'] }),
  four('sctp', 5, { ports: [':99/SCTP'] }),
  four('two-ports', 6, { ports: ['a:80', 'b:443'] }),
  four('node-port', 7, { type: 'NodePort', ports: [':80@30007'] }),
  four('node-port-udp', 8, { type: 'NodePort', ports: [':53/UDP@30008'] }),
  four('node-port-local', 9, {
    type: 'NodePort',
    ports: [':80@30009'],
    externalTrafficPolicy: 'Local',
  }),
  four('balancer', 10, {
    type: 'LoadBalancer',
    ports: [':80@30010'],
    ingress: [{ ip: '203.0.113.10', ipMode: 'VIP' }],
  }),
  four('ranges', 11, {
    type: 'LoadBalancer',
    ports: [':80@30011'],
    ingress: [{ ip: '203.0.113.11', ipMode: 'VIP' }],
    loadBalancerSourceRanges: ['198.51.100.0/24', '192.0.2.7/32'],
  }),
  four('external', 12, { externalIPs: ['203.0.113.12'] }),
  four('internal-local', 13, { internalTrafficPolicy: 'Local' }),
  four('own-scheduler', 14, { annotations: { 'ipvs.kube-ipvs.dev/scheduler': 'wrr' } }),
  four('large', 15, {}, [1, 2, 3, 4, 5, 6, 7, 8]),
  six('six', 16),
  six('six-udp', 17, { ports: [':53/UDP'] }),
  six('six-affinity', 18, { sessionAffinity: 'ClientIP' }),
  six('six-external', 19, { externalIPs: ['2001:db8::19'] }),
  six('six-balancer', 20, {
    type: 'LoadBalancer',
    ports: [':80@30020'],
    ingress: [{ ip: '2001:db8::20', ipMode: 'VIP' }],
  }),
];

const ports = ({ fields }: SampleService): readonly string[] =>
  (fields.ports ?? [':80']).map((port) => port.replace(/@.*/, ''));

const objects = (all: readonly SampleService[]): ClusterObjects => ({
  services: all.map(({ name, fields }) => service(name, fields)),
  slices: all.map((one) =>
    slice(
      one.name,
      one.pods.map((pod, index) => (index === 0 ? local(ready(pod)) : ready(pod))),
      { ports: ports(one), family: one.family ?? 'IPv4' },
    ),
  ),
});

const otherPods = (pods: readonly string[]): readonly string[] => [
  ...pods.slice(1),
  ...pods.slice(0, 1).map((pod) => pod.replace(/\d$/, '9')),
];

/** What a node is given one after the other. */
export const clusterStates = {
  empty: objects([]),
  full: objects(services),
  /** Of each Service one endpoint goes and another comes; a scheduler and a session affinity change. */
  changed: objects(
    services.map((one) => ({
      ...one,
      pods: otherPods(one.pods),
      fields:
        one.name === 'own-scheduler'
          ? { ...one.fields, annotations: { 'ipvs.kube-ipvs.dev/scheduler': 'sh' } }
          : one.name === 'affinity'
            ? { ...one.fields, sessionAffinity: 'None' }
            : one.fields,
    })),
  ),
  /** Every other Service is deleted. */
  fewer: objects(services.filter((_, index) => index % 2 === 0)),
} as const satisfies Readonly<Record<string, ClusterObjects>>;

export type ClusterStateName = keyof typeof clusterStates;

/** A source that says so. */
export const putClusterState = (store: ClusterStore, world: ClusterStateName): void => {
  const { services: ofWorld, slices } = clusterStates[world];
  store.replaceAll({
    services: new Map(ofWorld.map((value) => [value.key, value])),
    endpointSlices: new Map(slices.map((value) => [value.key, value])),
    node: undefined,
  });
};

/** What `render` says of the world on a node with these addresses, as `KernelLines` gives it. */
export const expectedKernelLines = (
  world: ClusterStateName,
  nodeAddresses: readonly string[],
): readonly string[] => desiredLines(desiredState(clusterStates[world], nodeFacts(nodeAddresses)));
