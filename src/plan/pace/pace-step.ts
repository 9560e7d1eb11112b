import type { Pace, Paces, PaceSettings } from '../../model/pace.js';
import type {
  DesiredVirtualServer,
  RealServer,
  RealServerKey,
  VirtualServerEntry,
} from '../../model/virtual-server.js';
import { climbSteps } from './effective-weight.js';

export interface PaceInput {
  /** With full weights. */
  readonly desired: DesiredVirtualServer & { readonly pace: PaceSettings };
  readonly observed: VirtualServerEntry | undefined;
  /** Undefined if this process has not paced the virtual server yet. */
  readonly before: Paces | undefined;
  /** Whether the endpoint of the real server was not used before and it still drains. */
  readonly isDraining: (server: RealServer) => boolean;
  /** Since when an earlier process quarantined the real server; undefined if it did not. */
  readonly quarantinedSince: (server: RealServer) => number | undefined;
  /** Whether the API reports the endpoint of the real server ready. */
  readonly isReady: (key: RealServerKey) => boolean;
  /** Milliseconds of a monotonic clock; whole ones, so that a step is not computed before it is due. */
  readonly now: number;
}

const climbing = (since: number, now: number, duration: number): Pace | undefined => {
  if (now - since >= duration) return undefined;
  const tenths = Math.max(1, Math.floor(((now - since) * climbSteps) / duration));
  return { kind: 'climbing', since, until: since + duration, tenths };
};

/** The next state of a real server that does not have its full weight; undefined: it has it from now on. */
const stepped = (pace: Pace, key: RealServerKey, { desired, isReady, now }: PaceInput): Pace | undefined => {
  const { slowStartMilliseconds, quarantineMilliseconds } = desired.pace;
  if (pace.kind === 'climbing') return climbing(pace.since, now, slowStartMilliseconds);
  const until = pace.since + quarantineMilliseconds;
  return now < until && isReady(key) ? { ...pace, until } : climbing(now, now, slowStartMilliseconds);
};

/** The real servers that get connections when they have their full weight. */
export const openRealServers = ({ realServers }: DesiredVirtualServer): readonly RealServer[] =>
  [...realServers.values()].filter(({ weight }) => weight > 0);

interface Presence {
  readonly isPresent: (server: RealServer) => boolean;
  /** Whether the kernel has any of the desired real servers. */
  readonly hasAny: boolean;
  /** Whether one of them has its full weight. */
  readonly hasFull: boolean;
}

const presenceOf = ({ desired, observed, isDraining }: PaceInput): Presence => {
  const isPresent = (server: RealServer): boolean =>
    observed?.realServers.has(server.key) === true && !isDraining(server);
  const present = openRealServers(desired).filter(isPresent);
  return {
    isPresent,
    hasAny: present.length > 0,
    hasFull: present.some(({ key, weight }) => observed?.realServers.get(key)?.weight === weight),
  };
};

/** What an earlier process left, according to the weight in the kernel. */
const resumed = (server: RealServer, input: PaceInput, { hasFull }: Presence): Pace | undefined => {
  const { desired, observed, quarantinedSince, now } = input;
  const { slowStartMilliseconds: duration, quarantineMilliseconds } = desired.pace;
  const weight = observed?.realServers.get(server.key)?.weight ?? server.weight;
  const since = weight === 0 && quarantineMilliseconds > 0 ? quarantinedSince(server) : undefined;
  if (since !== undefined) return stepped({ kind: 'quarantined', since, until: since }, server.key, input);
  // Without one of full weight, the weights are those of other settings.
  if (weight === 0 || weight >= server.weight || !hasFull) return undefined;
  const tenths = Math.max(1, Math.round((weight * climbSteps) / server.weight));
  return climbing(Math.round(now - (tenths * duration) / climbSteps), now, duration);
};

const paceOf = (server: RealServer, input: PaceInput, presence: Presence): Pace | undefined => {
  const { desired, before, now } = input;
  const pace = before?.get(server.key);
  if (pace !== undefined) return stepped(pace, server.key, input);
  if (presence.isPresent(server)) return before === undefined ? resumed(server, input, presence) : undefined;
  return presence.hasAny ? climbing(now, now, desired.pace.slowStartMilliseconds) : undefined;
};

/** The number of real servers that may be quarantined: at most half, and never the last one. */
export const maximumQuarantined = (realServers: number): number => Math.floor(realServers / 2);

/** Ends the quarantines that began first if there are too many. */
const withinMaximum = (paces: Map<RealServerKey, Pace>, realServers: number): Paces => {
  const quarantined = [...paces].filter(([, { kind }]) => kind === 'quarantined');
  const excess = quarantined.length - maximumQuarantined(realServers);
  if (excess <= 0) return paces;
  const bySince = quarantined.toSorted(([, a], [, b]) => a.since - b.since);
  for (const [key] of bySince.slice(0, excess)) paces.delete(key);
  return paces;
};

/**
 * The real servers of a virtual server that do not have their full weight now. A real server is new, and
 * climbs, if the kernel has others of the virtual server but not this one. What another process began
 * continues.
 */
export const paceStep = (input: PaceInput): Paces => {
  const paces = new Map<RealServerKey, Pace>();
  const presence = presenceOf(input);
  const open = openRealServers(input.desired);
  for (const server of open) {
    const pace = paceOf(server, input, presence);
    if (pace !== undefined) paces.set(server.key, pace);
  }
  return withinMaximum(paces, open.length);
};

/** When the real server's weight changes next. */
export const nextChange = (pace: Pace): number =>
  pace.kind === 'quarantined'
    ? pace.until
    : pace.since + ((pace.until - pace.since) * (pace.tenths + 1)) / climbSteps;

/** The share of the full weight. */
export const percentOf = (pace: Pace): number =>
  pace.kind === 'quarantined' ? 0 : (pace.tenths * 100) / climbSteps;

/** `climbing 40%`, `quarantined`. */
export const paceWords = ({
  kind,
  percent,
}: {
  readonly kind: Pace['kind'];
  readonly percent: number;
}): string => (kind === 'quarantined' ? kind : `${kind} ${percent}%`);
