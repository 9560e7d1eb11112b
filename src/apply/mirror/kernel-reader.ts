import type {
  RealServer,
  RealServerObservation,
  VirtualServer,
  VirtualServerIdentity,
  VirtualServerObservation,
} from '../../model/virtual-server.js';
import { NetlinkError, ProtocolError } from '../../netlink/errors.js';

/** What reading asks of the IPVS client. */
export interface IpvsReads {
  /** All of them; what comes or goes meanwhile, and what has its place beside that, may be missing or be there twice. */
  virtualServersIncrementally(): Promise<readonly VirtualServerObservation[]>;
  virtualServer(identity: VirtualServerIdentity): Promise<VirtualServerObservation | undefined>;
  realServers(of: VirtualServerIdentity): Promise<readonly RealServerObservation[]>;
}

/** Whether the kernel would not tell, or not in words that we know: that is about what was asked for and nothing else. */
export const isReadError = (error: unknown): error is ReadError =>
  error instanceof NetlinkError || error instanceof ProtocolError;

export type ReadError = NetlinkError | ProtocolError;

/** Is told of a virtual server that cannot be read; others are read all the same. */
export type UnreadableHandler = (identity: VirtualServerIdentity, error: ReadError) => void;

const orUnreadable = async <Read>(
  read: Promise<Read>,
  of: VirtualServerIdentity,
  onUnreadable: UnreadableHandler,
): Promise<Read | 'unreadable'> => {
  try {
    return await read;
  } catch (error) {
    if (!isReadError(error)) throw error;
    onUnreadable(of, error);
    return 'unreadable';
  }
};

/** Its real servers, where the kernel tells. */
export const tryReadRealServers = (
  ipvs: Pick<IpvsReads, 'realServers'>,
  of: VirtualServerIdentity,
  onUnreadable: UnreadableHandler,
): Promise<readonly RealServerObservation[] | 'unreadable'> =>
  orUnreadable(ipvs.realServers(of), of, onUnreadable);

/** Counters and connection counts are not part of what is compared: they would only hold memory. */
export const withoutStatistics = (observation: VirtualServerObservation): VirtualServer => {
  const { key, identity, scheduler, persistence, flags } = observation;
  return { key, identity, scheduler, persistence, flags };
};

export const toRealServer = (observation: RealServerObservation): RealServer => {
  const { key, address, port, weight, forwarding, upperThreshold, lowerThreshold } = observation;
  return { key, address, port, weight, forwarding, upperThreshold, lowerThreshold };
};

export interface VirtualServerSnapshot {
  readonly server: VirtualServer;
  readonly realServers: readonly RealServer[];
}

/** One virtual server as the kernel has it now, undefined where it has none. */
export const readVirtualServer = async (
  ipvs: IpvsReads,
  identity: VirtualServerIdentity,
): Promise<VirtualServerSnapshot | undefined> => {
  const server = await ipvs.virtualServer(identity);
  if (server === undefined) return undefined;
  const realServers = await ipvs.realServers(identity);
  return { server: withoutStatistics(server), realServers: realServers.map(toRealServer) };
};

/** The same, where the kernel tells. */
export const tryReadVirtualServer = (
  ipvs: IpvsReads,
  identity: VirtualServerIdentity,
  onUnreadable: UnreadableHandler,
): Promise<VirtualServerSnapshot | undefined | 'unreadable'> =>
  orUnreadable(readVirtualServer(ipvs, identity), identity, onUnreadable);
