import type { Brand } from '../base/brand.js';
import type { Cidr, Family, IpAddress } from '../base/ip.js';
import type { Protocol } from '../base/protocol.js';

/** `namespace/name`, of a Service. */
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

/** What we use of a core/v1 Service that this proxy serves (kube-proxy-ipvs §2.3); Services it does not serve never become one. */
export interface Service {
  readonly key: ServiceKey;
  readonly namespace: string;
  readonly name: string;
  /** metadata.uid; undefined in manifests that no API server has seen. */
  readonly uid: string | undefined;
  /** Milliseconds since 1970; the older of two Services wins a clash. */
  readonly createdAt: number;
  readonly type: 'ClusterIP' | 'NodePort' | 'LoadBalancer';
  /** At most one address a family; a Service without one in a family is invisible there. */
  readonly clusterIps: Readonly<Partial<Record<Family, IpAddress>>>;
  readonly ports: readonly ServicePort[];
  /** Seconds of ClientIP affinity; undefined for None. */
  readonly affinitySeconds: number | undefined;
  readonly internalTrafficPolicy: TrafficPolicy;
  /** 'Local' only where the Service's type lets it act (kube-proxy-ipvs §2.3). */
  readonly externalTrafficPolicy: TrafficPolicy;
  readonly externalIps: readonly IpAddress[];
  /** Ingress addresses of ipMode VIP. */
  readonly loadBalancerIps: readonly IpAddress[];
  readonly loadBalancerSourceRanges: readonly Cidr[];
  readonly healthCheckNodePort: number | undefined;
  /** From the annotation `ipvs.kube-ipvs.dev/scheduler`, as it is written; undefined: the configured one. */
  readonly scheduler: string | undefined;
  /** From the annotation `ipvs.kube-ipvs.dev/drain-deadline`, as it is written; undefined: the configured ones. */
  readonly drainDeadline: string | undefined;
  /** From the annotation `ipvs.kube-ipvs.dev/take-over-foreign`: virtual servers that somebody else made for it are to be ours. */
  readonly takesOverForeign: boolean;
}
