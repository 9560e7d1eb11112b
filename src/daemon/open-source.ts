import type { Logger } from '../base/log.js';
import type { Settings } from '../config/settings.js';
import type { Source } from '../watch/source.js';
import { logEvents, type EventSink } from './events/recorder.js';

/** Where objects come from, and where events about them go. */
export interface Upstream {
  readonly source: Source;
  readonly events: EventSink;
}

/** What the settings name. Only its own code is loaded: the Kubernetes client is large. */
export const openUpstream = async (settings: Settings, log: Logger): Promise<Upstream> => {
  const { source, kubeconfig, master, nodeName } = settings;
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
      // As for client-go, a negative rate is none.
      ...(settings.qps > 0 && { rate: { perSecond: settings.qps, burst: settings.burst } }),
    }),
    // A plan is no news to anybody else.
    events: settings.dryRun
      ? logEvents(log)
      : new ApiEvents({ client: new ApiClient(credentials), nodeName, log }),
  };
};
