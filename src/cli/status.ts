import { sleep } from '../base/async.js';
import { messageOf } from '../base/errors.js';
import type { StatusAnswer } from '../plan/admin-answers.js';
import { adminClient, NoDaemonError, type AdminClient } from './admin-client.js';
import { paletteFor, type ColorWish } from './paint.js';
import { shortcomings, statusText } from './status-text.js';
import { tell } from './write-out.js';

export interface StatusOptions {
  readonly output: 'text' | 'json' | 'yaml';
  readonly quiet: boolean;
  readonly color: ColorWish;
  /** How long to wait for a daemon that is healthy. */
  readonly waitMilliseconds: number;
  readonly adminSocket: string | undefined;
}

const exitStatuses = { healthy: 0, notHealthy: 1, trouble: 2 } as const;

const pauseMilliseconds = 200;

/** Asks until the daemon is healthy or the time is over; its last answer. */
const waitFor = async (client: AdminClient, waitMilliseconds: number): Promise<StatusAnswer> => {
  const end = performance.now() + waitMilliseconds;
  for (;;) {
    const isLast = performance.now() >= end;
    try {
      const status = await client.status();
      if (isLast || shortcomings(status).length === 0) return status;
    } catch (error) {
      if (isLast || !(error instanceof NoDaemonError)) throw error;
    }
    await sleep(Math.max(0, Math.min(pauseMilliseconds, end - performance.now())));
  }
};

const format = async (
  status: StatusAnswer,
  { output, color }: Pick<StatusOptions, 'output' | 'color'>,
): Promise<string> => {
  if (output === 'json') return `${JSON.stringify(status, undefined, 2)}\n`;
  if (output === 'text') return statusText(status, paletteFor(process.stdout, process.env, color));
  const { formatYaml } = await import('../base/yaml.js');
  return formatYaml(status);
};

/** Prints how the daemon of this machine does. What keeps it from being healthy is told on standard error too. */
export const status = async ({
  output,
  quiet,
  color,
  waitMilliseconds,
  adminSocket,
}: StatusOptions): Promise<number> => {
  const client = adminClient(adminSocket);
  if (client === undefined) {
    tell('the admin socket is turned off: there is no way to ask');
    return exitStatuses.trouble;
  }
  try {
    const answer = await waitFor(client, waitMilliseconds);
    const wrong = shortcomings(answer);
    if (!quiet) process.stdout.write(await format(answer, { output, color }));
    if (quiet || output !== 'text') for (const reason of wrong) tell(reason);
    return wrong.length === 0 ? exitStatuses.healthy : exitStatuses.notHealthy;
  } catch (error) {
    tell(messageOf(error));
    return exitStatuses.trouble;
  }
};
