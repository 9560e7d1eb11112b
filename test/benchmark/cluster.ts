import type { EndpointSlice } from '../../src/model/endpoint.js';
import type { Service } from '../../src/model/service.js';
import type { VirtualServerKey } from '../../src/model/virtual-server.js';
import { ready, service, slice } from '../support/objects.js';

/** The last two bytes of the addresses of a Service and its endpoints; indexes begin with 1, as in scripts/benchmark/floor.c. */
const part = (index: number): string => `${index >> 8}.${index & 255}`;
const nameOf = (index: number): string => `service-${index}`;

/** A Service of one port, the smallest that there is. */
export const serviceOf = (index: number): Service =>
  service(nameOf(index), { clusterIP: `10.96.${part(index)}` });

/** Its slice with so many endpoints. */
export const sliceOf = (index: number, endpoints: number): EndpointSlice =>
  slice(
    nameOf(index),
    Array.from({ length: endpoints }, (_, pod) => ready(`10.${128 + pod}.${part(index)}`)),
    { ports: [':8080'] },
  );

export const virtualServerKeyOf = (index: number): VirtualServerKey =>
  `TCP 10.96.${part(index)}:80` as VirtualServerKey;
