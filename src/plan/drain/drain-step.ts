import { familyOf, type Family } from '../../base/ip.js';
import type { Endpoint } from '../../model/endpoint.js';
import { departureOf } from '../endpoints/former-endpoints.js';
import { fallbackFlag } from '../fallback-flag.js';
import type { Protocol } from '../../base/protocol.js';
import type { ElementKey, SetElement } from '../../nftables/declarations.js';
import type { IpvsOperation } from '../../model/operation.js';
import { drainRecord, drainRecordKey, recordedSince } from './drain-records.js';
import {
  protocolOfServer,
  type RealServerKey,
  type RealServerObservation,
  type VirtualServer,
  type VirtualServerIdentity,
  type VirtualServerKey,
  type VirtualServerEntry,
  type DesiredVirtualServer,
} from '../../model/virtual-server.js';

export interface DrainSettings {
  /**
   * Milliseconds from the start of a drain until the real server is deleted even with open connections. 0
   * deletes it at once.
   */
  readonly deadlines: Readonly<Record<Protocol, number>>;
}

/**
 * TCP drains as in kube-proxy, but with a deadline. A UDP client does not signal its end, so it gets time for
 * pending replies and then another real server.
 */
export const defaultDrainSettings: DrainSettings = {
  deadlines: { TCP: 15 * 60_000, UDP: 5_000, SCTP: 60_000 },
};

/** The minimum time between two checks of draining real servers. */
export const drainCheckIntervalMilliseconds = 3_000;

/** Whether a draining real server responds, according to its checks. */
export interface LivenessState {
  /** The last check that was taken into account, in milliseconds. */
  readonly checkedAt: number;
  readonly inPackets: bigint;
  readonly inBytes: bigint;
  readonly outPackets: bigint;
  readonly activeConnections: number;
  /**
   * The number of checks since its last reply at which the real server had received packets that require a
   * reply.
   */
  readonly unansweredChecks: number;
  /** When `unansweredChecks` last changed, or the real server last replied. */
  readonly countedAt: number;
  /** Whether the check after it became suspect saw no reply either. */
  readonly isUnresponsive: boolean;
}

export interface DrainingServer {
  /** The start of the drain, in milliseconds. */
  readonly since: number;
  /** The deadline: the real server is then deleted even with open connections. */
  readonly until: number;
  /** The element from which the next process reads `since`. */
  readonly record: SetElement;
  /** The node of the real server, and whether that node may be deleted; undefined if the node is unknown. */
  readonly node: { readonly name: string; readonly isSuspect: boolean } | undefined;
  /** Undefined if the kernel's counters cannot show whether the real server responds. */
  readonly liveness: LivenessState | undefined;
}

export type DrainingServers = ReadonlyMap<RealServerKey, DrainingServer>;

export type Draining = ReadonlyMap<VirtualServerKey, DrainingServers>;

/**
 * How long real servers of the virtual server may drain; 0 deletes them at once. `dh` assigns all clients of
 * an address to one real server and rejects them while its weight is 0, so its real servers drain only if no
 * real server is desired.
 */
export const drainDeadline = (desired: DesiredVirtualServer, { deadlines }: DrainSettings): number => {
  const { identity, scheduler } = desired.server;
  const protocol = protocolOfServer(identity);
  if (protocol === undefined || (scheduler === 'dh' && desired.realServers.size > 0)) return 0;
  return desired.drainMilliseconds ?? deadlines[protocol];
};

export const isDrainable = (desired: DesiredVirtualServer, settings: DrainSettings): boolean =>
  drainDeadline(desired, settings) > 0;

/** The settings of the virtual server while one of its real servers drains: no client is rejected because of it. */
export const settingsWhileDraining = ({ server, realServers }: DesiredVirtualServer): VirtualServer => {
  const fallback = fallbackFlag(server.scheduler);
  return fallback === undefined || server.flags.includes(fallback) || realServers.size === 0
    ? server
    : { ...server, flags: [...server.flags, fallback].toSorted() };
};

interface DesiredVirtualServers {
  virtualServer(key: VirtualServerKey): DesiredVirtualServer | undefined;
}

interface ObservedVirtualServers {
  virtualServer(key: VirtualServerKey): VirtualServerEntry | undefined;
}

/**
 * The virtual servers that have a draining real server: one that is not desired and has weight 0. Only their
 * real servers must be read for `drainStep`. Includes drains that an earlier process started.
 */
export const virtualServersWithDraining = (
  keys: Iterable<VirtualServerKey>,
  desired: DesiredVirtualServers,
  observed: ObservedVirtualServers,
  settings: DrainSettings,
): readonly VirtualServerEntry[] => {
  const found: VirtualServerEntry[] = [];
  for (const key of keys) {
    const desiredServer = desired.virtualServer(key);
    const observedServer = observed.virtualServer(key);
    if (desiredServer === undefined || observedServer === undefined || !isDrainable(desiredServer, settings))
      continue;
    for (const server of observedServer.realServers.values())
      if (server.weight === 0 && !desiredServer.realServers.has(server.key)) {
        found.push(observedServer);
        break;
      }
  }
  return found;
};

export interface DrainInput {
  /** The real servers of the virtual server that were draining before this check. */
  readonly drainingOf: (key: VirtualServerKey) => DrainingServers;
  /** The virtual servers to check that could not be read. */
  readonly unreadable: Iterable<VirtualServerKey>;
  /**
   * The current real servers of the virtual servers that were read; [] if the virtual server does not exist.
   */
  readonly observations: ReadonlyMap<VirtualServerKey, readonly RealServerObservation[]>;
  readonly desired: DesiredVirtualServers;
  /** Milliseconds of a monotonic clock. */
  readonly now: number;
  readonly settings: DrainSettings;
  /** The element with this key in the kernel. */
  readonly recordOf: (key: ElementKey) => SetElement | undefined;
  /** The endpoint of a real server, if it is known. */
  readonly endpointOf: (of: VirtualServerKey, realServer: RealServerKey) => Endpoint | undefined;
  /** Whether the virtual server is orphaned. */
  readonly isOrphan: (key: VirtualServerKey) => boolean;
  /** Whether the node is known to be deleted, and all connections to it are lost. */
  readonly isNodeDeleted: (nodeName: string) => boolean;
}

export interface DrainStep {
  readonly delete: readonly IpvsOperation[];
  /** The real servers in `delete` that still had connections. The caller resets these connections. */
  readonly purged: readonly PurgedServer[];
  /**
   * The real servers that continue to drain, by checked virtual server. Check them again after
   * `drainCheckIntervalMilliseconds`.
   */
  readonly stillDraining: Draining;
}

export interface PurgedServer {
  readonly of: VirtualServerIdentity;
  readonly realServer: RealServerKey;
  readonly reason: 'node-gone' | 'dead' | 'deadline';
}

/** The kernel updates its counters every two seconds, so they may not change between two closer checks. */
const minimumCheckIntervalMilliseconds = 2_500;

/**
 * Consecutive unanswered checks after which a real server is suspect. One check proves nothing, because
 * acknowledgements of a reply may be counted after the reply itself. One more check follows, because the
 * reply to a recent packet may be counted late.
 */
const suspectCheckCount = 2;

/** The size of a packet without payload: IP and TCP headers with timestamps. */
const emptyPacketBytes: Readonly<Record<Family, bigint>> = { IPv4: 52n, IPv6: 72n };

/**
 * A packet without payload may be a keepalive probe, which requires a reply, or a window update of a slow
 * reader, which does not. Window updates become rarer over time, probes do not.
 */
const minimumProbeIntervalMilliseconds = 60_000;

const isSuspect = ({ unansweredChecks }: LivenessState): boolean => unansweredChecks >= suspectCheckCount;

const initialLiveness = (server: RealServerObservation, now: number): LivenessState | undefined => {
  // Replies pass through this node only if it translates addresses.
  if (server.statistics === undefined || server.forwarding !== 'masquerade') return undefined;
  const { inPackets, inBytes, outPackets } = server.statistics;
  const { activeConnections } = server;
  return {
    checkedAt: now,
    inPackets,
    inBytes,
    outPackets,
    activeConnections,
    unansweredChecks: 0,
    countedAt: now,
    isUnresponsive: false,
  };
};

/**
 * The liveness after one more check. A packet that ended a connection requires no reply, because RST gets
 * none.
 */
const nextLiveness = (
  before: LivenessState | undefined,
  server: RealServerObservation,
  now: number,
): LivenessState | undefined => {
  const current = initialLiveness(server, now);
  if (current === undefined || before === undefined) return current;
  // Fewer packets than before: another program reset the counters.
  if (current.outPackets !== before.outPackets || current.inPackets < before.inPackets) return current;
  if (now - before.checkedAt < minimumCheckIntervalMilliseconds) return before;
  const ended = Math.max(0, before.activeConnections - current.activeConnections);
  const newPackets = current.inPackets - before.inPackets;
  const carryPayload =
    current.inBytes - before.inBytes > newPackets * emptyPacketBytes[familyOf(server.address)];
  const counts =
    Number(newPackets) > ended &&
    (carryPayload || now - before.countedAt >= minimumProbeIntervalMilliseconds);
  return {
    ...current,
    unansweredChecks: before.unansweredChecks + (counts ? 1 : 0),
    countedAt: counts ? now : before.countedAt,
    isUnresponsive: isSuspect(before),
  };
};

type DrainState = 'not-draining' | 'idle' | PurgedServer['reason'] | 'draining';

const drainStateOf = (
  desiredServer: DesiredVirtualServer,
  server: RealServerObservation,
  { until, liveness }: DrainingServer,
  { now, endpointOf, isNodeDeleted }: DrainInput,
): DrainState => {
  if (server.weight !== 0) return 'not-draining';
  if (server.activeConnections + server.inactiveConnections === 0) return 'idle';
  const nodeName = endpointOf(desiredServer.server.key, server.key)?.nodeName;
  if (nodeName !== undefined && isNodeDeleted(nodeName)) return 'node-gone';
  if (now >= until) return 'deadline';
  return liveness?.isUnresponsive === true ? 'dead' : 'draining';
};

/**
 * The node of a draining real server. The pod's deletion makes an endpoint terminate first; an endpoint that
 * disappears otherwise may have lost its node.
 */
const nodeOf = (
  of: VirtualServerKey,
  realServer: RealServerKey,
  { endpointOf, isOrphan }: DrainInput,
): DrainingServer['node'] => {
  const endpoint = endpointOf(of, realServer);
  if (endpoint?.nodeName === undefined) return undefined;
  return { name: endpoint.nodeName, isSuspect: departureOf(endpoint) !== 'terminating' && !isOrphan(of) };
};

/** The state of a real server that may be draining, after this check. */
const drainingServer = (
  of: VirtualServerIdentity,
  desiredServer: DesiredVirtualServer,
  server: RealServerObservation,
  input: DrainInput,
): DrainingServer => {
  const { drainingOf, recordOf, now, settings } = input;
  const { key } = desiredServer.server;
  const before = drainingOf(key).get(server.key);
  const since = before?.since ?? recordedSince(recordOf(drainRecordKey(of, server)), now) ?? now;
  return {
    since,
    node: nodeOf(key, server.key, input),
    until: since + drainDeadline(desiredServer, settings),
    record: before?.record ?? drainRecord(of, server, since, desiredServer.drainMilliseconds),
    // In other protocols a packet without a reply proves nothing.
    liveness: protocolOfServer(of) === 'TCP' ? nextLiveness(before?.liveness, server, now) : undefined,
  };
};

/**
 * Drops the real servers that are desired again or whose virtual server is undesired. A later drain starts
 * with its full time.
 */
const stillUndesired = (key: VirtualServerKey, { drainingOf, desired }: DrainInput): DrainingServers => {
  const desiredServer = desired.virtualServer(key);
  const undesired = [...drainingOf(key)].filter(
    ([realServer]) => desiredServer?.realServers.has(realServer) === false,
  );
  return new Map(undesired);
};

interface Changes {
  readonly operations: IpvsOperation[];
  readonly purged: PurgedServer[];
}

/** Returns the real servers of one virtual server that continue to drain. */
const checkVirtualServer = (
  key: VirtualServerKey,
  servers: readonly RealServerObservation[],
  input: DrainInput,
  { operations, purged }: Changes,
): DrainingServers => {
  const desiredServer = input.desired.virtualServer(key);
  const drainingServers = new Map<RealServerKey, DrainingServer>();
  // An undesired virtual server is deleted as a whole, or kube-ipvs does not own it.
  if (desiredServer === undefined || !isDrainable(desiredServer, input.settings)) return drainingServers;
  const of = desiredServer.server.identity;
  for (const server of servers) {
    if (desiredServer.realServers.has(server.key)) continue;
    const after = drainingServer(of, desiredServer, server, input);
    const drainState = drainStateOf(desiredServer, server, after, input);
    if (drainState === 'not-draining') continue;
    if (drainState === 'draining') {
      drainingServers.set(server.key, after);
      continue;
    }
    operations.push({ kind: 'delete-real-server', of, server });
    if (drainState !== 'idle') purged.push({ of, realServer: server.key, reason: drainState });
  }
  return drainingServers;
};

/**
 * Checks draining real servers. Deletes those that are idle, past their deadline, dead (clients send and get
 * no reply) or on a deleted node, but never one that is desired again or has a weight. The cost depends only
 * on the checked virtual servers.
 */
export const drainStep = (input: DrainInput): DrainStep => {
  const changes: Changes = { operations: [], purged: [] };
  const stillDraining = new Map<VirtualServerKey, DrainingServers>();
  for (const key of input.unreadable) stillDraining.set(key, stillUndesired(key, input));
  for (const [key, servers] of input.observations)
    stillDraining.set(key, checkVirtualServer(key, servers, input, changes));
  return { delete: changes.operations, purged: changes.purged, stillDraining };
};
