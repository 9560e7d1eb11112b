import { once } from 'node:events';
import { release } from 'node:os';
import { createLogger, type ConfigurableLogger, type Logger } from '../base/log.js';
import { sleep } from '../base/async.js';
import { InputError, isExpectedError } from '../base/errors.js';
import { version } from '../base/version.js';
import { configDigest } from '../config/configuration-document.js';
import type { Settings } from '../config/settings.js';
import { servedFamilies } from '../kernel/ip-families.js';
import type { Family } from '../base/ip.js';
import { planText } from '../plan/output/plan-text.js';
import type { ReconcileReport } from '../apply/phase-runner.js';
import type { Source } from '../watch/source.js';
import { startAdmin } from './admin/start-admin.js';
import { planFirstSync } from './sync/plan-first-sync.js';
import { RecentEvents } from './events/recent-events.js';
import { subscribeToKernel } from './kernel/subscribe-to-kernel.js';
import { watchForwardPolicy } from './kernel/watch-forward-policy.js';
import { openKernel, prepareKernel, type KernelAccess } from './kernel/kernel-access.js';
import { ChangeableSettings } from './config/live-settings.js';
import { exitOnProgrammingError, logProgrammingError } from './exit-on-programming-error.js';
import { setOomScore } from './set-oom-score.js';
import { repeatProblemEvents } from './events/problem-events.js';
import type { EventSink, RecordedEvent } from './events/event-recorder.js';
import { followConfig } from './config/follow-config.js';
import type { Metrics } from './metrics/registry.js';
import { startMetrics, createMetrics } from './metrics/start-metrics.js';
import { createPage } from './page/start-page.js';
import { releaseStartMemory } from './memory.js';
import { openUpstream } from './open-upstream.js';
import { lockInstance } from './instance-lock.js';
import { startServing } from './serving/start-serving.js';
import { compose, type Composition } from './compose.js';

const exitStatus = { done: 0, error: 1 } as const;

interface Run extends Composition {
  readonly settings: ChangeableSettings;
  readonly events: EventSink;
  /** Records all events, and passes them on to `events`. */
  readonly recentEvents: RecentEvents;
  readonly metrics: Metrics;
  readonly signal: AbortSignal;
  readonly log: ConfigurableLogger;
  /** Reads flags and configuration files again. */
  readonly reloadSettings: () => Settings;
}

const stopSignals = ['SIGTERM', 'SIGINT'] as const;

/** Aborts at the first SIGTERM or SIGINT, with its name as the reason. A second signal ends the process at once. */
const stopSignal = (): AbortSignal => {
  const controller = new AbortController();
  const stop = (name: NodeJS.Signals): void => {
    for (const each of stopSignals) process.removeListener(each, stop);
    controller.abort(name);
  };
  for (const name of stopSignals) process.on(name, stop);
  return controller.signal;
};

const untilStopped = async (signal: AbortSignal, log: Logger): Promise<void> => {
  if (!signal.aborted) await once(signal, 'abort');
  log.info({ event: 'stopping', signal: signal.reason as unknown }, 'Stopping; the kernel keeps its state');
};

/** The exit status of the work; 1 if a signal stopped it. */
const unlessStopped = (work: Promise<number>, signal: AbortSignal, log: Logger): Promise<number> =>
  Promise.race([work, untilStopped(signal, log).then(() => exitStatus.error)]);

/**
 * Resolves when the source has delivered its first full state. Waits for an API server, but not for manifests to be
 * corrected: those reject with an InputError.
 */
const sourceSynced = async (source: Source, { store, settings, signal }: Run): Promise<void> => {
  while (!store.synced) {
    signal.throwIfAborted();
    const { lastError } = source.health();
    if (lastError !== undefined && settings.now.source.from === 'manifests') throw new InputError(lastError);
    await sleep(20);
  }
};

const logStart = (settings: Settings, log: Logger): void => {
  const { nodeName, names, scheduler, source } = settings;
  log.info(
    {
      event: 'daemon-starting',
      version,
      kernel: release(),
      node: nodeName,
      ...(names.serviceProxyName === '' ? {} : names),
      mode: 'ipvs',
      scheduler,
      config: configDigest(settings),
      source: source.from === 'api' ? 'api' : source.path,
      runtime: process.versions.node,
    },
    'Daemon starting',
  );
};

const withoutPacketRules =
  'no masquerading, no source ranges, no traffic policies; VIPs answer on every port';

const nftablesRemedy = (family: Family): string =>
  `Use a kernel with CONFIG_NF_TABLES_${family === 'IPv4' ? 'IPV4' : 'IPV6'}, or load its modules on the node (modprobe nf_tables).`;

/** Without packet rules IPVS forwards, but wrongly: no other part of the daemon reports it. */
const logMissingPacketRules = (packetFamilies: readonly Family[], log: Logger): void => {
  for (const family of servedFamilies())
    if (!packetFamilies.includes(family))
      log.error(
        { event: 'nftables-unavailable', family, effect: withoutPacketRules, remedy: nftablesRemedy(family) },
        'No nftables in this kernel for an address family',
      );
};

const printPlan = async (source: Source, kernel: KernelAccess, run: Run): Promise<number> => {
  await run.readAddresses();
  source.start(run.store);
  await sourceSynced(source, run);
  process.stdout.write(planText(await planFirstSync(run, kernel, run.settings.now)));
  return exitStatus.done;
};

const programOnce = async (first: Promise<ReconcileReport>, source: Source, run: Run): Promise<number> => {
  await sourceSynced(source, run);
  const { applied, failed } = await first;
  run.log.info({ event: 'once-finished', applied, failed }, 'Kernel programmed once');
  return failed === 0 ? exitStatus.done : exitStatus.error;
};

const startedEvent = ({ nodeName }: Settings): RecordedEvent => ({
  regarding: { kind: 'Node', name: nodeName },
  type: 'Normal',
  reason: 'Starting',
  action: 'StartKubeProxy',
  note: `kube-ipvs v${version} is programming IPVS for Services`,
});

const serve = async (source: Source, kernel: KernelAccess, run: Run): Promise<number> => {
  const { settings, syncLoop, recentEvents, signal, log } = run;
  await prepareKernel(kernel, settings.now, log);
  using forwardPolicy = await watchForwardPolicy(() => settings.now, log);
  using _metricSources = startMetrics({ ...run, composition: run, source, forwardPolicy });
  await run.dummy.ensure();
  using _kernelEvents = subscribeToKernel(run, kernel, { names: settings.now.names, log });
  await run.readAddresses();
  setOomScore(settings.now.oomScoreAdj, log);
  await using _serving = settings.now.once
    ? undefined
    : await startServing({
        ...run,
        events: recentEvents,
        composition: run,
        page: createPage({ ...run, composition: run, source }),
      });
  await using _admin = settings.now.once ? undefined : await startAdmin({ ...run, composition: run, source });
  const first = syncLoop.start();
  source.start(run.store);
  recentEvents.record(startedEvent(settings.now));
  using _reminders = repeatProblemEvents({ events: run.problemEvents, recorder: recentEvents });
  using _lostNodes = run.deletedNodes.start(source, run.reconciler.drains);
  if (settings.now.once) return await unlessStopped(programOnce(first, source, run), signal, log);
  void first.then(releaseStartMemory);
  await using _config = followConfig(kernel, run);
  await untilStopped(signal, log);
  return exitStatus.done;
};

/** The work of a process that is not `--init-only`. Disposed in reverse: the batch in progress ends, sources stop, Events are sent. */
const runComposed = async (
  kernel: KernelAccess,
  initial: Settings,
  { signal, log, reloadSettings }: Pick<Run, 'signal' | 'log' | 'reloadSettings'>,
): Promise<number> => {
  using _lock = initial.dryRun
    ? undefined
    : await lockInstance(initial.names, { waits: !initial.once, signal, log });
  if (signal.aborted) {
    await untilStopped(signal, log);
    return exitStatus.done;
  }
  logMissingPacketRules(kernel.packetFamilies, log);
  const settings = new ChangeableSettings(initial);
  const metrics = createMetrics(initial);
  const upstream = await openUpstream(settings, metrics.requested, log);
  await using events = upstream.events;
  await using source = upstream.source;
  const recentEvents = new RecentEvents(events);
  const composition = compose(settings, kernel, recentEvents, metrics, log);
  const run: Run = { ...composition, settings, events, recentEvents, metrics, signal, log, reloadSettings };
  await run.readInitialState();
  await using _syncLoop = run.syncLoop;
  if (initial.dryRun) return await unlessStopped(printPlan(source, kernel, run), signal, log);
  return await serve(source, kernel, run);
};

/**
 * Runs the daemon until a signal stops it. Resolves to the exit status; rejects with an error that says what is missing. A
 * programming error ends the process with its stack and status 1.
 */
export const runDaemon = async (initial: Settings, reloadSettings: () => Settings): Promise<number> => {
  const signal = stopSignal();
  const log = createLogger({ verbosity: initial.verbosity, format: initial.logFormat });
  exitOnProgrammingError(log);
  logStart(initial, log);
  for (const warning of initial.warnings)
    log.warn({ event: 'configuration-warning', warning }, 'Configuration warning');
  try {
    using kernel = await openKernel(initial.names);
    if (!initial.initOnly) return await runComposed(kernel, initial, { signal, log, reloadSettings });
    await prepareKernel(kernel, initial, log);
    log.info({ event: 'init-finished' }, 'Kernel prepared; exiting because of --init-only');
    return exitStatus.done;
  } catch (error) {
    if (isExpectedError(error)) throw error;
    logProgrammingError(error, log);
    return exitStatus.error;
  }
};
