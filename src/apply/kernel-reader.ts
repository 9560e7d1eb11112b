import type {
  RealServer,
  RealServerObservation,
  VirtualServer,
  VirtualServerIdentity,
  VirtualServerObservation,
} from '../model/virtual-server.js';
import { NetlinkError, ProtocolError } from '../netlink/errors.js';

/** What reading asks of the IPVS client. */
export interface IpvsReads {
  /** All of them; what comes or goes meanwhile, and what has its place beside that, may be missing or be there twice. */
  virtualServersByAndBy(): Promise<readonly VirtualServerObservation[]>;
  virtualServer(identity: VirtualServerIdentity): Promise<VirtualServerObservation | undefined>;
  realServers(of: VirtualServerIdentity): Promise<readonly RealServerObservation[]>;
}

/** Whether the kernel would not tell, or not in words that we know: that is about what was asked for and nothing else. */
export const isRefusedRead = (error: unknown): error is RefusedRead =>
  error instanceof NetlinkError || error instanceof ProtocolError;

export type RefusedRead = NetlinkError | ProtocolError;

/** Is told of a virtual server that cannot be read; others are read all the same. */
export type Unreadable = (identity: VirtualServerIdentity, error: RefusedRead) => void;

const orUnreadable = async <Read>(
  read: Promise<Read>,
  of: VirtualServerIdentity,
  unreadable: Unreadable,
): Promise<Read | 'unreadable'> => {
  try {
    return await read;
  } catch (error) {
    if (!isRefusedRead(error)) throw error;
    unreadable(of, error);
    return 'unreadable';
  }
};

/** Its real servers, where the kernel tells. */
export const tryRealServers = (
  ipvs: Pick<IpvsReads, 'realServers'>,
  of: VirtualServerIdentity,
  unreadable: Unreadable,
): Promise<readonly RealServerObservation[] | 'unreadable'> =>
  orUnreadable(ipvs.realServers(of), of, unreadable);

/** Counters and connection counts are not part of what is compared: they would only hold memory. */
export const withoutObservations = (observation: VirtualServerObservation): VirtualServer => {
  const { key, identity, scheduler, persistence, flags } = observation;
  return { key, identity, scheduler, persistence, flags };
};

export const realServerOf = (observation: RealServerObservation): RealServer => {
  const { key, address, port, weight, forwarding, upperThreshold, lowerThreshold } = observation;
  return { key, address, port, weight, forwarding, upperThreshold, lowerThreshold };
};

export interface ReadVirtualServer {
  readonly server: VirtualServer;
  readonly realServers: readonly RealServer[];
}

/** One virtual server as the kernel has it now, undefined where it has none. */
export const readVirtualServer = async (
  ipvs: IpvsReads,
  identity: VirtualServerIdentity,
): Promise<ReadVirtualServer | undefined> => {
  const server = await ipvs.virtualServer(identity);
  if (server === undefined) return undefined;
  const realServers = await ipvs.realServers(identity);
  return { server: withoutObservations(server), realServers: realServers.map(realServerOf) };
};

/** The same, where the kernel tells. */
export const tryVirtualServer = (
  ipvs: IpvsReads,
  identity: VirtualServerIdentity,
  unreadable: Unreadable,
): Promise<ReadVirtualServer | undefined | 'unreadable'> =>
  orUnreadable(readVirtualServer(ipvs, identity), identity, unreadable);
