import { flagTable } from '../../config/flag-table.js';
import type { FlagValues } from '../../config/parse-flags.js';
import { fieldOf } from '../../config/ineffective-fields.js';
import type { DebuggingPage } from './negotiate-format.js';

/** The version of kube-proxy that this program emulates. */
const emulatedVersion = '1.36';

const notParseableWarning =
  'Warning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees and is for debugging purposes only.';

export interface StatuszFacts {
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly now: number;
  /** As `node v20.19.0`. */
  readonly runtime: string;
  readonly version: string;
  readonly paths: readonly string[];
}

const twoDigits = (number: number): string => String(number).padStart(2, '0');

const uptimeText = (seconds: number): string =>
  `${Math.floor(seconds / 3600)} hr ${twoDigits(Math.floor(seconds / 60) % 60)} min ${twoDigits(seconds % 60)} sec`;

/** `/statusz`: the version and start time of the program. The runtime takes the place of kube-proxy's Go version. */
export const statuszPage = ({ startedAt, now, runtime, version, paths }: StatuszFacts): DebuggingPage => {
  const uptimeSeconds = Math.floor((now - startedAt) / 1000);
  const startTime = new Date(startedAt);
  return {
    kind: 'Statusz',
    text: `
kube-proxy statusz
${notParseableWarning}

Started: ${startTime.toUTCString()}
Up: ${uptimeText(uptimeSeconds)}
Go version: ${runtime}
Binary version: ${version}
Emulation version: ${emulatedVersion}
Paths: ${paths.join(' ')}
`,
    fields: {
      startTime: startTime.toISOString().replace(/\.\d+Z$/, 'Z'),
      uptimeSeconds,
      goVersion: runtime,
      binaryVersion: version,
      emulationVersion: emulatedVersion,
      paths,
    },
  };
};

const defaultText = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.join(',')}]`;
  if (typeof value === 'object' && value !== null)
    return Object.entries(value)
      .map(([key, inner]) => `${key}=${String(inner)}`)
      .join(',');
  return value === undefined ? '' : `${value as string | number | boolean}`;
};

/**
 * `/flagz`: every flag with its value or its default; the configuration file is in `/configz`. `defaults` is the
 * configuration without any flag.
 */
export const flagzPage = (flags: FlagValues, defaults: object): DebuggingPage => {
  const values = flagTable
    .map(({ name, kind, field }): [string, string] => {
      const given = flags.get(name);
      if (given !== undefined) return [name, given.join(',')];
      if (field === undefined) return [name, kind === 'boolean' ? 'false' : ''];
      return [name, defaultText(fieldOf(defaults, field))];
    })
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
  return {
    kind: 'Flagz',
    text: `
kube-proxy flags
${notParseableWarning}

${values.map(([name, value]) => `${name}=${value}\n`).join('')}`,
    fields: { flags: Object.fromEntries(values) },
  };
};

/** The metrics of `/metrics/slis`: the number of requests to `/healthz` of the metrics port, which always succeed. */
export const slisText = (requestCount: number, startedAt: number): string =>
  `${
    requestCount === 0
      ? ''
      : `# HELP kubernetes_healthcheck [STABLE] This metric records the result of a single healthcheck.
# TYPE kubernetes_healthcheck gauge
kubernetes_healthcheck{name="ping",type="healthz"} 1
# HELP kubernetes_healthchecks_total [STABLE] This metric records the results of all healthcheck.
# TYPE kubernetes_healthchecks_total counter
kubernetes_healthchecks_total{name="ping",status="success",type="healthz"} ${requestCount}
`
  }# HELP process_start_time_seconds Start time of the process since unix epoch in seconds.
# TYPE process_start_time_seconds gauge
process_start_time_seconds ${startedAt / 1000}
`;
