import { advise } from '../../../doctor/remedy.js';
import { annotationKey } from '../../../model/settings/service-annotations.js';
import type { RealServerObservation } from '../../../model/virtual-server.js';
import { warn, type CheckLine, type ReportFacts } from '../facts.js';

const connectionsOf = ({ activeConnections, inactiveConnections }: RealServerObservation): number =>
  activeConnections + inactiveConnections;

/** Real servers that have reached their upper threshold. The kernel does not show for how long they stay full. */
export const fullRealServers = ({ kernel, served, service }: ReportFacts): readonly CheckLine[] => {
  if (!('value' in kernel)) return [];
  const { virtualServers } = kernel.value;
  const [namespace = 'NAMESPACE', name = 'NAME'] = service?.service.name.split('/') ?? [];
  return served.flatMap(({ key }) => {
    const realServers = [...(virtualServers.get(key)?.realServers.values() ?? [])];
    const full = realServers.filter(
      (server) => server.upperThreshold > 0 && connectionsOf(server) >= server.upperThreshold,
    );
    if (full.length === 0) return [];
    return warn(
      `${full.length} of ${realServers.length} real servers of ${key} have reached their upper threshold and get no new connections`,
      [
        advise(
          'Add endpoints, or raise or remove the limit.',
          `kubectl -n ${namespace} annotate service ${name} --overwrite ${annotationKey('upper-threshold')}=0`,
        ),
      ],
      full
        .slice(0, 10)
        .map((server) => `${server.key}: ${connectionsOf(server)} of ${server.upperThreshold} connections`),
    );
  });
};
