import { messageOf } from '../../base/errors.js';
import type { ConfigurableLogger } from '../../base/log.js';
import type { ServiceKey } from '../../model/service.js';
import type { EventRecorder } from '../events/event-recorder.js';
import type { LiveSettings } from '../config/live-settings.js';
import type { Composition } from '../compose.js';
import type { Handler } from './http-response.js';
import { RestartingServer } from './restarting-server.js';
import { metricsPortHandler, type MetricsPage } from './metrics-port.js';
import { isEligible, healthHandler, type HealthCounters } from './health-handler.js';
import { ServiceHealthChecks } from './service-health-checks.js';

export interface ServingParts {
  readonly settings: LiveSettings;
  readonly composition: Pick<Composition, 'store' | 'desiredStateUpdater' | 'health' | 'onSynced'>;
  readonly metrics: MetricsPage & HealthCounters;
  readonly events: EventRecorder;
  /** Serves the page at the metrics address. */
  readonly page: Handler;
  readonly log: ConfigurableLogger;
}

const openServer = async (
  server: RestartingServer,
  eventReason: string,
  { settings, events }: ServingParts,
): Promise<void> => {
  const { configuration, nodeName } = settings.now;
  if (!configuration.bindAddressHardFail) return server.openWithRetries();
  try {
    await server.open();
  } catch (error) {
    events.record({
      regarding: { kind: 'Node', name: nodeName },
      type: 'Warning',
      reason: eventReason,
      action: 'StartKubeProxy',
      note: messageOf(error),
    });
    throw error;
  }
};

/** An empty address turns the server off. */
const healthServer = ({
  settings,
  composition,
  metrics,
  log,
}: ServingParts): RestartingServer | undefined => {
  const { healthzBindAddress } = settings.now.configuration;
  if (healthzBindAddress === '') return undefined;
  const withoutCluster = settings.now.source.from === 'manifests';
  return new RestartingServer({
    name: 'health',
    bindAddress: healthzBindAddress,
    handler: healthHandler({
      health: () => composition.health.health(),
      eligible: () => isEligible(composition.store.node, withoutCluster),
      counters: metrics,
    }),
    log,
  });
};

const metricsServer = ({ settings, metrics, page, log }: ServingParts): RestartingServer =>
  new RestartingServer({
    name: 'metrics',
    bindAddress: settings.now.configuration.metricsBindAddress,
    handler: metricsPortHandler({
      metrics,
      settings: () => settings.now,
      page,
      setVerbosity: (verbosity) => {
        log.set({ verbosity, format: settings.now.logFormat });
        log.info({ event: 'verbosity-set', verbosity }, 'Log verbosity changed through the metrics port');
      },
    }),
    log,
  });

const serviceHealthChecks = ({ settings, composition, events, log }: ServingParts): ServiceHealthChecks => {
  const onFailure = (service: ServiceKey, port: number, trouble: string): void => {
    const [namespace = '', name = ''] = service.split('/');
    log.warn(
      { event: 'health-check-not-served', service, port, error: trouble },
      'Health check port of a Service not available; retrying',
    );
    events.record({
      regarding: { kind: 'Service', namespace, name, uid: composition.store.service(service)?.uid },
      type: 'Warning',
      reason: 'FailedToStartServiceHealthcheck',
      action: 'Listen',
      note: `node ${settings.now.nodeName} failed to start healthcheck "${service}" on port ${port}: ${trouble}`,
    });
  };
  const checks = new ServiceHealthChecks({
    healthy: () => composition.health.health().healthy,
    onFailure,
    log,
  });
  composition.onSynced(() =>
    checks.update(composition.desiredStateUpdater.takeHealthChecks(), (family) =>
      composition.desiredStateUpdater.healthCheckAddresses(family),
    ),
  );
  return checks;
};

/**
 * Serves health, metrics and the health checks of Services. With bindAddressHardFail it rejects with a ListenError. A
 * daemon that stops closes these first.
 */
export const startServing = async (parts: ServingParts): Promise<AsyncDisposable> => {
  const health = healthServer(parts);
  const metrics = metricsServer(parts);
  const all = [serviceHealthChecks(parts), metrics, ...(health === undefined ? [] : [health])];
  const end = async (): Promise<void> => {
    await Promise.all(all.map((each) => each[Symbol.asyncDispose]()));
  };
  try {
    if (health !== undefined) await openServer(health, 'FailedToStartProxierHealthcheck', parts);
    await openServer(metrics, 'FailedToStartMetricServer', parts);
  } catch (error) {
    await end();
    throw error;
  }
  return { [Symbol.asyncDispose]: end };
};
