import { factSourcesFor } from '../../doctor/fact-sources.js';
import type { CheckReport } from '../../doctor/all-checks.js';
import { migrationChecks } from '../../doctor/migration/migration-checks.js';
import { runChecks } from '../../doctor/run-checks.js';
import type { Facts } from '../../doctor/facts.js';
import type { Service } from '../../model/service.js';
import { queryDaemon } from '../admin/admin-client.js';
import { formatReports } from '../doctor/doctor.js';
import { summarize } from '../doctor/doctor-text.js';
import { readConfiguration, type ConfigurationOptions } from '../doctor/node-configuration.js';
import { readObjects } from '../input/read-objects.js';

/** The options that all migration commands have. */
export interface NodeOptions extends ConfigurationOptions {
  readonly kubeconfig: string | undefined;
  /** A file or folder of manifests instead of the API server. */
  readonly source: string | undefined;
}

export interface CheckOptions extends NodeOptions {
  readonly quiet: boolean;
  readonly output: 'table' | 'json' | 'yaml';
}

/** The results of all checks, and the facts that a probe needs. */
export interface Preflight {
  readonly reports: readonly CheckReport[];
  readonly configuration: Facts['configuration'];
  /** Empty where they cannot be read; a check says why. */
  readonly services: readonly Service[];
}

/** Runs the checks of `migrate check`. Changes nothing. */
export const preflight = async (options: NodeOptions): Promise<Preflight> => {
  const { source, kubeconfig } = options;
  const configuration = readConfiguration(options);
  const sources = factSourcesFor({
    configuration,
    kubeconfig,
    manifests: source === undefined ? undefined : () => [...readObjects([source], '').services.values()],
    status: () => queryDaemon({ serviceProxyName: '' }, (client) => client.status()),
  });
  const reports = await runChecks(sources, migrationChecks);
  const services = await sources.services();
  return { reports, configuration, services: 'value' in services ? services.value : [] };
};

/** Prints the report. 0: no check fails; 1: one does. */
export const migrateCheck = async (options: CheckOptions): Promise<number> => {
  const { reports } = await preflight(options);
  process.stdout.write(await formatReports(reports, options));
  return summarize(reports).fail > 0 ? 1 : 0;
};
