import type { Endpoint, EndpointSlice } from '../../model/endpoint.js';

/** 2: it gets new connections; 1: only where no endpoint is ready; 0: none. */
const rankOf = ({ ready, serving }: Pick<Endpoint, 'ready' | 'serving'>): number => {
  if (ready) return 2;
  return serving ? 1 : 0;
};

/**
 * Whether an endpoint that may get new connections gets fewer from now on: it was removed, is not ready or terminating. New
 * connections to it fail until the kernel is updated.
 */
export const losesEndpoint = (before: EndpointSlice | undefined, now: EndpointSlice | undefined): boolean => {
  if (before === undefined) return false;
  const ranks = new Map<string, number>();
  for (const endpoint of now?.endpoints ?? [])
    ranks.set(endpoint.address, Math.max(ranks.get(endpoint.address) ?? 0, rankOf(endpoint)));
  // Where an endpoint is ready, those that only serve get no connections.
  const least = before.endpoints.some(({ ready }) => ready) ? 2 : 1;
  return before.endpoints.some((endpoint) => {
    const rank = rankOf(endpoint);
    return rank >= least && (ranks.get(endpoint.address) ?? 0) < rank;
  });
};
