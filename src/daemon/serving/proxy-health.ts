import type { Node } from '../../model/node.js';
import { jsonAnswer, notFound, pathOf, type Answer, type Handler } from './answer.js';
import type { ProxyHealth } from './sync-health.js';

/** Counts answers by their status; `/healthz` and `/livez` apart. */
export interface HealthCounters {
  healthzAnswered(status: number): void;
  livezAnswered(status: number): void;
}

/** The zero of Go's time. */
const never = '0001-01-01T00:00:00Z';

const timeText = (date: number | undefined): string =>
  date === undefined ? never : new Date(date).toISOString();

/** kube-proxy-ipvs §7.1; `eligible` undefined where only the proxy itself is asked for (`/livez`). */
export const healthAnswer = (health: ProxyHealth, eligible: boolean | undefined, now: number): Answer => {
  const fine = health.healthy && eligible !== false;
  const states = Object.entries(health.families);
  const dates = states.map(([, { lastUpdated }]) => lastUpdated);
  // As kube-proxy: a proxy that has nothing to do is up to date now.
  const lastUpdated = fine ? now : dates.reduce<number | undefined>((a, b) => Math.max(a ?? b, b), undefined);
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
  return jsonAnswer(JSON.stringify(body), fine ? 200 : 503);
};

/** Whether load balancers may send this node new connections. Without a Node they may not, unless there is no cluster that could have one. */
export const isEligible = (node: Node | undefined, withoutCluster: boolean): boolean =>
  node === undefined ? withoutCluster : !node.leaving;

export interface ProxyHealthParts {
  readonly health: () => ProxyHealth;
  readonly eligible: () => boolean;
  readonly counters: HealthCounters;
  /** Milliseconds since 1970; Date.now where nothing is said. */
  readonly now?: () => number;
}

/** `/healthz` and `/livez`, by whatever method; nothing else is there. */
export const proxyHealthHandler =
  ({ health, eligible, counters, now = Date.now }: ProxyHealthParts): Handler =>
  (request) => {
    switch (pathOf(request)) {
      case '/healthz': {
        const answer = healthAnswer(health(), eligible(), now());
        counters.healthzAnswered(answer.status);
        return answer;
      }
      case '/livez': {
        const answer = healthAnswer(health(), undefined, now());
        counters.livezAnswered(answer.status);
        return answer;
      }
      default:
        return notFound;
    }
  };
