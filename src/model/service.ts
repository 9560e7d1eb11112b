import type { Brand } from '../base/brand.js';
import type { Cidr, Family, IpAddress } from '../base/ip.js';
import type { Protocol } from '../base/protocol.js';
import type { ServiceAnnotations } from './settings/service-annotations.js';

/** `namespace/name` of a Service. */
export type ServiceKey = Brand<string, 'ServiceKey'>;
export const serviceKey = (namespace: string, name: string): ServiceKey =>
  `${namespace}/${name}` as ServiceKey;

export type TrafficPolicy = 'Cluster' | 'Local';

export interface ServicePort {
  /** '' where the Service has one unnamed port. */
  readonly name: string;
  readonly protocol: Protocol;
  readonly port: number;
  readonly nodePort: number | undefined;
}

/** The fields that we use of a core/v1 Service that this proxy serves (kube-proxy-ipvs §2.3). */
export interface Service {
  readonly key: ServiceKey;
  readonly namespace: string;
  readonly name: string;
  /** metadata.uid; undefined in hand-written manifests. */
  readonly uid: string | undefined;
  /** Milliseconds since 1970; the older of two Services wins a clash. */
  readonly createdAt: number;
  readonly type: 'ClusterIP' | 'NodePort' | 'LoadBalancer';
  /** At most one address per family; without one the Service is not served in that family. */
  readonly clusterIps: Readonly<Partial<Record<Family, IpAddress>>>;
  readonly ports: readonly ServicePort[];
  /** Seconds of ClientIP affinity; undefined for None. */
  readonly affinitySeconds: number | undefined;
  readonly internalTrafficPolicy: TrafficPolicy;
  /** 'Local' only where the Service's type supports it (kube-proxy-ipvs §2.3). */
  readonly externalTrafficPolicy: TrafficPolicy;
  readonly externalIps: readonly IpAddress[];
  /** Ingress addresses of ipMode VIP. */
  readonly loadBalancerIps: readonly IpAddress[];
  readonly loadBalancerSourceRanges: readonly Cidr[];
  readonly healthCheckNodePort: number | undefined;
  readonly annotations: ServiceAnnotations;
  /** The names of annotations `ipvs.kube-ipvs.dev/…` that a Service does not have, such as a misspelt one; absent: none. */
  readonly unknownAnnotations?: readonly string[];
}
