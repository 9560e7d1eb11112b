import { existsSync } from 'node:fs';
import { InputError } from '../base/errors.js';
import { parseFlags, UsageError } from '../config/flags.js';
import { loadSettings } from '../config/load-settings.js';
import { nearest } from '../config/nearest.js';
import { groups, type Check } from '../doctor/check.js';
import { checks, type Outcome } from '../doctor/checks.js';
import { sourcesFor } from '../doctor/collect.js';
import type { Facts } from '../doctor/facts.js';
import { examineOnDemand } from '../doctor/on-demand.js';
import type { StatusAnswer } from '../plan/admin-answers.js';
import { askDaemon } from './admin-client.js';
import { doctorText, summaryOf } from './doctor-text.js';
import { readObjects } from './read-objects.js';

export interface DoctorOptions {
  readonly config: readonly string[];
  readonly kubeconfig: string | undefined;
  /** The name of our Node. */
  readonly hostnameOverride: string | undefined;
  /** `api`, or a file or folder of manifests. */
  readonly source: string | undefined;
  readonly adminSocket: string | undefined;
  /** Ids and groups; none: all checks. */
  readonly only: readonly string[];
  readonly quiet: boolean;
  readonly strict: boolean;
  readonly output: 'table' | 'json' | 'yaml';
}

/** Where kubeadm and our own manifests put it. */
const usualConfig = '/var/lib/kube-proxy/config.conf';

const readConfiguration = ({ config, hostnameOverride }: DoctorOptions): Facts['configuration'] => {
  const files = config.length > 0 ? config : [usualConfig].filter((file) => existsSync(file));
  const name = hostnameOverride ?? process.env['NODE_NAME'];
  const flags = name === undefined ? [] : [`--hostname-override=${name}`];
  try {
    const settings = loadSettings(parseFlags([...flags, ...files.map((file) => `--config=${file}`)]));
    return { files, settings, problem: undefined };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return { files, settings: loadSettings(parseFlags(flags)), problem: error.message };
  }
};

/** The manifests with the Services: as asked, else those that the daemon serves. */
const manifestsFor = (
  { source, kubeconfig }: DoctorOptions,
  status: StatusAnswer | undefined,
): string | undefined => {
  if (source !== undefined) return source === 'api' ? undefined : source;
  if (kubeconfig !== undefined) return undefined;
  return /^manifests (.*)$/s.exec(status?.source.name ?? '')?.[1];
};

const words: readonly string[] = [...groups, ...checks.map(({ id }) => id)];

const chosenChecks = (only: readonly string[]): readonly Check[] => {
  const wanted = only.flatMap((list) => list.split(',')).map((word) => word.trim());
  const stranger = wanted.find((word) => !words.includes(word));
  if (stranger !== undefined) {
    const meant = nearest(stranger, words);
    throw new UsageError(
      `--only=${stranger} is no check and no group${meant === undefined ? `; the groups are ${groups.join(', ')}` : `; did you mean ${meant}?`}`,
    );
  }
  return wanted.length === 0
    ? checks
    : checks.filter(({ id, group }) => wanted.includes(id) || wanted.includes(group));
};

const format = async (outcomes: readonly Outcome[], { output, quiet }: DoctorOptions): Promise<string> => {
  if (output === 'table') return doctorText(outcomes, quiet);
  const report = {
    checks: outcomes.filter(({ result }) => !quiet || result !== 'pass'),
    summary: summaryOf(outcomes),
  };
  if (output === 'json') return `${JSON.stringify(report, undefined, 2)}\n`;
  const { formatYaml } = await import('../base/yaml.js');
  return formatYaml(report);
};

/** Prints what the checks come to. 1: a check fails, or with `strict` warns. Rejects with a UsageError for a check that there is not. */
export const doctor = async (options: DoctorOptions): Promise<number> => {
  const { kubeconfig, only, strict, adminSocket } = options;
  const chosen = chosenChecks(only);
  const asked = askDaemon(adminSocket, (client) => client.status());
  // An error of it is the finding of those checks that need the answer.
  const path = manifestsFor(
    options,
    await asked.then(
      ({ answer }) => answer,
      () => undefined,
    ),
  );
  const manifests = path === undefined ? undefined : () => [...readObjects([path]).services.values()];
  const sources = sourcesFor({
    configuration: readConfiguration(options),
    kubeconfig,
    manifests,
    status: () => asked,
  });
  const outcomes = await examineOnDemand(sources, chosen);
  process.stdout.write(await format(outcomes, options));
  const { fail, warn } = summaryOf(outcomes);
  return fail > 0 || (strict && warn > 0) ? 1 : 0;
};
