import type { Node } from '../../model/node.js';
import { jsonResponse, notFound, pathOf, type HttpResponse, type Handler } from './http-response.js';
import type { HealthState } from './sync-health.js';

/** Counts responses by status, for `/healthz` and `/livez`. */
export interface HealthCounters {
  healthzServed(status: number): void;
  livezServed(status: number): void;
}

/** The zero value of a time in Go. */
const never = '0001-01-01T00:00:00Z';

const timeText = (date: number | undefined): string =>
  date === undefined ? never : new Date(date).toISOString();

/** kube-proxy-ipvs §7.1; `eligible` is undefined for `/livez`, which reports the proxy alone. */
export const healthResponse = (
  health: HealthState,
  eligible: boolean | undefined,
  now: number,
): HttpResponse => {
  const isHealthy = health.healthy && eligible !== false;
  const states = Object.entries(health.families);
  const dates = states.map(([, { lastUpdated }]) => lastUpdated);
  // As in kube-proxy: a proxy without pending work is up to date now.
  const lastUpdated = isHealthy
    ? now
    : dates.reduce<number | undefined>((a, b) => Math.max(a ?? b, b), undefined);
  const status = states.map(([family, state]) => [
    family,
    { lastUpdated: timeText(state.lastUpdated), healthy: state.healthy },
  ]);
  const body = {
    lastUpdated: timeText(lastUpdated),
    currentTime: timeText(now),
    ...(eligible !== undefined && { nodeEligible: eligible }),
    healthy: health.healthy,
    ...(status.length > 0 && { status: Object.fromEntries(status) as unknown }),
  };
  return jsonResponse(JSON.stringify(body), isHealthy ? 200 : 503);
};

/** Whether load balancers may send new connections to this node. Without a Node they may not, unless there is no cluster. */
export const isEligible = (node: Node | undefined, withoutCluster: boolean): boolean =>
  node === undefined ? withoutCluster : !node.isBeingRemoved;

export interface HealthHandlerParts {
  readonly health: () => HealthState;
  readonly eligible: () => boolean;
  readonly counters: HealthCounters;
  /** Milliseconds since 1970; `Date.now` by default. */
  readonly now?: () => number;
}

/** Serves `/healthz` and `/livez`, for any method. */
export const healthHandler =
  ({ health, eligible, counters, now = Date.now }: HealthHandlerParts): Handler =>
  (request) => {
    switch (pathOf(request)) {
      case '/healthz': {
        const response = healthResponse(health(), eligible(), now());
        counters.healthzServed(response.status);
        return response;
      }
      case '/livez': {
        const answer = healthResponse(health(), undefined, now());
        counters.livezServed(answer.status);
        return answer;
      }
      default:
        return notFound;
    }
  };
