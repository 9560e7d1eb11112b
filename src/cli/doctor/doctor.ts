import { UsageError } from '../../config/parse-flags.js';
import { nearest } from '../../config/nearest.js';
import { groups, type Check } from '../../doctor/check.js';
import { checks, type CheckReport } from '../../doctor/all-checks.js';
import { factSourcesFor } from '../../doctor/fact-sources.js';
import { runChecks } from '../../doctor/run-checks.js';
import type { StatusResponse } from '../../admin-api/responses.js';
import { queryDaemon } from '../admin/admin-client.js';
import type { InstanceOptions } from '../admin/instance.js';
import { remedyText } from '../../doctor/remedy.js';
import { doctorText, summarize } from './doctor-text.js';
import { readConfiguration, type ConfigurationOptions } from './node-configuration.js';
import { readObjects } from '../input/read-objects.js';

export interface DoctorOptions extends ConfigurationOptions, InstanceOptions {
  readonly kubeconfig: string | undefined;
  /** `api`, or a file or folder of manifests. */
  readonly source: string | undefined;
  /** Ids and groups; none: all checks. */
  readonly only: readonly string[];
  readonly quiet: boolean;
  readonly strict: boolean;
  readonly output: 'table' | 'json' | 'yaml';
}

/** The manifests with the Services: from --source, else those that the daemon serves. */
const manifestPathFor = (
  { source, kubeconfig }: DoctorOptions,
  status: StatusResponse | undefined,
): string | undefined => {
  if (source !== undefined) return source === 'api' ? undefined : source;
  if (kubeconfig !== undefined) return undefined;
  return status?.source.manifests;
};

const checkSelectors: readonly string[] = [...groups, ...checks.map(({ id }) => id)];

const selectChecks = (only: readonly string[]): readonly Check[] => {
  const requested = only.flatMap((list) => list.split(',')).map((word) => word.trim());
  const unknownWord = requested.find((word) => !checkSelectors.includes(word));
  if (unknownWord !== undefined) {
    const suggestion = nearest(unknownWord, checkSelectors);
    throw new UsageError(
      `--only: unknown check or group "${unknownWord}"` +
        (suggestion === undefined
          ? ` (the groups are ${groups.join(', ')})`
          : `; did you mean ${suggestion}?`),
    );
  }
  return requested.length === 0
    ? checks
    : checks.filter(({ id, group }) => requested.includes(id) || requested.includes(group));
};

/** `remedy` is the text of all `remedies`. */
const reportJson = ({ remedies, ...report }: CheckReport): object => ({
  ...report,
  remedy: remedyText(remedies),
  remedies,
});

/** The results in the format that the operator wants. */
export const formatReports = async (
  reports: readonly CheckReport[],
  { output, quiet }: Pick<DoctorOptions, 'output' | 'quiet'>,
): Promise<string> => {
  if (output === 'table') return doctorText(reports, quiet);
  const report = {
    checks: reports.filter(({ result }) => !quiet || result !== 'pass').map(reportJson),
    summary: summarize(reports),
  };
  if (output === 'json') return `${JSON.stringify(report, undefined, 2)}\n`;
  const { formatYaml } = await import('../../base/yaml.js');
  return formatYaml(report);
};

/** Runs the checks and prints the results. 1: a check fails, or with `strict` warns. Rejects with a UsageError for an unknown check. */
export const doctor = async (options: DoctorOptions): Promise<number> => {
  const { kubeconfig, only, strict, adminSocket } = options;
  const selected = selectChecks(only);
  const configuration = readConfiguration(options);
  const { serviceProxyName } = configuration.settings.names;
  const statusQuery = queryDaemon({ adminSocket, serviceProxyName }, (client) => client.status());
  // If the query fails, the checks that need the status report it.
  const path = manifestPathFor(
    options,
    await statusQuery.then(
      ({ response }) => response,
      () => undefined,
    ),
  );
  const manifests =
    path === undefined ? undefined : () => [...readObjects([path], serviceProxyName).services.values()];
  const sources = factSourcesFor({
    configuration,
    kubeconfig,
    manifests,
    status: () => statusQuery,
  });
  const reports = await runChecks(sources, selected);
  process.stdout.write(await formatReports(reports, options));
  const { fail, warn } = summarize(reports);
  return fail > 0 || (strict && warn > 0) ? 1 : 0;
};
