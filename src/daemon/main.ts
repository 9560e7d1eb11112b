import { once } from 'node:events';
import { release } from 'node:os';
import { createLogger, type Logger } from '../base/log.js';
import { messageOf } from '../base/errors.js';
import type { Settings } from '../config/settings.js';
import { watchRoute } from '../kernel/rtnetlink/events.js';
import { planText } from '../plan/order.js';
import type { Source } from '../watch/source.js';
import { openKernel, prepareKernel, type KernelAccess } from './kernel-access.js';
import { openSource } from './open-source.js';
import { wire, type Wired } from './wiring.js';

/** Resolves at SIGTERM or SIGINT with its name. */
const stopSignal = async (): Promise<string> => {
  const controller = new AbortController();
  const signals = ['SIGTERM', 'SIGINT'] as const;
  const first = await Promise.race(
    signals.map(async (signal) => {
      await once(process, signal, { signal: controller.signal });
      return signal;
    }),
  );
  controller.abort();
  return first;
};

/** Resolves when the source has delivered its first full state. */
const delivered = async (wired: Wired): Promise<void> => {
  while (!wired.store.synced) await new Promise((resolve) => setTimeout(resolve, 20));
};

const printPlan = async (wired: Wired, source: Source): Promise<number> => {
  await wired.readAddresses();
  source.start(wired.store);
  await delivered(wired);
  process.stdout.write(planText(await wired.proxy.plan()));
  return 0;
};

const programOnce = async (wired: Wired, source: Source, log: Logger): Promise<number> => {
  const first = wired.proxy.firstSync();
  source.start(wired.store);
  const { applied, failed } = await first;
  log.info({ applied, failed }, 'programmed the kernel once');
  return failed === 0 ? 0 : 1;
};

const follow = async (wired: Wired, source: Source, log: Logger): Promise<number> => {
  source.start(wired.store);
  const signal = await stopSignal();
  log.info({ signal }, 'stopping; the kernel stays as it is');
  return 0;
};

const serve = async (
  settings: Settings,
  kernel: KernelAccess,
  wired: Wired,
  source: Source,
  log: Logger,
): Promise<number> => {
  await prepareKernel(kernel, settings);
  await wired.dummy.ensure();
  const events = watchRoute({
    event: (event) => wired.kernelEvents.event(event),
    lost: () => wired.proxy.eventsLost(),
    failed: (error) => {
      log.error({ error: messageOf(error) }, 'link and address events ended; the periodic resync goes on');
    },
  });
  try {
    await wired.readAddresses();
    return await (settings.once ? programOnce(wired, source, log) : follow(wired, source, log));
  } finally {
    events.close();
  }
};

/** Runs the daemon until it is told to stop. Resolves to the exit status; rejects with an error whose message says what is missing. */
export const runDaemon = async (settings: Settings): Promise<number> => {
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
  if (settings.dryRun) return printPlan(wired, source);
  return serve(settings, kernel, wired, source, log);
};
