import { familyOf } from '../../base/ip.js';
import { firewallMark } from '../../model/firewall-mark.js';
import type { InClusterEndpoints } from '../../model/settings/in-cluster-endpoints.js';
import type { ServicePort } from '../../model/service.js';
import { virtualServerKey, type RealServerKey, type VirtualServerKey } from '../../model/virtual-server.js';
import type { RealServers } from './real-servers.js';
import type { CheckedService } from './service-check.js';
import type { ByAddress, ByMark } from '../packet-rules/packet-elements.js';

type Keys = ReadonlyMap<RealServerKey, unknown>;

const sameKeys = (some: Keys, others: Keys): boolean => {
  for (const key of some.keys()) if (!others.has(key)) return false;
  return some.size === others.size;
};

/** The real servers of requests from the cluster, where they differ from the local ones. */
export const inClusterOf = (cluster: RealServers, local: RealServers): RealServers | undefined =>
  sameKeys(cluster.byKey, local.byKey) ? undefined : cluster;

/** The virtual servers on firewall marks of the frontends of one Service. */
export class InClusterServers {
  readonly #byFrontend = new Map<VirtualServerKey, VirtualServerKey>();

  constructor(
    private readonly service: CheckedService,
    private readonly inClusterEndpoints: InClusterEndpoints = 'local',
  ) {}

  /**
   * The one that may serve the requests from the cluster to the frontend; undefined if none ever does. IPVS does not
   * translate the port of a persistent virtual server on a firewall mark (ip_vs_sched_persist in
   * net/netfilter/ipvs/ip_vs_core.c).
   */
  identityFor(frontend: ByAddress, port: ServicePort): ByMark | undefined {
    if (this.inClusterEndpoints === 'local' || this.service.externalTrafficPolicy === 'Cluster')
      return undefined;
    const family = familyOf(frontend.address);
    if (this.service.settings.persistence[family] !== undefined) return undefined;
    const identity = { by: 'fwmark', fwmark: firewallMark(this.service.key, port, family), family } as const;
    this.#byFrontend.set(virtualServerKey(frontend), virtualServerKey(identity));
    return identity;
  }

  /** By the key of the frontend; undefined for none. */
  get byFrontend(): ReadonlyMap<VirtualServerKey, VirtualServerKey> | undefined {
    return this.#byFrontend.size > 0 ? this.#byFrontend : undefined;
  }
}
