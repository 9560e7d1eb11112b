import type { Cidr, IpAddress } from '../base/ip.js';

/** The fields that we use of a core/v1 Node. */
export interface Node {
  readonly name: string;
  /** Label topology.kubernetes.io/zone; '' where absent. */
  readonly zone: string;
  /** status.addresses: InternalIPs first, then ExternalIPs. */
  readonly addresses: readonly IpAddress[];
  readonly podCidrs: readonly Cidr[];
  /** The Node is being deleted, or the cluster autoscaler is about to remove it: load balancers should send it no new connections. */
  readonly isBeingRemoved: boolean;
}

/**
 * Whether the cluster has a Node object of the name. A Node whose Ready condition is Unknown counts as `there`: its kubelet may
 * only have lost its connection to the API server.
 */
export type NodeState = 'there' | 'gone';

/** An address on an interface of this machine, as rtnetlink reports it. */
export interface InterfaceAddress {
  readonly address: IpAddress;
  readonly prefixLength: number;
  readonly interfaceName: string;
}

/** What rendering knows about this machine. A change costs O(cluster). */
export interface NodeFacts {
  readonly name: string;
  readonly zone: string;
  /** Every address of every interface but kube-ipvs0 and those of other instances. */
  readonly addresses: readonly InterfaceAddress[];
  /** status.addresses of the Node; [] without a known Node. */
  readonly statusAddresses: readonly IpAddress[];
  /** Addresses of other machines that must stay reachable, with their role, as `a gateway of this node`. */
  readonly reserved: ReadonlyMap<IpAddress, string>;
}
