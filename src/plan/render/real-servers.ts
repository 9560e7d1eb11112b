import { fnv1a } from '../../base/fnv.js';
import type { NodeFacts } from '../../model/node.js';
import type { DesiredRealServer, RealServerKey, VirtualServerFlag } from '../../model/virtual-server.js';
import type { PortEndpoint, PortEndpoints } from '../endpoints/endpoints.js';
import type { Thresholds } from './effective-settings.js';

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
  readonly thresholds: Thresholds;
  /** The weight of an endpoint; undefined: all weigh the same. */
  readonly weightOf: ((endpoint: PortEndpoint) => number) | undefined;
  /** A number from the name of this node (`startOf`). */
  readonly start: number;
}

/** The schedulers that take, of equal real servers, the first in the kernel's list; others may depend on its order in more ways. */
const listSchedulers: ReadonlySet<string> = new Set(['rr', 'wrr', 'lc', 'wlc', 'sed', 'nq']);

/** The weighted form of the schedulers that ignore weights other than 0. */
const weightedSchedulers: Readonly<Record<string, string>> = { rr: 'wrr', lc: 'wlc' };

const fallbackFlags: readonly VirtualServerFlag[] = ['sh-fallback'];
const noFlags: readonly VirtualServerFlag[] = [];

/** Without sh-fallback, sh rejects the clients of a real server of weight 0 (see `settingsWhileDraining`). */
const neededFlags = (scheduler: string, weights: readonly number[]): readonly VirtualServerFlag[] =>
  scheduler === 'sh' && weights.includes(0) ? fallbackFlags : noFlags;

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
  { upperThreshold, lowerThreshold }: Thresholds,
): DesiredRealServer => ({
  key,
  address: endpoint.address,
  port,
  weight,
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

const equallyWeighted = (
  endpoints: PortEndpoints,
  { scheduler, start, thresholds }: RealServerSettings,
): RealServers => {
  const byKey = new Map<RealServerKey, DesiredRealServer>();
  for (const endpoint of inOrderOfNode(endpoints, scheduler, start))
    byKey.set(endpoint.key, toRealServer(endpoint, 1, thresholds));
  return { byKey, scheduler, neededFlags: noFlags, isOpen: byKey.size > 0 };
};

/** `dh` rejects the clients of a real server of weight 0, and ignores all other weights. */
const usedBy = (scheduler: string, weight: number): boolean => weight > 0 || scheduler !== 'dh';

/** The real servers of these endpoints. */
export const toRealServers = (endpoints: PortEndpoints, settings: RealServerSettings): RealServers => {
  const { weightOf, scheduler, start, thresholds } = settings;
  if (weightOf === undefined) return equallyWeighted(endpoints, settings);
  const used = inOrderOfNode(endpoints, scheduler, start)
    .map((endpoint) => ({ endpoint, weight: weightOf(endpoint) }))
    .filter(({ weight }) => usedBy(scheduler, weight));
  const given = used.map(({ weight }) => weight);
  const weights = scheduler === 'sh' ? smallest(given) : given;
  const open = new Set(weights.filter((weight) => weight > 0));
  const effective = open.size > 1 ? (weightedSchedulers[scheduler] ?? scheduler) : scheduler;
  return {
    byKey: new Map(
      used.map(({ endpoint }, index) => [
        endpoint.key,
        toRealServer(endpoint, weights[index] ?? 1, thresholds),
      ]),
    ),
    scheduler: effective,
    neededFlags: neededFlags(scheduler, weights),
    isOpen: open.size > 0,
  };
};
