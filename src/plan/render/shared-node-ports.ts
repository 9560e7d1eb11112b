import type { NodePortSharing } from '../../model/settings/node-port-sharing.js';
import type { RenderSettings } from './render-context.js';
import type { CheckedService } from './service-check.js';

/** How the node ports of the Service are served; undefined if it has none, or if the setting is off. */
export const nodePortSharingOf = (
  { ports, settings, externalTrafficPolicy }: CheckedService,
  { nodePortSharing = false, inClusterEndpoints = 'local' }: RenderSettings,
): NodePortSharing | undefined => {
  if (!nodePortSharing || ports.every(({ nodePort }) => nodePort === undefined)) return undefined;
  if (Object.keys(settings.persistence).length > 0) return 'persistence';
  return externalTrafficPolicy === 'Local' && inClusterEndpoints === 'all'
    ? 'in-cluster-endpoints'
    : 'shared';
};
