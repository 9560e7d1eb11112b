import type { IpAddress } from '../../base/ip.js';
import type { ServiceKey } from '../../model/service.js';
import type { SetElement } from '../../nftables/declarations.js';
import type {
  DesiredRealServer,
  VirtualServerKey,
  DesiredVirtualServer,
} from '../../model/virtual-server.js';
import type { UnreadyEndpoints } from '../endpoints/former-endpoints.js';
import type { LocalEndpointShortage } from '../endpoints/local-endpoint-shortages.js';
import type { PacketElements } from '../packet-rules/packet-elements.js';
import type { ServiceHealthCheck } from './service-health-check.js';

/** Something about a Service that keeps a part of it from being served; the message names the field. */
export interface Problem {
  readonly service: ServiceKey;
  /** CamelCase, as the reasons of events. */
  readonly reason: string;
  readonly message: string;
}

/** All that one Service asks of this node. */
export interface Fragment {
  readonly service: ServiceKey;
  /** Milliseconds since 1970, of the Service: the older one wins a clash. */
  readonly createdAt: number;
  readonly virtualServers: ReadonlyMap<VirtualServerKey, DesiredVirtualServer<DesiredRealServer>>;
  readonly unreadyEndpoints: UnreadyEndpoints;
  /** To be bound to kube-ipvs0. */
  readonly addresses: ReadonlySet<IpAddress>;
  /** The packet-rule elements of each virtual server: they count for the Service that has it. */
  readonly setElements: ReadonlyMap<VirtualServerKey, readonly SetElement[]>;
  /** Packet-rule elements that several Services may ask for alike. */
  readonly sharedElements: PacketElements;
  readonly nodePorts: readonly number[];
  /** Whether its virtual servers are to be ours, whoever made them. */
  readonly adoptForeign: boolean;
  readonly healthCheck: ServiceHealthCheck | undefined;
  /** Each policy and family once, however many ports. */
  readonly localShortages: readonly LocalEndpointShortage[];
  readonly problems: readonly Problem[];
}
