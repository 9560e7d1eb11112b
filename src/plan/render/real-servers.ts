import { KeyedValues } from '../../base/collections/keyed-values.js';
import { fnv1a } from '../../base/fnv.js';
import type { NodeFacts } from '../../model/node.js';
import type { PaceSettings } from '../../model/pace.js';
import type { DesiredRealServer, RealServerKey, VirtualServerFlag } from '../../model/virtual-server.js';
import { fallbackFlag } from '../fallback-flag.js';
import { fullWeight } from '../pace/effective-weight.js';
import type { PortEndpoint, PortEndpoints } from '../endpoints/endpoints.js';
import type { Thresholds } from './effective-settings.js';
import { weightedScheduler } from './weighted-scheduler.js';

/** The real servers of virtual servers, and how the kernel chooses one of them. */
export interface RealServers {
  /** In the order in which a new virtual server gets them. */
  readonly byKey: ReadonlyMap<RealServerKey, DesiredRealServer>;
  readonly scheduler: string;
  /** The flags that the scheduler needs for these weights, besides its own. */
  readonly neededFlags: readonly VirtualServerFlag[];
  /** Whether one of them gets new connections. */
  readonly isOpen: boolean;
}

/** How the real servers of a Service are made. */
export interface RealServerSettings {
  readonly scheduler: string;
  /** How weights change over time; undefined: they do not. */
  readonly pace: PaceSettings | undefined;
  readonly thresholds: Thresholds;
  /** The weight of an endpoint; undefined: all weigh the same. */
  readonly weightOf: ((endpoint: PortEndpoint) => number) | undefined;
  /** A number from the name of this node (`startOf`). */
  readonly start: number;
}

/** The schedulers that take, of equal real servers, the first in the kernel's list; others may depend on its order in more ways. */
const listSchedulers: ReadonlySet<string> = new Set(['rr', 'wrr', 'lc', 'wlc', 'sed', 'nq']);

const noFlags: readonly VirtualServerFlag[] = [];

/** No client is rejected because its real server has weight 0. */
const neededFlags = (
  scheduler: string,
  weights: readonly number[],
  pace: PaceSettings | undefined,
): readonly VirtualServerFlag[] => {
  if ((pace?.quarantineMilliseconds ?? 0) === 0 && !weights.includes(0)) return noFlags;
  const fallback = fallbackFlag(scheduler);
  return fallback === undefined ? noFlags : [fallback];
};

/** Differs between nodes. */
export const startOf = ({ name }: Pick<NodeFacts, 'name'>): number => fnv1a(Buffer.from(name));

/**
 * Rotated so that the last one depends on the node. The kernel puts each new real server before the others
 * (__ip_vs_update_dest in net/netfilter/ipvs/ip_vs_ctl.c), so the last one gets the first connection of a new virtual server.
 * Otherwise nodes that start together all begin with the same endpoint (kubernetes/kubernetes#114305).
 */
const inOrderOfNode = (endpoints: PortEndpoints, scheduler: string, start: number): PortEndpoints => {
  const first = start % endpoints.length;
  if (!listSchedulers.has(scheduler) || !(first > 0)) return endpoints;
  return [...endpoints.slice(first), ...endpoints.slice(0, first)];
};

const toRealServer = (
  { key, endpoint, port }: PortEndpoint,
  weight: number,
  { pace, thresholds: { upperThreshold, lowerThreshold } }: RealServerSettings,
): DesiredRealServer => ({
  key,
  address: endpoint.address,
  port,
  weight: fullWeight(weight, pace),
  forwarding: 'masquerade',
  upperThreshold,
  lowerThreshold,
  endpoint,
});

const greatestCommonDivisor = (a: number, b: number): number =>
  b === 0 ? a : greatestCommonDivisor(b, a % b);

/** sh gives a real server as many of its 256 slots in a row as its weight: large ones would leave none for the last. */
const smallest = (weights: readonly number[]): readonly number[] => {
  const divisor = weights.reduce(greatestCommonDivisor, 0);
  return divisor > 1 ? weights.map((weight) => weight / divisor) : weights;
};

const equallyWeighted = (endpoints: PortEndpoints, settings: RealServerSettings): RealServers => {
  const { scheduler, start, pace } = settings;
  const byKey = new KeyedValues<RealServerKey, DesiredRealServer>(
    inOrderOfNode(endpoints, scheduler, start).map((endpoint) => toRealServer(endpoint, 1, settings)),
  );
  return { byKey, scheduler, neededFlags: neededFlags(scheduler, [], pace), isOpen: byKey.size > 0 };
};

/** `dh` rejects the clients of a real server of weight 0, and ignores all other weights. */
const usedBy = (scheduler: string, weight: number): boolean => weight > 0 || scheduler !== 'dh';

/** The real servers of these endpoints. */
export const toRealServers = (endpoints: PortEndpoints, settings: RealServerSettings): RealServers => {
  const { weightOf, scheduler, start, pace } = settings;
  if (weightOf === undefined) return equallyWeighted(endpoints, settings);
  const used = inOrderOfNode(endpoints, scheduler, start)
    .map((endpoint) => ({ endpoint, weight: weightOf(endpoint) }))
    .filter(({ weight }) => usedBy(scheduler, weight));
  const given = used.map(({ weight }) => weight);
  const weights = scheduler === 'sh' ? smallest(given) : given;
  const open = new Set(weights.filter((weight) => weight > 0));
  const effective = open.size > 1 ? (weightedScheduler(scheduler) ?? scheduler) : scheduler;
  return {
    byKey: new KeyedValues(
      used.map(({ endpoint }, index) => toRealServer(endpoint, weights[index] ?? 1, settings)),
    ),
    scheduler: effective,
    neededFlags: neededFlags(scheduler, weights, pace),
    isOpen: open.size > 0,
  };
};
