import { fullActions, persistenceNetmaskSyntax, type ServiceSettings } from '../model/service-settings.js';
import type { KubeIpvsConfiguration } from './kube-proxy-configuration.js';

/** What `services` chooses for the Services without the annotation. */
export const serviceDefaultsOf = ({ services }: KubeIpvsConfiguration): ServiceSettings => ({
  flags: services.flags ?? undefined,
  persistenceSeconds: services.persistenceTimeout / 1e3,
  persistencePrefixLengths: persistenceNetmaskSyntax.parse(services.persistenceNetmask),
  upperThreshold: services.upperThreshold,
  lowerThreshold: services.lowerThreshold,
  onFull: fullActions.find((action) => action === services.onFull),
});
