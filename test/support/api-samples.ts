import type { ApiObject } from './api-objects.js';

/** A ClusterIP Service `default/NAME` as an API server has it; `fields` go over those of its spec. */
export const sampleService = (name: string, fields: Readonly<Record<string, unknown>> = {}): ApiObject => ({
  kind: 'Service',
  metadata: { name, namespace: 'default' },
  spec: {
    ports: [{ name: 'http', protocol: 'TCP', port: 80, targetPort: 8080 }],
    clusterIP: '10.96.0.10',
    clusterIPs: ['10.96.0.10'],
    type: 'ClusterIP',
    sessionAffinity: 'None',
    ipFamilies: ['IPv4'],
    ipFamilyPolicy: 'SingleStack',
    internalTrafficPolicy: 'Cluster',
    ...fields,
  },
  status: { loadBalancer: {} },
});

/** The EndpointSlice `default/NAME-x` of Service `default/NAME` with one ready endpoint an address. */
export const sampleSlice = (service: string, addresses: readonly string[]): ApiObject => ({
  kind: 'EndpointSlice',
  metadata: {
    name: `${service}-x`,
    namespace: 'default',
    labels: { 'kubernetes.io/service-name': service },
  },
  addressType: 'IPv4',
  endpoints: addresses.map((address) => ({
    addresses: [address],
    conditions: { ready: true, serving: true, terminating: false },
    nodeName: 'node-1',
  })),
  ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
});

/** A Node in a zone. */
export const sampleNode = (name: string, zone: string): ApiObject => ({
  kind: 'Node',
  metadata: { name, labels: { 'topology.kubernetes.io/zone': zone } },
  spec: {},
  status: { addresses: [{ type: 'InternalIP', address: '10.200.0.2' }] },
});

/** A running Pod `NAMESPACE/NAME`, or `default/NAME`, with this weight in its annotation and these CPU requests, one a container. */
export const samplePod = (
  key: string,
  { weight, requests = [] }: { readonly weight?: string; readonly requests?: readonly string[] } = {},
): ApiObject => {
  const [namespace, name = namespace] = (key.includes('/') ? key : `default/${key}`).split('/');
  return {
    kind: 'Pod',
    metadata: {
      name: String(name),
      namespace: String(namespace),
      ...(weight === undefined ? {} : { annotations: { 'ipvs.kube-ipvs.dev/weight': weight } }),
    },
    spec: {
      containers: requests.map((cpu, index) => ({
        name: `c${index}`,
        image: 'example.org/web',
        env: [{ name: 'PASSWORD', value: 'secret' }],
        resources: { limits: { memory: '1Gi' }, requests: { memory: '64Mi', cpu } },
      })),
    },
    status: { phase: 'Running' },
  };
};
