import { firewallMark, nodePortOfMark, type NodePort } from '../../model/firewall-mark.js';
import type { Service, ServicePort } from '../../model/service.js';
import type { VirtualServerIdentity } from '../../model/virtual-server.js';
import type { Frontend } from './frontends.js';

/** The Service port that a virtual server serves, and the kind of its frontend. */
export interface ServedPort {
  /** `in-cluster`: all external addresses, for requests from the cluster with externalTrafficPolicy Local. */
  readonly kind: Frontend['kind'] | 'in-cluster';
  readonly port: ServicePort;
}

const kindOf = (service: Service, { address }: ByAddress): Frontend['kind'] | undefined => {
  if (Object.values(service.clusterIps).includes(address)) return 'cluster-ip';
  if (service.externalIps.includes(address)) return 'external-ip';
  return service.loadBalancerIps.includes(address) ? 'load-balancer-ip' : undefined;
};

type ByAddress = Extract<VirtualServerIdentity, { by: 'address' }>;

const servedNodePort = (service: Service, { protocol, port }: NodePort): ServedPort | undefined => {
  const served = service.ports.find((each) => each.protocol === protocol && each.nodePort === port);
  return served && { kind: 'node-port', port: served };
};

/**
 * Finds the Service port that a virtual server serves; undefined if the virtual server does not belong to the
 * Service.
 */
export const servedPort = (service: Service, identity: VirtualServerIdentity): ServedPort | undefined => {
  if (identity.by === 'fwmark') {
    const { fwmark, family } = identity;
    const shared = nodePortOfMark(fwmark);
    if (shared !== undefined) return servedNodePort(service, shared);
    const marked = service.ports.find((each) => firewallMark(service.key, each, family) === fwmark);
    return marked && { kind: 'in-cluster', port: marked };
  }
  const { protocol, port: number } = identity;
  const ports = service.ports.filter((each) => each.protocol === protocol);
  const kind = kindOf(service, identity);
  const direct = kind && ports.find(({ port }) => port === number);
  if (kind !== undefined && direct !== undefined) return { kind, port: direct };
  return servedNodePort(service, { protocol, port: number });
};
