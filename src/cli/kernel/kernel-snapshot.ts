import type { IpAddress } from '../../base/ip.js';
import type {
  RealServerKey,
  RealServerObservation,
  VirtualServerObservation,
} from '../../model/virtual-server.js';

/** A virtual server of the kernel with its real servers and all counters. */
export interface ObservedVirtualServer {
  readonly server: VirtualServerObservation;
  readonly realServers: ReadonlyMap<RealServerKey, RealServerObservation>;
}

/** The virtual servers of the kernel, and the addresses on kube-ipvs0. */
export interface KernelSnapshot {
  readonly virtualServers: readonly ObservedVirtualServer[];
  readonly dummyAddresses: readonly IpAddress[];
}
