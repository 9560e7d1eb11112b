import type { IpAddress } from '../../base/ip.js';
import type { ServiceKey } from '../../model/service.js';
import type {
  DesiredVirtualServer,
  VirtualServerEntry,
  VirtualServerIdentity,
  VirtualServerKey,
} from '../../model/virtual-server.js';
import type { SetElement } from '../../nftables/declarations.js';
import type { FormerVirtualServer } from '../endpoints/former-endpoints.js';
import { dirtyKeys, type DesiredView, type DirtyKeys, type ObservedView } from '../operations/diff.js';
import { packetClassElement, vipElement } from '../packet-rules/packet-elements.js';
import { drainRecordKey, recordedDeadline } from './drain-records.js';
import { isDrainable, type DrainSettings } from './drain-step.js';

/**
 * A virtual server that no Service asks for any more and that has open connections. It stays as the kernel has it, with its
 * address; its real servers drain, and new connections are refused.
 */
export interface Orphan {
  readonly desired: DesiredVirtualServer;
  /** The Service that it belonged to; undefined if only an earlier process knew. */
  readonly service: ServiceKey | undefined;
  readonly address: IpAddress;
  /** Whether kube-ipvs0 has the address for its sake too. */
  readonly isBound: boolean;
  /** Marks it as ours, and refuses new connections. */
  readonly element: SetElement;
}

/** Why an orphan ends; `gone`: another program deleted it, or its address is not local any more. */
export type OrphanEnd = 'idle' | 'wanted-again' | 'gone';

/** What decides about orphans besides the virtual server itself. */
export interface OrphanFacts {
  /** What Services ask for. */
  readonly services: Pick<DesiredView, 'virtualServer'>;
  readonly formerVirtualServer: (key: VirtualServerKey) => FormerVirtualServer | undefined;
  /** Whether an interface of this node other than kube-ipvs0 has the address. */
  readonly isOnInterface: (address: IpAddress) => boolean;
  readonly observed: ObservedView;
}

const noRealServers: DesiredVirtualServer['realServers'] = new Map();

type ByAddress = VirtualServerIdentity & { readonly by: 'address' };

/** How long its Service let it drain, by what an earlier process recorded with its real servers. */
const recordedDeadlineFor = (
  of: ByAddress,
  { realServers }: VirtualServerEntry,
  observed: ObservedView,
): number | undefined => {
  for (const server of realServers.values()) {
    const deadline = recordedDeadline(observed.element(drainRecordKey(of, server)));
    if (deadline !== undefined) return deadline;
  }
  return undefined;
};

/** The virtual server as an orphan, if it may be one: it is on a local address, has real servers, and may drain. */
export const orphanOf = (
  entry: VirtualServerEntry,
  { formerVirtualServer, isOnInterface, observed }: OrphanFacts,
  settings: DrainSettings,
): Orphan | undefined => {
  const { server, realServers } = entry;
  const { identity } = server;
  if (identity.by !== 'address' || realServers.size === 0) return undefined;
  const { address } = identity;
  const isBound = observed.hasAddress(address);
  if (!isBound && !isOnInterface(address)) return undefined;
  const former = formerVirtualServer(server.key);
  const drainMilliseconds = former?.drainMilliseconds ?? recordedDeadlineFor(identity, entry, observed);
  const desired = { server, realServers: noRealServers, drainMilliseconds };
  if (!isDrainable(desired, settings)) return undefined;
  const element = packetClassElement(identity, 'no-endpoints');
  return { desired, service: former?.service, address, isBound, element };
};

/** Why the orphan ends now; undefined while it stays. */
export const orphanEnd = (
  orphan: Orphan,
  { services, isOnInterface, observed }: OrphanFacts,
): OrphanEnd | undefined => {
  const { key } = orphan.desired.server;
  if (services.virtualServer(key) !== undefined) return 'wanted-again';
  const entry = observed.virtualServer(key);
  if (entry === undefined || (!orphan.isBound && !isOnInterface(orphan.address))) return 'gone';
  return entry.realServers.size === 0 ? 'idle' : undefined;
};

/** What is desired differently when the orphan begins or ends. */
export const orphanKeys = ({ desired, address, isBound, element }: Orphan): DirtyKeys =>
  dirtyKeys({
    virtualServers: new Set([desired.server.key]),
    addresses: new Set(isBound ? [address] : []),
    elements: new Set([element.key, ...(isBound ? [vipElement(address).key] : [])]),
  });
