import type { Brand } from '../base/brand.js';
import type { Family, IpAddress } from '../base/ip.js';
import type { Protocol } from '../base/protocol.js';
import type { ServiceKey } from './service.js';

/** `namespace/name` of an EndpointSlice. */
export type EndpointSliceKey = Brand<string, 'EndpointSliceKey'>;
export const endpointSliceKey = (namespace: string, name: string): EndpointSliceKey =>
  `${namespace}/${name}` as EndpointSliceKey;

export interface Endpoint {
  readonly address: IpAddress;
  /** The name of its pod, in the Service's namespace; undefined for an endpoint without a pod. For display only. */
  readonly pod: string | undefined;
  readonly nodeName: string | undefined;
  /** Its zone; '' where unknown. For display only: hints decide. */
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

/** The fields that we use of a discovery.k8s.io/v1 EndpointSlice of addressType IPv4 or IPv6 that names its Service. */
export interface EndpointSlice {
  readonly key: EndpointSliceKey;
  readonly service: ServiceKey;
  readonly family: Family;
  readonly ports: readonly EndpointPort[];
  readonly endpoints: readonly Endpoint[];
  /** When the change happened that led to this content, milliseconds since 1970; not part of the content. */
  readonly triggeredAt: number | undefined;
}
