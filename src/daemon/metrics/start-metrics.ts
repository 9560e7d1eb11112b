import { version } from '../../base/version.js';
import { featureGateStates } from '../../config/feature-gates.js';
import type { Settings } from '../../config/settings.js';
import { servedFamilies } from '../../kernel/ip-families.js';
import { IpvsClient } from '../../kernel/ipvs/client.js';
import type { ServiceKey } from '../../model/service.js';
import type { VirtualServerKey } from '../../model/virtual-server.js';
import { servedPort } from '../../plan/render/served-port.js';
import type { ClusterStore } from '../../watch/store/cluster-store.js';
import type { Source } from '../../watch/source.js';
import type { EventCounts } from '../events/event-recorder.js';
import type { LiveSettings } from '../config/live-settings.js';
import type { DesiredStateUpdater } from '../sync/desired-state-updater.js';
import type { Composition } from '../compose.js';
import { daemonSamples, eventSamples, sourceSamples } from './daemon-samples.js';
import { Metrics } from './registry.js';
import { BackendTraffic, type ServedVirtualServer } from './backend-traffic.js';
import { ServiceTraffic, type ServicePortName } from './service-traffic.js';

export const createMetrics = ({ configuration }: Settings): Metrics =>
  new Metrics({
    version,
    families: servedFamilies(),
    featureGates: featureGateStates(configuration.featureGates),
  });

/** Returns the port of a Service that a virtual server serves, by its port or its node port. */
export const servicePortOf =
  (desired: DesiredStateUpdater['desired'], store: Pick<ClusterStore, 'service'>) =>
  (key: VirtualServerKey): ServicePortName | undefined => {
    const owner = desired.ownerOf(key);
    const service = owner && store.service(owner);
    const identity = desired.virtualServer(key)?.server.identity;
    const served = service && identity && servedPort(service, identity);
    return served && { service: service.key, port: served.port.port, protocol: served.port.protocol };
  };

type ServedParts = Pick<Composition, 'desiredStateUpdater' | 'store' | 'observed'>;

/** For each Service that matches, its virtual servers in the kernel. */
function* servedVirtualServers(
  { desiredStateUpdater: { desired }, store, observed }: ServedParts,
  isSelected: (service: ServiceKey) => boolean,
): Iterable<readonly ServedVirtualServer[]> {
  const portOf = servicePortOf(desired, store);
  for (const { service, virtualServers } of desired.fragments()) {
    if (!isSelected(service)) continue;
    const served: ServedVirtualServer[] = [];
    for (const [key, { server }] of virtualServers) {
      const inKernel = desired.ownerOf(key) === service ? observed.virtualServer(key) : undefined;
      const port = inKernel && portOf(key);
      if (inKernel === undefined || port === undefined) continue;
      served.push({ key, identity: server.identity, port, realServers: inKernel.realServers });
    }
    yield served;
  }
}

export interface MetricsParts {
  readonly metrics: Metrics;
  readonly settings: LiveSettings;
  readonly composition: Composition;
  readonly source: Pick<Source, 'counts'>;
  readonly forwardPolicy: { readonly blocking: number };
  readonly events: { readonly counts: EventCounts };
}

/** Adds the metrics of all parts of the daemon. A page reads the kernel through a separate socket. */
export const startMetrics = ({
  metrics,
  settings,
  composition,
  source,
  forwardPolicy,
  events,
}: MetricsParts): Disposable => {
  const { desiredStateUpdater, store } = composition;
  let ipvs: IpvsClient | undefined;
  const traffic = new ServiceTraffic({
    settings: () => settings.now.perServiceMetrics,
    read: () => (ipvs ??= IpvsClient.open()).statistics(),
    portOf: servicePortOf(desiredStateUpdater.desired, store),
  });
  const { desired } = desiredStateUpdater;
  const backends = new BackendTraffic({
    settings: () => settings.now.backendMetrics,
    virtualServers: (isSelected) => servedVirtualServers(composition, isSelected),
    read: (of) => (ipvs ??= IpvsClient.open()).realServersIncrementally(of),
    endpointOf: (of, realServer) => desired.endpointOf(of, realServer),
    isDraining: (of, realServer) => composition.reconciler.drains.draining.get(of)?.has(realServer) === true,
  });
  metrics.addSource(() =>
    daemonSamples({
      ...composition,
      desired: desiredStateUpdater.desired,
      orphaned: composition.orphaned,
    }),
  );
  metrics.addSource(() => sourceSamples(source));
  metrics.addSource(() => eventSamples(events.counts));
  metrics.addSource(() => [{ metric: 'blockingFilters', value: forwardPolicy.blocking }]);
  metrics.addTable(() => traffic.table());
  metrics.addTable(() => backends.table());
  return { [Symbol.dispose]: () => ipvs?.close() };
};
