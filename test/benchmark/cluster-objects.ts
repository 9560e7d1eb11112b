import type { ApiObject } from '../support/api-objects.js';

const managedFields = (manager: string, fields: object): object[] => [
  {
    manager,
    operation: 'Update',
    apiVersion: 'v1',
    time: '2026-11-22T18:00:00Z',
    fieldsType: 'FieldsV1',
    fieldsV1: fields,
  },
];

const clusterIp = (index: number): string => `10.${100 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;

/** A Service with the metadata that Helm leaves. */
export const serviceObject = (index: number): ApiObject => ({
  kind: 'Service',
  metadata: {
    name: `service-${index}`,
    namespace: `namespace-${index % 100}`,
    labels: { 'app.kubernetes.io/name': `service-${index}`, 'app.kubernetes.io/managed-by': 'Helm' },
    annotations: { 'meta.helm.sh/release-name': `service-${index}`, 'meta.helm.sh/release-namespace': 'x' },
    managedFields: managedFields('helm', {
      'f:metadata': {
        'f:annotations': { '.': {}, 'f:meta.helm.sh/release-name': {} },
        'f:labels': { '.': {} },
      },
      'f:spec': {
        'f:internalTrafficPolicy': {},
        'f:ports': { '.': {}, 'k:{"port":80,"protocol":"TCP"}': {} },
      },
    }),
  },
  spec: {
    ports: [{ name: 'http', protocol: 'TCP', port: 80, targetPort: 8080 }],
    selector: { app: `service-${index}` },
    clusterIP: clusterIp(index),
    clusterIPs: [clusterIp(index)],
    type: 'ClusterIP',
    sessionAffinity: 'None',
    ipFamilies: ['IPv4'],
    ipFamilyPolicy: 'SingleStack',
    internalTrafficPolicy: 'Cluster',
  },
  status: { loadBalancer: {} },
});

const endpoint = (service: number, number: number): object => {
  return {
    addresses: [`10.${128 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`],
    conditions: { ready: true, serving: true, terminating: false },
    nodeName: `worker-${number % 1_000}.region.example`,
    zone: `zone-${number % 3}`,
    hints: { forZones: [{ name: `zone-${number % 3}` }] },
    targetRef: {
      kind: 'Pod',
      namespace: `namespace-${service % 100}`,
      name: `service-${service}-5d8f7c9b64-${String(number).padStart(5, '0')}`,
      uid: `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`,
    },
  };
};

/** Its EndpointSlice, with the metadata that the controller leaves. */
export const sliceObject = (index: number, endpoints: number): ApiObject => ({
  kind: 'EndpointSlice',
  metadata: {
    name: `service-${index}-abcde`,
    namespace: `namespace-${index % 100}`,
    generateName: `service-${index}-`,
    labels: {
      'kubernetes.io/service-name': `service-${index}`,
      'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
    },
    annotations: { 'endpoints.kubernetes.io/last-change-trigger-time': '2026-11-22T18:00:00Z' },
    ownerReferences: [{ apiVersion: 'v1', kind: 'Service', name: `service-${index}`, controller: true }],
    managedFields: managedFields('kube-controller-manager', {
      'f:addressType': {},
      'f:endpoints': {},
      'f:metadata': { 'f:annotations': {}, 'f:generateName': {}, 'f:labels': {}, 'f:ownerReferences': {} },
      'f:ports': {},
    }),
  },
  addressType: 'IPv4',
  endpoints: Array.from({ length: endpoints }, (_, number) => endpoint(index, index * endpoints + number)),
  ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
});

export const nodeObject: ApiObject = {
  kind: 'Node',
  metadata: { name: 'node-1' },
  status: { addresses: [] },
};
