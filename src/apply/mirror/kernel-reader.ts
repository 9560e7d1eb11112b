import {
  sameRealServer,
  type RealServer,
  type RealServerKey,
  type RealServerObservation,
  type VirtualServer,
  type VirtualServerIdentity,
  type VirtualServerObservation,
} from '../../model/virtual-server.js';
import { NetlinkError, ProtocolError } from '../../netlink/errors.js';

/** The read operations of the IPVS client. */
export interface IpvsReads {
  /**
   * Lists all virtual servers. Those created or deleted during the dump, and their neighbours in the kernel's
   * table, may be missing or listed twice.
   */
  virtualServersIncrementally(): Promise<readonly VirtualServerObservation[]>;
  virtualServer(identity: VirtualServerIdentity): Promise<VirtualServerObservation | undefined>;
  realServers(of: VirtualServerIdentity): Promise<readonly RealServerObservation[]>;
}

/**
 * Whether the kernel rejected the read or returned an invalid reply. Such an error concerns only the object
 * that was read.
 */
export const isReadError = (error: unknown): error is ReadError =>
  error instanceof NetlinkError || error instanceof ProtocolError;

export type ReadError = NetlinkError | ProtocolError;

/** Called for a virtual server that cannot be read; reading continues with the others. */
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

/** Reads the real servers of a virtual server. */
export const tryReadRealServers = (
  ipvs: Pick<IpvsReads, 'realServers'>,
  of: VirtualServerIdentity,
  onUnreadable: UnreadableHandler,
): Promise<readonly RealServerObservation[] | 'unreadable'> =>
  orUnreadable(ipvs.realServers(of), of, onUnreadable);

/** Counters are not compared, and keeping them would waste memory. */
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

/** Reads one virtual server; undefined if the kernel does not have it. */
export const readVirtualServer = async (
  ipvs: IpvsReads,
  identity: VirtualServerIdentity,
): Promise<VirtualServerSnapshot | undefined> => {
  const server = await ipvs.virtualServer(identity);
  if (server === undefined) return undefined;
  const realServers = await ipvs.realServers(identity);
  return { server: withoutStatistics(server), realServers: realServers.map(toRealServer) };
};

/** Like `readVirtualServer`, but reports read errors to `onUnreadable`. */
export const tryReadVirtualServer = (
  ipvs: IpvsReads,
  identity: VirtualServerIdentity,
  onUnreadable: UnreadableHandler,
): Promise<VirtualServerSnapshot | undefined | 'unreadable'> =>
  orUnreadable(readVirtualServer(ipvs, identity), identity, onUnreadable);

/** Whether these are the known real servers, with their settings. */
export const sameRealServers = (
  known: ReadonlyMap<RealServerKey, RealServer>,
  found: readonly RealServer[],
): boolean =>
  known.size === found.length &&
  found.every((server) => {
    const before = known.get(server.key);
    return before !== undefined && sameRealServer(before, server);
  });
