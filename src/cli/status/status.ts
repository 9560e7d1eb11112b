import { sleep } from '../../base/async.js';
import { messageOf } from '../../base/errors.js';
import type { StatusResponse } from '../../admin-api/responses.js';
import {
  adminClient,
  adminSocketDisabled,
  DaemonUnavailableError,
  type AdminClient,
} from '../admin/admin-client.js';
import type { InstanceOptions } from '../admin/instance.js';
import { paletteFor, type ColorMode } from '../output/palette.js';
import { healthProblems, statusText } from './status-text.js';
import { printDiagnostic } from '../output/standard-output.js';

export interface StatusOptions extends InstanceOptions {
  readonly output: 'text' | 'json' | 'yaml';
  readonly quiet: boolean;
  readonly color: ColorMode;
  /** How long to wait until the daemon is healthy. */
  readonly waitMilliseconds: number;
}

const exitStatuses = { healthy: 0, notHealthy: 1, error: 2 } as const;

const pauseMilliseconds = 200;

/** Polls the daemon until it is healthy or the time is over; resolves to its last status. */
const waitUntilHealthy = async (client: AdminClient, waitMilliseconds: number): Promise<StatusResponse> => {
  const end = performance.now() + waitMilliseconds;
  for (;;) {
    const isLast = performance.now() >= end;
    try {
      const status = await client.status();
      if (isLast || healthProblems(status).length === 0) return status;
    } catch (error) {
      if (isLast || !(error instanceof DaemonUnavailableError)) throw error;
    }
    await sleep(Math.max(0, Math.min(pauseMilliseconds, end - performance.now())));
  }
};

const format = async (
  status: StatusResponse,
  { output, color }: Pick<StatusOptions, 'output' | 'color'>,
): Promise<string> => {
  if (output === 'json') return `${JSON.stringify(status, undefined, 2)}\n`;
  if (output === 'text') return statusText(status, paletteFor(process.stdout, process.env, color));
  const { formatYaml } = await import('../../base/yaml.js');
  return formatYaml(status);
};

/** Prints the status of the daemon on this node. With --quiet, and for programs, problems go to standard error too. */
export const status = async ({
  output,
  quiet,
  color,
  waitMilliseconds,
  ...instance
}: StatusOptions): Promise<number> => {
  const client = adminClient(instance);
  if (client === undefined) {
    printDiagnostic(adminSocketDisabled);
    return exitStatuses.error;
  }
  try {
    const response = await waitUntilHealthy(client, waitMilliseconds);
    const problems = healthProblems(response);
    if (!quiet) process.stdout.write(await format(response, { output, color }));
    if (quiet || output !== 'text') for (const reason of problems) printDiagnostic(reason);
    return problems.length === 0 ? exitStatuses.healthy : exitStatuses.notHealthy;
  } catch (error) {
    printDiagnostic(messageOf(error));
    return exitStatuses.error;
  }
};
