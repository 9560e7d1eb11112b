import { familyOf, type Family } from '../../base/ip.js';
import type { Endpoint } from '../../model/endpoint.js';
import { departureOf } from '../endpoints/former-endpoints.js';
import type { Protocol } from '../../base/protocol.js';
import type { ElementKey, SetElement } from '../../nftables/declarations.js';
import type { IpvsOperation } from '../../model/operation.js';
import { drainRecord, drainRecordKey, recordedSince } from './drain-records.js';
import type {
  RealServerKey,
  RealServerObservation,
  VirtualServer,
  VirtualServerIdentity,
  VirtualServerKey,
  VirtualServerEntry,
  DesiredVirtualServer,
} from '../../model/virtual-server.js';

type ByAddress = VirtualServerIdentity & { readonly by: 'address' };

export interface DrainSettings {
  /** Milliseconds from the start of draining; then a real server is deleted whatever connections it has. 0: at once. */
  readonly deadlines: Readonly<Record<Protocol, number>>;
}

/**
 * TCP drains as with kube-proxy, but with an end. With UDP nobody says when a client is done: it is given time for what it has
 * asked, and then another real server.
 */
export const defaultDrainSettings: DrainSettings = {
  deadlines: { TCP: 15 * 60_000, UDP: 5_000, SCTP: 60_000 },
};

/** How long to wait at least between two looks at draining real servers. */
export const drainCheckIntervalMilliseconds = 3_000;

/** What looks have seen of a draining real server: whether it answers. */
export interface LivenessState {
  /** Of the last look that counted, in milliseconds. */
  readonly checkedAt: number;
  readonly inPackets: bigint;
  readonly inBytes: bigint;
  readonly outPackets: bigint;
  readonly activeConnections: number;
  /** At how many looks packets had come for it that ask for an answer, since it last answered. */
  readonly unansweredChecks: number;
  /** When the last of these was, or it last answered. */
  readonly countedAt: number;
  /** Whether the look after the last of these saw no answer either. */
  readonly isUnresponsive: boolean;
}

export interface DrainingServer {
  /** When draining began, in milliseconds. */
  readonly since: number;
  /** When it is deleted whatever connections it has. */
  readonly until: number;
  /** The element that keeps `since` when this process ends. */
  readonly record: SetElement;
  /** The node that it was on, and whether that node may be deleted; undefined if it is not known. */
  readonly node: { readonly name: string; readonly isSuspect: boolean } | undefined;
  /** Undefined where nothing tells whether it answers. */
  readonly liveness: LivenessState | undefined;
}

/** The draining real servers of one virtual server. */
export type DrainingServers = ReadonlyMap<RealServerKey, DrainingServer>;

/** Draining real servers by virtual server. */
export type Draining = ReadonlyMap<VirtualServerKey, DrainingServers>;

/**
 * How long real servers of the virtual server may drain; 0: they are deleted at once. So it is with `dh`: it gives all clients
 * of an address to one real server, and refuses them all while that one has weight 0. Without a real server it refuses all anyhow.
 */
export const drainDeadline = (desired: DesiredVirtualServer, { deadlines }: DrainSettings): number => {
  const { identity, scheduler } = desired.server;
  if (identity.by !== 'address' || (scheduler === 'dh' && desired.realServers.size > 0)) return 0;
  return desired.drainMilliseconds ?? deadlines[identity.protocol];
};

export const isDrainable = (desired: DesiredVirtualServer, settings: DrainSettings): boolean =>
  drainDeadline(desired, settings) > 0;

/**
 * The virtual server as the kernel should have it while one of its real servers drains: `sh` refuses the clients that it gave
 * to a real server of weight 0 unless it may fall back to another (ip_vs_sh_get in net/netfilter/ipvs/ip_vs_sh.c).
 */
export const settingsWhileDraining = ({ server, realServers }: DesiredVirtualServer): VirtualServer =>
  server.scheduler !== 'sh' || server.flags.includes('sh-fallback') || realServers.size === 0
    ? server
    : { ...server, flags: [...server.flags, 'sh-fallback' as const].toSorted() };

interface DesiredVirtualServers {
  virtualServer(key: VirtualServerKey): DesiredVirtualServer | undefined;
}

interface ObservedVirtualServers {
  virtualServer(key: VirtualServerKey): VirtualServerEntry | undefined;
}

/**
 * Those of the virtual servers that hold a draining real server: one that is not wanted and has weight 0. Read the real
 * servers of just these and give them to `drainStep`. It also finds what an earlier process left draining.
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
    for (const [realServer, server] of observedServer.realServers)
      if (server.weight === 0 && !desiredServer.realServers.has(realServer)) {
        found.push(observedServer);
        break;
      }
  }
  return found;
};

export interface DrainInput {
  /** The real servers of the virtual server that drained until now. */
  readonly drainingOf: (key: VirtualServerKey) => DrainingServers;
  /** The virtual servers that were to be checked and could not be read. */
  readonly unreadable: Iterable<VirtualServerKey>;
  /** The real servers of those virtual servers that were read just now; [] for one that is gone. */
  readonly observations: ReadonlyMap<VirtualServerKey, readonly RealServerObservation[]>;
  readonly desired: DesiredVirtualServers;
  /** Milliseconds of a clock that never goes back. */
  readonly now: number;
  readonly settings: DrainSettings;
  /** The element of that key in the kernel. */
  readonly recordOf: (key: ElementKey) => SetElement | undefined;
  /** What a real server was made of, where that is known. */
  readonly endpointOf: (of: VirtualServerKey, realServer: RealServerKey) => Endpoint | undefined;
  /** Whether no Service asks for the virtual server any more. */
  readonly isOrphan: (key: VirtualServerKey) => boolean;
  /** Whether the node is known to be deleted, and all connections to it with it. */
  readonly isNodeDeleted: (nodeName: string) => boolean;
}

export interface DrainStep {
  readonly delete: readonly IpvsOperation[];
  /** Those of `delete` that still had connections: whoever uses them is to be told that they have ended. */
  readonly purged: readonly PurgedServer[];
  /** By checked virtual server, what goes on draining: check it again after `drainCheckIntervalMilliseconds`. */
  readonly stillDraining: Draining;
}

export interface PurgedServer {
  readonly of: VirtualServerIdentity;
  readonly realServer: RealServerKey;
  readonly reason: 'node-gone' | 'dead' | 'deadline';
}

/** The kernel sums its counters up every two seconds: between two looks that are closer they may not have moved at all. */
const minimumCheckIntervalMilliseconds = 2_500;

/**
 * At so many looks in a row without an answer packets must have come: a client sends what is not acknowledged again and again.
 * One proves nothing, as the acknowledgements of an answer may come in after the kernel summed up that answer; and the last one
 * is followed by one more, as the answer to a packet that just came may be summed up with the next.
 */
const suspectCheckCount = 2;

/** IP and TCP headers with timestamps, as of a packet that carries nothing. */
const emptyPacketBytes: Readonly<Record<Family, bigint>> = { IPv4: 52n, IPv6: 72n };

/**
 * A packet that carries nothing may be a keepalive probe, which asks for an answer, or one of the ever rarer words of a slow reader
 * that it has room again, which does not.
 */
const minimumProbeIntervalMilliseconds = 60_000;

const isSuspect = ({ unansweredChecks }: LivenessState): boolean => unansweredChecks >= suspectCheckCount;

const initialLiveness = (server: RealServerObservation, now: number): LivenessState | undefined => {
  // Answers pass the node only where it translates addresses.
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

/** What is known after one more look. A packet that ended a connection needs no answer (RST gets none). */
const nextLiveness = (
  before: LivenessState | undefined,
  server: RealServerObservation,
  now: number,
): LivenessState | undefined => {
  const current = initialLiveness(server, now);
  if (current === undefined || before === undefined) return current;
  // Fewer packets than before: somebody set the counters to zero.
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

/** The node of a draining real server. A pod that is deleted terminates; an endpoint that leaves otherwise may have lost its node. */
const nodeOf = (
  of: VirtualServerKey,
  realServer: RealServerKey,
  { endpointOf, isOrphan }: DrainInput,
): DrainingServer['node'] => {
  const endpoint = endpointOf(of, realServer);
  if (endpoint?.nodeName === undefined) return undefined;
  return { name: endpoint.nodeName, isSuspect: departureOf(endpoint) !== 'terminating' && !isOrphan(of) };
};

/** What is known of a real server that may drain, with this check. */
const drainingServer = (
  of: ByAddress,
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
    // Of other protocols a packet without an answer says nothing.
    liveness: of.protocol === 'TCP' ? nextLiveness(before?.liveness, server, now) : undefined,
  };
};

/** Forgets what is desired again or has no virtual server any more: should it drain once more, it has its whole time. */
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

/** What goes on draining of a virtual server that was read. */
const checkVirtualServer = (
  key: VirtualServerKey,
  servers: readonly RealServerObservation[],
  input: DrainInput,
  { operations, purged }: Changes,
): DrainingServers => {
  const desiredServer = input.desired.virtualServer(key);
  const drainingServers = new Map<RealServerKey, DrainingServer>();
  // If nothing desires the virtual server, it goes as a whole, or it is not ours.
  if (desiredServer?.server.identity.by !== 'address' || !isDrainable(desiredServer, input.settings))
    return drainingServers;
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
 * Checks draining real servers: those without connections, past their deadline, dead (clients send, nothing comes back), or on
 * a deleted node are deleted; the others go on draining. A real server that is desired again or has a weight is never deleted.
 * Costs what the checked virtual servers hold, whatever else drains.
 */
export const drainStep = (input: DrainInput): DrainStep => {
  const changes: Changes = { operations: [], purged: [] };
  const stillDraining = new Map<VirtualServerKey, DrainingServers>();
  for (const key of input.unreadable) stillDraining.set(key, stillUndesired(key, input));
  for (const [key, servers] of input.observations)
    stillDraining.set(key, checkVirtualServer(key, servers, input, changes));
  return { delete: changes.operations, purged: changes.purged, stillDraining };
};
