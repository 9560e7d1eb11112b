import type { BoundVips } from '../../model/settings/vip-binding.js';
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

/** The virtual servers of the kernel, the addresses on kube-ipvs0 and the local routes of kube-ipvs. */
export interface KernelSnapshot {
  readonly virtualServers: readonly ObservedVirtualServer[];
  readonly vips: BoundVips;
}
