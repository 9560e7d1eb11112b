import type { Logger } from '../base/log.js';
import type { RateLimitOptions } from '../base/rate-limit.js';
import type { RequestObserver } from '../watch/api-client.js';
import type { Source } from '../watch/source.js';
import { logEvents, type EventSink } from './events/recorder.js';
import type { LiveSettings } from './live-settings.js';

/** Where objects come from, and where events about them go. */
export interface Upstream {
  readonly source: Source;
  readonly events: EventSink;
}

const rateOf = (settings: LiveSettings): RateLimitOptions => ({
  get perSecond() {
    return settings.now.qps;
  },
  get burst() {
    return settings.now.burst;
  },
});

/** What the settings name. Only its own code is loaded: the Kubernetes client is large. */
export const openUpstream = async (
  settings: LiveSettings,
  requested: RequestObserver,
  log: Logger,
): Promise<Upstream> => {
  const { source, kubeconfig, master, nodeName, dryRun } = settings.now;
  if (source.from === 'manifests') {
    const { manifestSource } = await import('../watch/manifest-source.js');
    return {
      source: manifestSource({ path: source.path, nodeName, logger: log }),
      events: logEvents(log),
    };
  }
  const { loadCredentials } = await import('../watch/credentials.js');
  const { ApiClient } = await import('../watch/api-client.js');
  const { apiSource } = await import('../watch/api-source.js');
  const { ApiEvents } = await import('./events/api-events.js');
  const credentials = loadCredentials({ kubeconfig, master });
  return {
    source: apiSource({
      credentials,
      nodeName,
      logger: log,
      rate: rateOf(settings),
      requested,
    }),
    // A plan is no news to anybody else.
    events: dryRun
      ? logEvents(log)
      : new ApiEvents({ client: new ApiClient(credentials, undefined, requested), nodeName, log }),
  };
};
