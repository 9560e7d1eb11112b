import { serviceProxyNameOption } from '../admin/instance.js';
import { adminSocketHelp } from '../../config/environment.js';
import { UsageError } from '../../config/parse-flags.js';
import {
  colorOption,
  defineCommand,
  booleanOption,
  optionalStringOption,
  outputOption,
  stringOption,
} from '../framework/command.js';

const defaultWaitSeconds = 60;

const waitMilliseconds = (given: string | undefined): number => {
  if (given === undefined) return 0;
  const seconds = given === '' ? defaultWaitSeconds : Number(given);
  if (!Number.isFinite(seconds) || seconds < 0)
    throw new UsageError(
      `--wait: ${JSON.stringify(given)} is not a valid number of seconds (expected, for example, 30)`,
    );
  return seconds * 1_000;
};

export const statusCommand = defineCommand({
  name: 'status',
  summary: 'Show the status of the daemon on this node',
  description:
    'Reads the status from the admin socket; it needs only the permission to connect to it. The daemon is healthy and synced if its ' +
    'source has delivered all objects, a sync of them has succeeded, and no sync has been outstanding for too long, as /livez ' +
    'reports. `!` marks lines that need attention.',
  options: {
    quiet: booleanOption('print problems only, on standard error', { short: 'q' }),
    wait: optionalStringOption(
      'seconds',
      `wait until the daemon is healthy and synced, at most this long (without a number: ${defaultWaitSeconds})`,
    ),
    output: outputOption(['text', 'json', 'yaml'], 'text'),
    color: colorOption,
    serviceProxyName: serviceProxyNameOption,
    adminSocket: stringOption('path', adminSocketHelp, { completion: 'file' }),
  },
  examples: [
    ['kube-ipvs status', 'show the status'],
    ['kubectl -n kube-system exec ds/kube-ipvs -- kube-ipvs status', 'from outside the node'],
    ['kube-ipvs status --quiet', 'use as a probe: exec: {command: [kube-ipvs, status, --quiet]}'],
    ['kube-ipvs status --wait=30 && kube-ipvs dump', 'dump the table once the daemon is ready'],
    ['kube-ipvs status -o json | jq .counts'],
  ],
  exitStatuses: [
    'healthy and synced',
    'not healthy or not synced',
    'cannot connect to the daemon, another error, or invalid command line',
  ],
  run: async (_, { quiet, wait, output, color, serviceProxyName, adminSocket }) => {
    const { status } = await import('../status/status.js');
    return status({
      quiet,
      output,
      color,
      serviceProxyName,
      adminSocket,
      waitMilliseconds: waitMilliseconds(wait),
    });
  },
});
