import { parseDuration } from '../../base/duration.js';
import { UsageError } from '../../config/parse-flags.js';
import type { Settings } from '../../config/settings.js';
import { ignoreOutputErrors } from '../output/standard-output.js';
import { goBack } from './go-back.js';
import { liveNode } from './live-node.js';
import { preflight, type NodeOptions, type Preflight } from './migrate-check.js';
import { statusOf, type MigrationEnd, type MigrationNode, type MigrationTimes } from './migration.js';
import { endText, migrationJson, stepText, type Counts, type StepReport } from './migration-report.js';
import { nodeLabel } from './node-label.js';
import { answeringTargets, startProbe, type Probe } from './probe.js';
import { defaultProbeTargets, parseProbeTarget } from './probe-target.js';
import { proxySwitch } from './proxy-switch.js';
import { takeOver, type MigrationRun } from './take-over.js';

export interface MigrateOptions extends NodeOptions {
  readonly adminSocket: string | undefined;
  readonly probe: readonly string[];
  readonly maxFailures: string | undefined;
  readonly observe: string | undefined;
  readonly timeout: string | undefined;
  readonly drainTimeout: string | undefined;
  readonly toKubeIpvs: string | undefined;
  readonly toKubeProxy: string | undefined;
  readonly output: 'text' | 'json';
}

const milliseconds = (option: string, text: string | undefined, byDefault: number): number => {
  const value = text === undefined ? byDefault : parseDuration(text);
  if (value === undefined || value < 0)
    throw new UsageError(`${option}: invalid duration "${text}" (expected, for example, 30s or 2m)`);
  return value;
};

const timesOf = ({ observe, timeout, drainTimeout }: MigrateOptions): MigrationTimes => ({
  before: 3_000,
  observe: milliseconds('--observe', observe, 15_000),
  timeout: milliseconds('--timeout', timeout, 180_000),
  drain: milliseconds('--drain-timeout', drainTimeout, 60_000),
});

const failuresOf = (text: string | undefined): number => {
  if (text !== undefined && !/^\d+$/.test(text))
    throw new UsageError(`--max-failures: invalid number "${text}"`);
  return Number(text ?? 0);
};

/** Aborted by Ctrl-C and by the end of the pod. */
const interruption = (): AbortSignal => {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => controller.abort());
  return controller.signal;
};

/** The targets that the operator names must answer; of the Services, those that do are probed. */
const openProbe = async (
  { probe, maxFailures }: MigrateOptions,
  services: Preflight['services'],
): Promise<Probe> => {
  const named = probe.map(parseProbeTarget);
  const targets = named.length > 0 ? named : await answeringTargets(defaultProbeTargets(services));
  return startProbe(targets, { maximumFailures: failuresOf(maxFailures) });
};

const nodeOf = (
  options: MigrateOptions,
  settings: Settings,
  failedChecks: readonly string[],
): MigrationNode => {
  const { toKubeIpvs, toKubeProxy, kubeconfig, adminSocket } = options;
  const { nodeName, master, excludeCidrs } = settings;
  const label = nodeLabel({ kubeconfig: kubeconfig ?? settings.kubeconfig, master, nodeName });
  return {
    ...liveNode({
      adminSocket,
      excludeCidrs,
      healthzBindAddress: settings.configuration.healthzBindAddress,
    }),
    failedChecks: async () => failedChecks,
    proxySwitch: proxySwitch({ toKubeIpvs, toKubeProxy }, nodeName, label),
  };
};

/** Prints each step when it ends, and the result. */
class MigrationPrinter {
  readonly #steps: StepReport[] = [];
  readonly #startedAt = performance.now();

  constructor(private readonly output: 'text' | 'json') {}

  step(step: string, text: string): void {
    const seconds = Math.round((performance.now() - this.#startedAt) / 100) / 10;
    const report = { step, text, seconds };
    this.#steps.push(report);
    if (this.output === 'text') process.stdout.write(stepText(report));
  }

  end(end: MigrationEnd, counts: Counts): void {
    process.stdout.write(
      this.output === 'text'
        ? endText(end, counts)
        : `${JSON.stringify(migrationJson(this.#steps, end, counts), undefined, 2)}\n`,
    );
  }
}

type Migrate = (run: MigrationRun, startProbe: () => Promise<Probe>) => Promise<MigrationEnd>;

const migrate = async (options: MigrateOptions, work: Migrate): Promise<number> => {
  const times = timesOf(options);
  failuresOf(options.maxFailures);
  options.probe.forEach(parseProbeTarget);
  const { reports, configuration, services } = await preflight(options);
  const failed = reports.filter(({ result }) => result === 'fail').map(({ id, seen }) => `${id}: ${seen}`);
  const node = nodeOf(options, configuration.settings, failed);
  // The change is completed, or undone, even if the reader of the output has gone.
  ignoreOutputErrors();
  const printer = new MigrationPrinter(options.output);
  let probe: Probe | undefined;
  const run = {
    node,
    times,
    report: (step: string, text: string) => printer.step(step, text),
    interrupted: interruption(),
  };
  const end = await work(run, async () => (probe = await openProbe(options, services)));
  printer.end(end, probe);
  return statusOf(end);
};

/** Takes this node from kube-proxy to kube-ipvs. Resolves to the exit status. */
export const migrateNode = (options: MigrateOptions): Promise<number> => migrate(options, takeOver);

/** Returns this node to kube-proxy. Resolves to the exit status. */
export const migrateBack = (options: MigrateOptions): Promise<number> => migrate(options, goBack);
