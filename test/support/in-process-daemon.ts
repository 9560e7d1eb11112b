import { silentLogger, type Logger } from '../../src/base/log.js';
import { parseFlags } from '../../src/config/parse-flags.js';
import { resolveSettings } from '../../src/config/settings.js';
import { silentRecorder } from '../../src/daemon/events/event-recorder.js';
import { subscribeToKernel } from '../../src/daemon/kernel/subscribe-to-kernel.js';
import {
  openKernel,
  prepareKernel,
  type Connect,
  type KernelAccess,
} from '../../src/daemon/kernel/kernel-access.js';
import { ChangeableSettings } from '../../src/daemon/config/live-settings.js';
import { Metrics } from '../../src/daemon/metrics/registry.js';
import { startMetrics } from '../../src/daemon/metrics/start-metrics.js';
import { compose, type Composition } from '../../src/daemon/compose.js';
import type { TableFile } from '../../src/kernel/ipvs/table-file/table-file.js';
import type { Delays } from '../../src/daemon/composition/compose-reconcile.js';

export interface InProcessDaemon extends AsyncDisposable {
  readonly wired: Composition;
  readonly kernel: KernelAccess;
  readonly settings: ChangeableSettings;
  readonly metrics: Metrics;
  /** Messages sent to the kernel so far. */
  messages(): number;
}

/** A daemon without a source, in this process and on this kernel: tests fill its store and count what it sends. */
export const startInProcess = (...flags: readonly string[]): Promise<InProcessDaemon> =>
  startInProcessWith({}, ...flags);

export interface InProcessOptions {
  readonly connect?: Connect;
  readonly delays?: Delays;
  readonly tableFile?: TableFile;
  readonly log?: Logger;
}

/** The same with other connections, delays, table file or a log. */
export const startInProcessWith = async (
  { connect, delays, tableFile, log = silentLogger }: InProcessOptions,
  ...flags: readonly string[]
): Promise<InProcessDaemon> => {
  const settings = resolveSettings({
    flags: parseFlags(['--proxy-mode=ipvs', '--ipvs-min-sync-period=0s', ...flags]),
    files: [],
    hostname: 'n1',
  });
  const kernel = await openKernel(settings.names, connect);
  const metrics = new Metrics({ version: '0.0.0', processMetrics: false });
  const live = new ChangeableSettings(settings);
  const wired = compose(
    live,
    tableFile === undefined ? kernel : { ...kernel, tableFile },
    silentRecorder,
    metrics,
    log,
    delays,
  );
  await wired.readInitialState();
  await prepareKernel(kernel, settings, log);
  await wired.dummy.ensure();
  const events = subscribeToKernel(wired, kernel, { names: settings.names, log });
  await wired.readAddresses();
  const measuring = startMetrics({
    metrics,
    settings: live,
    composition: wired,
    source: { counts: () => ({ resources: new Map(), manifests: undefined }) },
    forwardPolicy: { blocking: 0 },
    events: { counts: { sent: 0, failed: 0, dropped: 0, waiting: 0 } },
  });
  return {
    wired,
    kernel,
    settings: live,
    metrics,
    messages: () =>
      [kernel.ipvs, kernel.route, kernel.nftables, kernel.conntrack].reduce(
        (sum, { sent }) => sum + sent.messages,
        0,
      ),
    async [Symbol.asyncDispose](): Promise<void> {
      await wired.syncLoop[Symbol.asyncDispose]();
      events[Symbol.dispose]();
      measuring[Symbol.dispose]();
      kernel[Symbol.dispose]();
    },
  };
};
