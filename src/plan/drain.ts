import type { Protocol } from '../model/service.js';
import type { IpvsOperation } from '../model/operation.js';
import type {
  RealServerKey,
  RealServerObservation,
  VirtualServer,
  VirtualServerKey,
  VirtualServerTable,
} from '../model/virtual-server.js';

export interface DrainSettings {
  /** Protocols whose real servers drain before they are deleted; those of the others are deleted at once. */
  readonly protocols: ReadonlySet<Protocol>;
  /** From the start of draining; then a real server is deleted whatever connections it has. */
  readonly deadlineMilliseconds: number;
}

/** As kube-proxy: TCP drains, UDP and SCTP do not; but with an end, of 15 minutes. */
export const defaultDrainSettings: DrainSettings = {
  protocols: new Set<Protocol>(['TCP']),
  deadlineMilliseconds: 15 * 60_000,
};

/** How long to wait between two looks at draining real servers. */
export const drainPeriodMilliseconds = 60_000;

/** Since when (milliseconds) real servers have been draining, by virtual server. What is not here may drain nevertheless. */
export type Draining = ReadonlyMap<VirtualServerKey, ReadonlyMap<RealServerKey, number>>;

/**
 * Whether the real servers of the virtual server drain. Those of `dh` do not: it gives all clients of an address to one real
 * server, and refuses them all while that one has weight 0.
 */
export const drains = ({ identity, scheduler }: VirtualServer, settings: DrainSettings): boolean =>
  identity.by === 'address' && settings.protocols.has(identity.protocol) && scheduler !== 'dh';

/**
 * The virtual server as the kernel should have it while one of its real servers drains: `sh` refuses the clients that it gave
 * to a real server of weight 0 unless it may fall back to another (ip_vs_sh_get in net/netfilter/ipvs/ip_vs_sh.c).
 */
export const whileDraining = (server: VirtualServer): VirtualServer =>
  server.scheduler !== 'sh' || server.flags.includes('sh-fallback')
    ? server
    : { ...server, flags: [...server.flags, 'sh-fallback' as const].toSorted() };

interface WantedTables {
  virtualServer(key: VirtualServerKey): VirtualServerTable | undefined;
}

/**
 * Those of the virtual servers that hold a draining real server: one that is not wanted and has weight 0. Read the real
 * servers of just these and give them to `drainStep`. It also finds what an earlier process left draining.
 */
export const drainingAmong = (
  keys: Iterable<VirtualServerKey>,
  wanted: WantedTables,
  observed: WantedTables,
  settings: DrainSettings,
): readonly VirtualServerTable[] => {
  const found: VirtualServerTable[] = [];
  for (const key of keys) {
    const want = wanted.virtualServer(key);
    const have = observed.virtualServer(key);
    if (want === undefined || have === undefined || !drains(have.server, settings)) continue;
    for (const [realServer, server] of have.realServers)
      if (server.weight === 0 && !want.realServers.has(realServer)) {
        found.push(have);
        break;
      }
  }
  return found;
};

export interface DrainInput {
  readonly draining: Draining;
  /** The real servers of those virtual servers that were read just now; [] where the virtual server is gone. */
  readonly observations: ReadonlyMap<VirtualServerKey, readonly RealServerObservation[]>;
  readonly wanted: WantedTables;
  /** Milliseconds of a clock that never goes back. */
  readonly now: number;
  readonly settings: DrainSettings;
}

export interface DrainStep {
  readonly delete: readonly IpvsOperation[];
  /** What goes on draining: look again after `drainPeriodMilliseconds`. */
  readonly keep: Draining;
}

type Verdict = 'not-draining' | 'done' | 'draining';

const judge = (server: RealServerObservation, since: number, input: DrainInput): Verdict => {
  if (server.weight !== 0) return 'not-draining';
  const idle = server.activeConnections + server.inactiveConnections === 0;
  const late = input.now - since >= input.settings.deadlineMilliseconds;
  return idle || late ? 'done' : 'draining';
};

/** Forgets what is wanted again or has no virtual server any more: should it drain once more, it has its whole time. */
const stillUnwanted = (
  draining: Draining,
  wanted: WantedTables,
): Map<VirtualServerKey, ReadonlyMap<RealServerKey, number>> => {
  const still = new Map<VirtualServerKey, ReadonlyMap<RealServerKey, number>>();
  for (const [key, servers] of draining) {
    const want = wanted.virtualServer(key);
    const unwanted = [...servers].filter(([realServer]) => want?.realServers.has(realServer) === false);
    if (unwanted.length > 0) still.set(key, new Map(unwanted));
  }
  return still;
};

/**
 * One look at the draining real servers: those without connections or past the deadline are deleted, the others kept. A real
 * server that is wanted again or has a weight is never deleted; virtual servers that were not read stay as they were. Do it
 * after every change (with what `drainingAmong` finds in the keys it touched) and every `drainPeriodMilliseconds` (with what
 * it finds in the keys of `draining`).
 */
export const drainStep = (input: DrainInput): DrainStep => {
  const operations: IpvsOperation[] = [];
  const keep = stillUnwanted(input.draining, input.wanted);
  for (const [key, servers] of input.observations) {
    keep.delete(key);
    const want = input.wanted.virtualServer(key);
    // Nobody wants the virtual server: it goes as a whole, or it is not ours.
    if (want === undefined || !drains(want.server, input.settings)) continue;
    const kept = new Map<RealServerKey, number>();
    for (const server of servers) {
      if (want.realServers.has(server.key)) continue;
      const since = input.draining.get(key)?.get(server.key) ?? input.now;
      const verdict = judge(server, since, input);
      if (verdict === 'done')
        operations.push({ kind: 'delete-real-server', of: want.server.identity, server });
      if (verdict === 'draining') kept.set(server.key, since);
    }
    if (kept.size > 0) keep.set(key, kept);
  }
  return { delete: operations, keep };
};
