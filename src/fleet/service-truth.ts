import { families } from '../base/ip.js';
import type { Service } from '../model/service.js';
import type { EndpointSlice } from '../model/endpoint.js';
import { endpointsByPort } from '../plan/endpoints/endpoints.js';

export type EndpointState = 'ready' | 'terminating' | 'not ready';

/** A Service as the API server has it. */
export interface ServiceTruth {
  /** Fields that decide how it is served, as text. */
  readonly fields: Readonly<Record<string, string>>;
  /** By `10.244.1.5:8080 of port http`. */
  readonly endpoints: ReadonlyMap<string, EndpointState>;
}

export const endpointState = (endpoint: {
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
}): EndpointState => {
  if (endpoint.ready) return 'ready';
  return endpoint.serving && endpoint.terminating ? 'terminating' : 'not ready';
};

export const endpointName = (port: string, realServer: string): string =>
  port === '' ? realServer : `${realServer} of port ${port}`;

interface PortFields {
  readonly name: string;
  readonly protocol: string;
  readonly port: number;
  readonly nodePort?: number | undefined;
}

const portText = ({ name, protocol, port, nodePort }: PortFields): string =>
  `${name === '' ? '' : `${name} `}${protocol} ${port}${nodePort === undefined ? '' : ` node port ${nodePort}`}`;

/** The comparable text of the fields of a Service; lists are in one order. */
export const serviceFields = (service: {
  readonly type: string;
  readonly clusterIps: readonly string[];
  readonly externalIps: readonly string[];
  readonly loadBalancerIps: readonly string[];
  readonly ports: readonly PortFields[];
  readonly internalTrafficPolicy: string;
  readonly externalTrafficPolicy: string;
}): Readonly<Record<string, string>> => {
  const list = (items: readonly string[]): string => items.toSorted().join(', ');
  return {
    type: service.type,
    clusterIPs: list(service.clusterIps),
    externalIPs: list(service.externalIps),
    'load balancer addresses': list(service.loadBalancerIps),
    ports: list(service.ports.map(portText)),
    internalTrafficPolicy: service.internalTrafficPolicy,
    externalTrafficPolicy: service.externalTrafficPolicy,
  };
};

export const serviceTruth = (service: Service, slices: readonly EndpointSlice[]): ServiceTruth => {
  const endpointsOf = endpointsByPort(slices);
  const endpoints = new Map<string, EndpointState>();
  for (const family of families)
    for (const port of service.ports)
      for (const { key, endpoint } of endpointsOf(family, port))
        endpoints.set(endpointName(port.name, key), endpointState(endpoint));
  return {
    fields: serviceFields({
      ...service,
      clusterIps: families.flatMap((family) => service.clusterIps[family] ?? []),
    }),
    endpoints,
  };
};
