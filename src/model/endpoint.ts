import type { Brand } from '../base/brand.js';
import type { Family, IpAddress } from '../base/ip.js';
import type { Protocol } from '../base/protocol.js';
import type { ServiceKey } from './service.js';

/** `namespace/name`, of an EndpointSlice. */
export type EndpointSliceKey = Brand<string, 'EndpointSliceKey'>;
export const endpointSliceKey = (namespace: string, name: string): EndpointSliceKey =>
  `${namespace}/${name}` as EndpointSliceKey;

export interface Endpoint {
  readonly address: IpAddress;
  /** The name of the pod behind it, in the Service's namespace; undefined where it is none. For people: nothing is decided by it. */
  readonly pod: string | undefined;
  readonly nodeName: string | undefined;
  /** Where it is; '' where nobody says. For people: hints decide. */
  readonly zone: string;
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  /** Names in hints.forZones; empty: no hint. */
  readonly zoneHints: readonly string[];
  /** Names in hints.forNodes; empty: no hint. */
  readonly nodeHints: readonly string[];
}

export interface EndpointPort {
  readonly name: string;
  readonly protocol: Protocol;
  readonly port: number;
}

/** What we use of a discovery.k8s.io/v1 EndpointSlice of addressType IPv4 or IPv6 that names its Service. */
export interface EndpointSlice {
  readonly key: EndpointSliceKey;
  readonly service: ServiceKey;
  readonly family: Family;
  readonly ports: readonly EndpointPort[];
  readonly endpoints: readonly Endpoint[];
  /** When what made it as it is happened, milliseconds since 1970; says nothing of what it is. */
  readonly triggeredAt: number | undefined;
}
