import { release } from 'node:os';
import { createLogger, type Logger } from '../base/log.js';
import { sleep } from '../base/async.js';
import { InputError, messageOf } from '../base/errors.js';
import type { Settings } from '../config/settings.js';
import { watchRoute } from '../kernel/rtnetlink/events.js';
import { planText } from '../plan/order.js';
import type { Report } from '../apply/reconciler.js';
import type { Source } from '../watch/source.js';
import { openKernel, prepareKernel, type KernelAccess } from './kernel-access.js';
import { openSource } from './open-source.js';
import { wire, type Wired } from './wiring.js';

const exitStatus = { done: 0, error: 1 } as const;

/** Resolves at the first SIGTERM or SIGINT with its name; a second one ends the process the hard way. */
const stopSignal = (): Promise<NodeJS.Signals> =>
  new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, resolve);
  });

/**
 * Resolves when the source has delivered its first full state. Manifests that cannot be read stay so until somebody mends
 * them, and nobody waits for that: an InputError with what is wrong. An API server is waited for.
 */
const delivered = async ({ store }: Wired, source: Source, settings: Settings): Promise<void> => {
  while (!store.synced) {
    const { trouble } = source.health();
    if (trouble !== undefined && settings.source.from === 'manifests') throw new InputError(trouble);
    await sleep(20);
  }
};

const printPlan = async (wired: Wired, source: Source, settings: Settings): Promise<number> => {
  await wired.readAddresses();
  source.start(wired.store);
  await delivered(wired, source, settings);
  process.stdout.write(planText(await wired.proxy.plan()));
  return exitStatus.done;
};

const programOnce = async (first: Promise<Report>, complete: Promise<void>, log: Logger): Promise<number> => {
  await complete;
  const { applied, failed } = await first;
  log.info({ applied, failed }, 'programmed the kernel once');
  return failed === 0 ? exitStatus.done : exitStatus.error;
};

const untilStopped = async (stopped: Promise<NodeJS.Signals>, log: Logger): Promise<number> => {
  log.info({ signal: await stopped }, 'stopping; the kernel stays as it is');
  return exitStatus.done;
};

const serve = async (
  settings: Settings,
  kernel: KernelAccess,
  wired: Wired,
  source: Source,
  stopped: Promise<NodeJS.Signals>,
  log: Logger,
): Promise<number> => {
  await prepareKernel(kernel, settings, log);
  await wired.dummy.ensure();
  const events = watchRoute(
    {
      event: (event) => wired.kernelEvents.event(event),
      lost: () => wired.proxy.eventsLost(),
      failed: (error) => {
        log.error({ error: messageOf(error) }, 'link and address events ended; the periodic resync goes on');
      },
    },
    { exceptPort: kernel.route.portId },
  );
  try {
    await wired.readAddresses();
    const first = wired.proxy.start();
    source.start(wired.store);
    const stop = untilStopped(stopped, log);
    if (!settings.once) return await stop;
    return await Promise.race([programOnce(first, delivered(wired, source, settings), log), stop]);
  } finally {
    events.close();
  }
};

/** Runs the daemon until it is told to stop. Resolves to the exit status; rejects with an error whose message says what is missing. */
export const runDaemon = async (settings: Settings): Promise<number> => {
  const stopped = stopSignal();
  const log = createLogger({ verbosity: settings.verbosity });
  for (const warning of settings.warnings) log.warn({ warning }, 'configuration');
  using kernel = openKernel();
  const wired = wire(settings, kernel.ipvs, kernel.route, log);
  await using source = await openSource(settings, log);
  await using _proxy = wired.proxy;
  const { node } = process.versions;
  log.info(
    {
      node: settings.nodeName,
      scheduler: settings.scheduler,
      source: source.name,
      kernel: release(),
      runtime: node,
    },
    'kube-ipvs starts',
  );
  if (settings.dryRun) return await printPlan(wired, source, settings);
  return await serve(settings, kernel, wired, source, stopped, log);
};
