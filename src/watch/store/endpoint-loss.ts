import type { Endpoint, EndpointSlice } from '../../model/endpoint.js';

/** 2: it takes new connections; 1: it does where no other endpoint is ready; 0: it takes none. */
const rankOf = ({ ready, serving }: Pick<Endpoint, 'ready' | 'serving'>): number => {
  if (ready) return 2;
  return serving ? 1 : 0;
};

/**
 * Whether an endpoint that may take new connections takes fewer from now on: it is not there any more, not ready or terminating.
 * Until the kernel knows, new connections to it fail.
 */
export const losesEndpoint = (before: EndpointSlice | undefined, now: EndpointSlice | undefined): boolean => {
  if (before === undefined) return false;
  const ranks = new Map<string, number>();
  for (const endpoint of now?.endpoints ?? [])
    ranks.set(endpoint.address, Math.max(ranks.get(endpoint.address) ?? 0, rankOf(endpoint)));
  // Where an endpoint is ready, those that only serve take nothing.
  const least = before.endpoints.some(({ ready }) => ready) ? 2 : 1;
  return before.endpoints.some((endpoint) => {
    const rank = rankOf(endpoint);
    return rank >= least && (ranks.get(endpoint.address) ?? 0) < rank;
  });
};
