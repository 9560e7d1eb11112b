import type { LookupParts } from '../../src/daemon/admin/lookup.js';
import { ready, serviceObject, sliceObject } from './objects.js';
import { readObjects } from './read-objects.js';

const pod = (address: string, name: string) => ({ ...ready(address), pod: name });

const { services, slices } = readObjects([
  serviceObject('shop/web', { clusterIP: '10.96.0.1', ports: ['http:80', ':9090/UDP'] }),
  sliceObject('shop/web', [pod('10.244.0.1', 'web-1'), pod('10.244.0.2', 'web-2')], { ports: ['http:8080'] }),
  serviceObject('shop/db', { clusterIP: '10.96.0.2' }),
  sliceObject('shop/db', [pod('10.244.0.3', 'db')]),
  serviceObject('kube-system/kube-dns', { clusterIP: '10.96.0.10', ports: ['dns:53/UDP'] }),
]);

/** A few Services, their ports and pods, for what is completed. */
export const targetsStore: LookupParts['store'] = {
  serviceKeys: () => services.map(({ key }) => key),
  service: (key) => services.find((service) => service.key === key),
  slicesOf: (key) => slices.filter(({ service }) => service === key),
};
