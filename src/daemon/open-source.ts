import type { Logger } from '../base/log.js';
import type { Settings } from '../config/settings.js';
import type { Source } from '../watch/source.js';

/** The source that the settings name. Only its own code is loaded: the Kubernetes client is large. */
export const openSource = async (settings: Settings, logger: Logger): Promise<Source> => {
  const { source, kubeconfig, master, nodeName } = settings;
  if (source.from === 'manifests') {
    const { manifestSource } = await import('../watch/manifest-source.js');
    return manifestSource({ path: source.path, nodeName, logger });
  }
  const { loadCredentials } = await import('../watch/credentials.js');
  const { apiSource } = await import('../watch/api-source.js');
  return apiSource({
    credentials: loadCredentials({ kubeconfig, master }),
    nodeName,
    logger,
    // As for client-go, a negative rate is none.
    ...(settings.qps > 0 && { rate: { perSecond: settings.qps, burst: settings.burst } }),
  });
};
