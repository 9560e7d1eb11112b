import type { Statistics } from '../../model/virtual-server.js';
import type { ObservedVirtualServer } from '../kernel/kernel-snapshot.js';

/** The kernel's table at one moment. */
export interface Sample {
  /** Milliseconds of a monotonic clock. */
  readonly at: number;
  readonly tables: readonly ObservedVirtualServer[];
}

/** Rates per second, and open connections. */
export interface Load {
  readonly connectionsPerSecond: number;
  readonly inPacketsPerSecond: number;
  readonly outPacketsPerSecond: number;
  readonly inBytesPerSecond: number;
  readonly outBytesPerSecond: number;
  readonly activeConnections: number;
  readonly inactiveConnections: number;
}

/** A real server of one virtual server. */
export interface RealServerLoad {
  readonly key: string;
  readonly weight: number;
  readonly load: Load;
}

export interface VirtualServerLoad {
  readonly key: string;
  readonly scheduler: string;
  readonly load: Load;
  readonly realServers: readonly RealServerLoad[];
}

export const noLoad: Load = {
  connectionsPerSecond: 0,
  inPacketsPerSecond: 0,
  outPacketsPerSecond: 0,
  inBytesPerSecond: 0,
  outBytesPerSecond: 0,
  activeConnections: 0,
  inactiveConnections: 0,
};

export const addLoads = (a: Load, b: Load): Load => ({
  connectionsPerSecond: a.connectionsPerSecond + b.connectionsPerSecond,
  inPacketsPerSecond: a.inPacketsPerSecond + b.inPacketsPerSecond,
  outPacketsPerSecond: a.outPacketsPerSecond + b.outPacketsPerSecond,
  inBytesPerSecond: a.inBytesPerSecond + b.inBytesPerSecond,
  outBytesPerSecond: a.outBytesPerSecond + b.outBytesPerSecond,
  activeConnections: a.activeConnections + b.activeConnections,
  inactiveConnections: a.inactiveConnections + b.inactiveConnections,
});

type Flow = Omit<Load, 'activeConnections' | 'inactiveConnections'>;

/** Zero where a counter decreased: the server was created again, or its counters were reset. */
const perSecond = (before: bigint, now: bigint, seconds: number): number =>
  now > before ? Number(now - before) / seconds : 0;

/** Computed from totals: the kernel's own rates lag by seconds, and do not change with net.ipv4.vs.run_estimation = 0. */
const flowBetween = (before: Statistics | undefined, now: Statistics | undefined, seconds: number): Flow => {
  if (before === undefined || now === undefined || seconds <= 0) return noLoad;
  return {
    connectionsPerSecond: perSecond(before.connections, now.connections, seconds),
    inPacketsPerSecond: perSecond(before.inPackets, now.inPackets, seconds),
    outPacketsPerSecond: perSecond(before.outPackets, now.outPackets, seconds),
    inBytesPerSecond: perSecond(before.inBytes, now.inBytes, seconds),
    outBytesPerSecond: perSecond(before.outBytes, now.outBytes, seconds),
  };
};

const tableLoad = (
  before: ObservedVirtualServer | undefined,
  now: ObservedVirtualServer,
  seconds: number,
): VirtualServerLoad => {
  let activeConnections = 0;
  let inactiveConnections = 0;
  const realServers = [...now.realServers.values()].map((server): RealServerLoad => {
    activeConnections += server.activeConnections;
    inactiveConnections += server.inactiveConnections;
    return {
      key: server.key,
      weight: server.weight,
      load: {
        ...flowBetween(before?.realServers.get(server.key)?.statistics, server.statistics, seconds),
        activeConnections: server.activeConnections,
        inactiveConnections: server.inactiveConnections,
      },
    };
  });
  const flow = flowBetween(before?.server.statistics, now.server.statistics, seconds);
  return {
    key: now.server.key,
    scheduler: now.server.scheduler,
    load: { ...flow, activeConnections, inactiveConnections },
    realServers,
  };
};

/** The load between two samples. A server that is new in the second has no rates yet; without a first sample none has. */
export const loadsBetween = (before: Sample | undefined, now: Sample): readonly VirtualServerLoad[] => {
  const known = new Map(before?.tables.map((entry) => [entry.server.key, entry]));
  const seconds = before === undefined ? 0 : (now.at - before.at) / 1_000;
  return now.tables.map((entry) => tableLoad(known.get(entry.server.key), entry, seconds));
};
