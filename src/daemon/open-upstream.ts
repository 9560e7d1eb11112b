import type { Logger } from '../base/log.js';
import type { RateLimitOptions } from '../base/rate-limiter.js';
import type { RequestObserver } from '../watch/api/api-client.js';
import type { Source } from '../watch/source.js';
import { logEventSink, type EventSink } from './events/event-recorder.js';
import type { LiveSettings } from './config/live-settings.js';

/** The source of objects, and the destination of events about them. */
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

/** Opens the source that the settings name. Loads only its code, as the Kubernetes client is large. */
export const openUpstream = async (
  settings: LiveSettings,
  requested: RequestObserver,
  log: Logger,
): Promise<Upstream> => {
  const { source, kubeconfig, master, nodeName, dryRun, protobuf, names } = settings.now;
  const { serviceProxyName } = names;
  if (source.from === 'manifests') {
    const { manifestSource } = await import('../watch/manifests/manifest-source.js');
    return {
      source: manifestSource({ path: source.path, nodeName, serviceProxyName, logger: log }),
      events: logEventSink(log),
    };
  }
  const { loadCredentials } = await import('../watch/api/credentials.js');
  const { ApiClient } = await import('../watch/api/api-client.js');
  const { apiSource } = await import('../watch/api/api-source.js');
  const { ApiEventSink } = await import('./events/api-event-sink.js');
  const credentials = loadCredentials({ kubeconfig, master });
  return {
    source: apiSource({
      credentials,
      nodeName,
      serviceProxyName,
      logger: log,
      rate: rateOf(settings),
      requestObserver: requested,
      protobuf,
    }),
    // A dry run sends no Events.
    events: dryRun
      ? logEventSink(log)
      : new ApiEventSink({
          client: new ApiClient(credentials, { observer: requested, protobuf }),
          nodeName,
          log,
        }),
  };
};
