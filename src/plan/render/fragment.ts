import type { IpAddress } from '../../base/ip.js';
import type { ServiceAnnotations } from '../../model/settings/service-annotations.js';
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

/** A reason why a part of a Service is not served; the message names the field. */
export interface Problem {
  readonly service: ServiceKey;
  /** CamelCase, like the reasons of Events. */
  readonly reason: string;
  readonly message: string;
}

/** A virtual server that a Service defines. */
export interface DefinedVirtualServer extends DesiredVirtualServer<DesiredRealServer> {
  readonly key: VirtualServerKey;
  /** Its packet-rule elements. They apply if this Service owns the virtual server. */
  readonly setElements: readonly SetElement[];
}

/** Everything that one Service defines for this node. */
export interface Fragment {
  readonly service: ServiceKey;
  /** When the Service was created, in milliseconds since 1970. The older Service wins a clash. */
  readonly createdAt: number;
  readonly virtualServers: ReadonlyMap<VirtualServerKey, DefinedVirtualServer>;
  readonly unreadyEndpoints: UnreadyEndpoints;
  /** The addresses to bind as VIPs. */
  readonly addresses: readonly IpAddress[];
  /** The virtual server on a firewall mark of each frontend that may need one, whether or not it does now. */
  readonly inClusterServers?: ReadonlyMap<VirtualServerKey, VirtualServerKey> | undefined;
  /** Packet-rule elements that several Services may define identically. */
  readonly sharedElements: PacketElements;
  /** Its node ports, and its ports on other addresses of the node: no source ports of masqueraded connections. */
  readonly portsOnNode: readonly number[];
  /** Whether the Service adopts virtual servers even if another program created them. */
  readonly adoptForeign: boolean;
  readonly healthCheck: ServiceHealthCheck | undefined;
  /** One entry per policy and family, regardless of the number of ports. */
  readonly localShortages: readonly LocalEndpointShortage[];
  readonly problems: readonly Problem[];
  /** The annotations in force: of one with a wrong value, the last valid value. */
  readonly validAnnotations: ServiceAnnotations;
}
