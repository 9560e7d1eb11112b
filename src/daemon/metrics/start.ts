import { version } from '../../base/version.js';
import { featureGateStates } from '../../config/feature-gates.js';
import type { Settings } from '../../config/settings.js';
import { servedFamilies } from '../../kernel/ip-families.js';
import { IpvsClient } from '../../kernel/ipvs/client.js';
import type { VirtualServerKey } from '../../model/virtual-server.js';
import { servedPort } from '../../plan/served-port.js';
import type { ClusterStore } from '../../watch/cluster-store.js';
import type { Source } from '../../watch/source.js';
import type { EventCounts } from '../events/recorder.js';
import type { LiveSettings } from '../live-settings.js';
import type { WantedState } from '../wanted-state.js';
import type { Wired } from '../wiring.js';
import { daemonSamples, eventSamples, sourceSamples } from './daemon-samples.js';
import { Metrics } from './registry.js';
import { ServiceTraffic, type ServicePortName } from './service-traffic.js';

export const metricsOf = ({ configuration }: Settings): Metrics =>
  new Metrics({
    version,
    families: servedFamilies(),
    featureGates: featureGateStates(configuration.featureGates),
  });

/** Which port of a Service a virtual server serves, be it by its port or its node port. */
export const servicePortOf =
  (desired: WantedState['desired'], store: Pick<ClusterStore, 'service'>) =>
  (key: VirtualServerKey): ServicePortName | undefined => {
    const owner = desired.ownerOf(key);
    const service = owner && store.service(owner);
    const identity = desired.virtualServer(key)?.server.identity;
    const served = service && identity && servedPort(service, identity);
    return served && { service: service.key, port: served.port.port, protocol: served.port.protocol };
  };

export interface MeasuredParts {
  readonly metrics: Metrics;
  readonly settings: LiveSettings;
  readonly wired: Wired;
  readonly source: Pick<Source, 'counts'>;
  readonly forwarding: { readonly blocking: number };
  readonly events: { readonly counts: EventCounts };
}

/** From now on pages tell of all parts of the daemon. The kernel is asked when a page is, by a socket that nobody else uses. */
export const measure = ({
  metrics,
  settings,
  wired,
  source,
  forwarding,
  events,
}: MeasuredParts): Disposable => {
  const { wanted, store } = wired;
  let ipvs: IpvsClient | undefined;
  const traffic = new ServiceTraffic({
    settings: () => settings.now.perServiceMetrics,
    read: () => (ipvs ??= IpvsClient.open()).statistics(),
    portOf: servicePortOf(wanted.desired, store),
  });
  metrics.addSource(() => daemonSamples({ ...wired, desired: wanted.desired, lingering: wanted.lingering }));
  metrics.addSource(() => sourceSamples(source));
  metrics.addSource(() => eventSamples(events.counts));
  metrics.addSource(() => [{ metric: 'blockingFilters', value: forwarding.blocking }]);
  metrics.addSource(() => traffic.samples());
  return { [Symbol.dispose]: () => ipvs?.close() };
};
