import { existsSync } from 'node:fs';
import { InputError } from '../../base/errors.js';
import { parseFlags, UsageError } from '../../config/parse-flags.js';
import { loadSettings } from '../../config/load-settings.js';
import { nearest } from '../../config/nearest.js';
import { groups, type Check } from '../../doctor/check.js';
import { checks, type CheckReport } from '../../doctor/all-checks.js';
import { factSourcesFor } from '../../doctor/fact-sources.js';
import type { Facts } from '../../doctor/facts.js';
import { runChecks } from '../../doctor/run-checks.js';
import type { StatusResponse } from '../../admin-api/responses.js';
import { queryDaemon } from '../admin/admin-client.js';
import { doctorText, summarize } from './doctor-text.js';
import { readObjects } from '../input/read-objects.js';

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
const defaultConfigurationPath = '/var/lib/kube-proxy/config.conf';

const readConfiguration = ({ config, hostnameOverride }: DoctorOptions): Facts['configuration'] => {
  const files = config.length > 0 ? config : [defaultConfigurationPath].filter((file) => existsSync(file));
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
const manifestPathFor = (
  { source, kubeconfig }: DoctorOptions,
  status: StatusResponse | undefined,
): string | undefined => {
  if (source !== undefined) return source === 'api' ? undefined : source;
  if (kubeconfig !== undefined) return undefined;
  return /^manifests (.*)$/s.exec(status?.source.name ?? '')?.[1];
};

const checkSelectors: readonly string[] = [...groups, ...checks.map(({ id }) => id)];

const selectChecks = (only: readonly string[]): readonly Check[] => {
  const requested = only.flatMap((list) => list.split(',')).map((word) => word.trim());
  const unknownWord = requested.find((word) => !checkSelectors.includes(word));
  if (unknownWord !== undefined) {
    const suggestion = nearest(unknownWord, checkSelectors);
    throw new UsageError(
      `--only=${unknownWord} is no check and no group${suggestion === undefined ? `; the groups are ${groups.join(', ')}` : `; did you mean ${suggestion}?`}`,
    );
  }
  return requested.length === 0
    ? checks
    : checks.filter(({ id, group }) => requested.includes(id) || requested.includes(group));
};

const format = async (
  outcomes: readonly CheckReport[],
  { output, quiet }: DoctorOptions,
): Promise<string> => {
  if (output === 'table') return doctorText(outcomes, quiet);
  const report = {
    checks: outcomes.filter(({ result }) => !quiet || result !== 'pass'),
    summary: summarize(outcomes),
  };
  if (output === 'json') return `${JSON.stringify(report, undefined, 2)}\n`;
  const { formatYaml } = await import('../../base/yaml.js');
  return formatYaml(report);
};

/** Prints what the checks come to. 1: a check fails, or with `strict` warns. Rejects with a UsageError for a check that there is not. */
export const doctor = async (options: DoctorOptions): Promise<number> => {
  const { kubeconfig, only, strict, adminSocket } = options;
  const selected = selectChecks(only);
  const statusQuery = queryDaemon(adminSocket, (client) => client.status());
  // An error of it is the finding of those checks that need the answer.
  const path = manifestPathFor(
    options,
    await statusQuery.then(
      ({ response }) => response,
      () => undefined,
    ),
  );
  const manifests = path === undefined ? undefined : () => [...readObjects([path]).services.values()];
  const sources = factSourcesFor({
    configuration: readConfiguration(options),
    kubeconfig,
    manifests,
    status: () => statusQuery,
  });
  const reports = await runChecks(sources, selected);
  process.stdout.write(await format(reports, options));
  const { fail, warn } = summarize(reports);
  return fail > 0 || (strict && warn > 0) ? 1 : 0;
};
