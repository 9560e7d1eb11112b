import { once } from 'node:events';
import { release } from 'node:os';
import { createLogger, type ConfigurableLogger, type Logger } from '../base/log.js';
import { sleep } from '../base/async.js';
import { InputError } from '../base/errors.js';
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
import { setOomScore } from './set-oom-score.js';
import { repeatProblemEvents } from './events/problem-events.js';
import type { EventSink, RecordedEvent } from './events/event-recorder.js';
import { followConfig } from './config/follow-config.js';
import type { Metrics } from './metrics/registry.js';
import { startMetrics, createMetrics } from './metrics/start-metrics.js';
import { openUpstream } from './open-upstream.js';
import { startServing } from './serving/start-serving.js';
import { compose, type Composition } from './compose.js';

const exitStatus = { done: 0, error: 1 } as const;

interface Run extends Composition {
  readonly settings: ChangeableSettings;
  readonly events: EventSink;
  /** Where everything is recorded: it passes it on to `events`. */
  readonly recentEvents: RecentEvents;
  readonly metrics: Metrics;
  readonly signal: AbortSignal;
  readonly log: ConfigurableLogger;
  /** Reads flags and config files once more. */
  readonly reloadSettings: () => Settings;
}

const stopSignals = ['SIGTERM', 'SIGINT'] as const;

/** Aborts at the first SIGTERM or SIGINT, with its name as the reason. A second one, of either, ends the process at once. */
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
  log.info({ signal: signal.reason as unknown }, 'stopping; the kernel stays as it is');
};

/** The work's exit status; 1 where it was stopped before its end. */
const unlessStopped = (work: Promise<number>, signal: AbortSignal, log: Logger): Promise<number> =>
  Promise.race([work, untilStopped(signal, log).then(() => exitStatus.error)]);

/**
 * Resolves when the source has delivered its first full state. Manifests that cannot be read stay so until somebody mends
 * them, and nobody waits for that: an InputError with what is wrong. An API server is waited for.
 */
const sourceSynced = async (source: Source, { store, settings, signal }: Run): Promise<void> => {
  while (!store.synced) {
    signal.throwIfAborted();
    const { lastError: trouble } = source.health();
    if (trouble !== undefined && settings.now.source.from === 'manifests') throw new InputError(trouble);
    await sleep(20);
  }
};

const logStart = (settings: Settings, log: Logger): void => {
  const { nodeName, scheduler, source } = settings;
  log.info(
    {
      version,
      kernel: release(),
      node: nodeName,
      mode: 'ipvs',
      scheduler,
      config: configDigest(settings),
      source: source.from === 'api' ? 'api' : source.path,
      runtime: process.versions.node,
    },
    'kube-ipvs starts',
  );
};

/** Without packet rules the table is right, and packets are not: said loudly, as nothing else tells. */
const logMissingPacketRules = (packetFamilies: readonly Family[], log: Logger): void => {
  for (const family of servedFamilies())
    if (!packetFamilies.includes(family))
      log.error(
        { family },
        'this kernel has no nftables for this family: nothing is masqueraded, no source range and no traffic policy is enforced, and VIPs answer on every port. ' +
          `Use a kernel with CONFIG_NF_TABLES_${family === 'IPv4' ? 'IPV4' : 'IPV6'}, or load its modules on the node (modprobe nf_tables)`,
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
  run.log.info({ applied, failed }, 'programmed the kernel once');
  return failed === 0 ? exitStatus.done : exitStatus.error;
};

const startedEvent = ({ nodeName }: Settings): RecordedEvent => ({
  regarding: { kind: 'Node', name: nodeName },
  type: 'Normal',
  reason: 'Starting',
  action: 'StartKubeProxy',
  note: `kube-ipvs v${version} serves Services by IPVS`,
});

const serve = async (source: Source, kernel: KernelAccess, run: Run): Promise<number> => {
  const { settings, syncLoop, recentEvents, signal, log } = run;
  await prepareKernel(kernel, settings.now, log);
  using forwardPolicy = await watchForwardPolicy(() => settings.now, log);
  using _metricSources = startMetrics({ ...run, composition: run, source, forwardPolicy });
  await run.dummy.ensure();
  using _kernelEvents = subscribeToKernel(run, kernel, log);
  await run.readAddresses();
  setOomScore(settings.now.oomScoreAdj, log);
  await using _serving = settings.now.once
    ? undefined
    : await startServing({ ...run, events: recentEvents, composition: run });
  await using _admin = settings.now.once ? undefined : await startAdmin({ ...run, composition: run, source });
  const first = syncLoop.start();
  source.start(run.store);
  recentEvents.record(startedEvent(settings.now));
  using _reminders = repeatProblemEvents({ events: run.problemEvents, recorder: recentEvents });
  using _lostNodes = run.deletedNodes.start(source);
  if (settings.now.once) return await unlessStopped(programOnce(first, source, run), signal, log);
  await using _config = followConfig(kernel, run);
  await untilStopped(signal, log);
  return exitStatus.done;
};

/** Runs the daemon until it is told to stop. Resolves to the exit status; rejects with an error whose message says what is missing. */
export const runDaemon = async (initial: Settings, reloadSettings: () => Settings): Promise<number> => {
  const signal = stopSignal();
  const log = createLogger({ verbosity: initial.verbosity, format: initial.logFormat });
  logStart(initial, log);
  for (const warning of initial.warnings) log.warn({ warning }, 'configuration');
  using kernel = await openKernel();
  if (initial.initOnly) {
    await prepareKernel(kernel, initial, log);
    log.info({}, 'the kernel is set up; ending, as --init-only asks');
    return exitStatus.done;
  }
  logMissingPacketRules(kernel.packetFamilies, log);
  const settings = new ChangeableSettings(initial);
  // Undone from the last to the first: the batch under way ends, nothing is watched any more, the last events are told.
  const metrics = createMetrics(initial);
  const upstream = await openUpstream(settings, metrics.requested, log);
  await using events = upstream.events;
  await using source = upstream.source;
  const recentEvents = new RecentEvents(events);
  const run: Run = {
    ...compose(settings, kernel, recentEvents, metrics, log),
    settings,
    events,
    recentEvents,
    metrics,
    signal,
    log,
    reloadSettings,
  };
  await run.readInitialState();
  await using _proxy = run.syncLoop;
  if (initial.dryRun) return await unlessStopped(printPlan(source, kernel, run), signal, log);
  return await serve(source, kernel, run);
};
