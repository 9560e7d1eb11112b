import type { Cidr, Family } from '../base/ip.js';

/** How traffic from the cluster's pods is recognized (kube-proxy-ipvs §4.6.1). */
export type PodTraffic =
  /** By source address: pods on any node. */
  | { readonly by: 'source'; readonly cidr: Cidr }
  /** By input interface: only pods of this node. */
  | { readonly by: 'interface'; readonly name: string }
  | { readonly by: 'interface-prefix'; readonly prefix: string };

/** In a family without one, traffic from pods is not recognized. */
export type PodTrafficDetectors = Readonly<Partial<Record<Family, PodTraffic>>>;
