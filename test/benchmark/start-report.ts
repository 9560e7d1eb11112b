import { formatColumns } from '../../src/cli/output/columns.js';
import { median } from './report.js';

/** What one run of test/benchmark/start-once.ts prints. */
export interface StartRun {
  /** From the start of the process to the complete kernel table. */
  readonly seconds: number;
  readonly peakMegabytes: number;
  /** Some seconds later. */
  readonly residentMegabytes: number;
}

export interface StartResult extends StartRun {
  readonly services: number;
  readonly endpoints: number;
  readonly runs: number;
}

/** The medians of the runs. */
export const startResult = (
  { services, endpoints }: Pick<StartResult, 'services' | 'endpoints'>,
  runs: readonly StartRun[],
): StartResult => ({
  services,
  endpoints,
  runs: runs.length,
  seconds: median(runs.map(({ seconds }) => seconds)),
  peakMegabytes: median(runs.map(({ peakMegabytes }) => peakMegabytes)),
  residentMegabytes: median(runs.map(({ residentMegabytes }) => residentMegabytes)),
});

export const startText = ({ services, endpoints, runs, ...result }: StartResult): string =>
  formatColumns(
    [
      { title: `${services} SERVICES OF ${endpoints}, MEDIAN OF ${runs}`, align: 'left' },
      { title: 'MEASURED', align: 'right' },
    ],
    [
      ['from exec to the complete table', `${result.seconds.toFixed(1)} s`],
      ['peak RSS', `${result.peakMegabytes.toFixed(0)} MB`],
      ['RSS half a minute later', `${result.residentMegabytes.toFixed(0)} MB`],
    ],
    { titles: true },
  );
