import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { ClusterReport } from './cluster-report.js';
import type { SoakReport } from './report.js';

const program = fileURLToPath(new URL('./main.js', import.meta.url));

/** What the program prints as JSON after these arguments. */
const reportOf = (args: readonly string[]): unknown => {
  const { stdout } = spawnSync(process.execPath, [...process.execArgv, program, ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 1 << 28,
  });
  return JSON.parse(stdout);
};

const flagsOf = (options: Readonly<Record<string, number>>): readonly string[] =>
  Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);

/** A short soak in the guest that this runs in; whatever it finds is in the report. */
export const soakReport = (options: Readonly<Record<string, number>>): SoakReport =>
  // What test/soak/run.ts prints.
  reportOf([...flagsOf({ seed: Date.now() % 1_000_000, ...options }), '--output=json']) as SoakReport;

/** The same of `--cluster`, with these kinds of disturbances. */
export const clusterReport = (
  options: Readonly<Record<string, number>>,
  kinds: readonly string[],
): ClusterReport =>
  // What test/soak/cluster-run.ts prints.
  reportOf([
    '--cluster',
    ...flagsOf(options),
    `--kinds=${kinds.join(';')}`,
    '--output=json',
  ]) as ClusterReport;
