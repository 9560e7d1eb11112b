import type { Cidr, Family } from '../base/ip.js';

/** How a packet of a pod of the cluster is told from one that comes from outside (kube-proxy-ipvs §4.6.1). */
export type PodTraffic =
  /** By its source: of pods on whatever node. */
  | { readonly by: 'source'; readonly cidr: Cidr }
  /** By the interface it came in on: of pods of this node only. */
  | { readonly by: 'interface'; readonly name: string }
  | { readonly by: 'interface-prefix'; readonly prefix: string };

/** A family without one: nobody can tell pods from the rest. */
export type PodTrafficDetectors = Readonly<Partial<Record<Family, PodTraffic>>>;
