import type { IpAddress } from '../../base/ip.js';
import type { ServiceKey } from '../../model/service.js';
import {
  addressOfServer,
  type DesiredVirtualServer,
  type VirtualServerEntry,
  type VirtualServerIdentity,
  type VirtualServerKey,
} from '../../model/virtual-server.js';
import { isBound } from '../../model/settings/vip-binding.js';
import type { SetElement } from '../../nftables/declarations.js';
import type { FormerVirtualServer } from '../endpoints/former-endpoints.js';
import { dirtyKeys, type DesiredView, type DirtyKeys, type ObservedView } from '../operations/diff.js';
import { firewallMarkElement, packetClassElement, vipElement } from '../packet-rules/packet-elements.js';
import { drainRecordKey, recordedDeadline } from './drain-records.js';
import { isDrainable, type DrainSettings } from './drain-step.js';

/**
 * A virtual server that no Service defines any more and that has open connections. It keeps its settings and
 * its address, its real servers drain, and new connections are refused.
 */
export interface Orphan {
  readonly desired: DesiredVirtualServer;
  /** The Service that owned it; undefined if only an earlier process knew. */
  readonly service: ServiceKey | undefined;
  /** Undefined for a virtual server on a firewall mark. */
  readonly address: IpAddress | undefined;
  /** The VIPs that stay bound for it: its address, or those of the frontends that lead to its firewall mark. */
  readonly boundAddresses: readonly IpAddress[];
  /**
   * The ownership marker, which also makes the packet rules refuse new connections; for a firewall mark also the elements that
   * lead to it. They tell the next process the frontends, and hold only where no Service has the frontend.
   */
  readonly elements: readonly SetElement[];
}

/**
 * Why an orphaned virtual server is released; `gone`: another program deleted it, or its address is no longer
 * local.
 */
export type OrphanEnd = 'idle' | 'wanted-again' | 'gone';

/** The state that decides about orphaned virtual servers. */
export interface OrphanFacts {
  /** The state that the Services define. */
  readonly services: Pick<DesiredView, 'virtualServer'>;
  readonly formerVirtualServer: (key: VirtualServerKey) => FormerVirtualServer | undefined;
  /** Whether an interface of this node other than kube-ipvs0 has the address. */
  readonly isOnInterface: (address: IpAddress) => boolean;
  readonly observed: ObservedView;
  /** The elements in the kernel that lead requests from the cluster to the virtual server on a firewall mark. */
  readonly leadingElements: (key: VirtualServerKey) => readonly SetElement[];
}

const noRealServers: DesiredVirtualServer['realServers'] = new Map();

/** The drain deadline of the Service, as an earlier process recorded it with the real servers. */
const recordedDeadlineFor = (
  of: VirtualServerIdentity,
  { realServers }: VirtualServerEntry,
  observed: ObservedView,
): number | undefined => {
  for (const server of realServers.values()) {
    const deadline = recordedDeadline(observed.element(drainRecordKey(of, server)));
    if (deadline !== undefined) return deadline;
  }
  return undefined;
};

/**
 * Returns the virtual server as an orphan if it may become one: its address is local, it has real servers,
 * and they may drain.
 */
export const orphanOf = (
  entry: VirtualServerEntry,
  { formerVirtualServer, isOnInterface, observed, leadingElements }: OrphanFacts,
  settings: DrainSettings,
): Orphan | undefined => {
  const { server, realServers } = entry;
  const { identity } = server;
  if (realServers.size === 0) return undefined;
  const address = addressOfServer(identity);
  const leading = identity.by === 'fwmark' ? leadingElements(server.key) : [];
  const addresses = address === undefined ? leading.map(({ fields }) => fields[0] as IpAddress) : [address];
  const boundAddresses = [...new Set(addresses)].filter((each) => isBound(observed, each));
  if (address !== undefined && boundAddresses.length === 0 && !isOnInterface(address)) return undefined;
  const former = formerVirtualServer(server.key);
  const drainMilliseconds = former?.drainMilliseconds ?? recordedDeadlineFor(identity, entry, observed);
  const desired = { server, realServers: noRealServers, drainMilliseconds };
  if (!isDrainable(desired, settings)) return undefined;
  const marker =
    identity.by === 'address' ? packetClassElement(identity, 'no-endpoints') : firewallMarkElement(identity);
  return { desired, service: former?.service, address, boundAddresses, elements: [marker, ...leading] };
};

/** Why the orphan must be released now; undefined while it stays. */
export const orphanEnd = (
  orphan: Orphan,
  { services, isOnInterface, observed }: OrphanFacts,
): OrphanEnd | undefined => {
  const { key } = orphan.desired.server;
  if (services.virtualServer(key) !== undefined) return 'wanted-again';
  const entry = observed.virtualServer(key);
  const { address, boundAddresses } = orphan;
  const isLost = address !== undefined && boundAddresses.length === 0 && !isOnInterface(address);
  if (entry === undefined || isLost) return 'gone';
  return entry.realServers.size === 0 ? 'idle' : undefined;
};

/** The keys whose desired state changes when the orphan starts or ends. */
export const orphanKeys = ({ desired, boundAddresses, elements }: Orphan): DirtyKeys =>
  dirtyKeys({
    virtualServers: new Set([desired.server.key]),
    addresses: new Set(boundAddresses),
    elements: new Set([...elements, ...boundAddresses.map(vipElement)].map(({ key }) => key)),
  });
