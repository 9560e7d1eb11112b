import type { Cidr, IpAddress } from '../base/ip.js';

/** The interface that has the VIPs: kube-proxy's name for it, by which other programs (keepalived configurations, MetalLB) know it. */
export const dummyInterfaceName = 'kube-ipvs0';

/** What we use of a core/v1 Node. */
export interface Node {
  readonly name: string;
  /** Label topology.kubernetes.io/zone; '' where absent. */
  readonly zone: string;
  /** status.addresses: InternalIPs first, then ExternalIPs. */
  readonly addresses: readonly IpAddress[];
  readonly podCidrs: readonly Cidr[];
  /** It is being deleted, or the cluster autoscaler is about to remove it: load balancers are to send it no new connections. */
  readonly isBeingRemoved: boolean;
}

/**
 * Whether a node is in the cluster: `gone` where there is no such Node. One from which nothing is heard (Ready is Unknown) is there:
 * maybe just its kubelet has lost touch, and whether its endpoints answer their clients shows by itself.
 */
export type NodeState = 'there' | 'gone';

/** An address on an interface of this machine, as rtnetlink tells it. */
export interface InterfaceAddress {
  readonly address: IpAddress;
  readonly prefixLength: number;
  readonly interfaceName: string;
}

/** All that rendering knows of this machine. A change of it is one of the few things that cost O(cluster). */
export interface NodeFacts {
  readonly name: string;
  readonly zone: string;
  /** Every address of every interface but kube-ipvs0. */
  readonly addresses: readonly InterfaceAddress[];
  /** status.addresses of the Node: how the cluster knows this machine; [] where no Node is known. */
  readonly statusAddresses: readonly IpAddress[];
  /** Addresses of other machines that this one must go on reaching, with what they are, as `a gateway of this node`. */
  readonly reserved: ReadonlyMap<IpAddress, string>;
}
