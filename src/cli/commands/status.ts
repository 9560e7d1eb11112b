import { adminSocketHelp } from '../../config/admin-socket.js';
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
    throw new UsageError(`--wait must be a number of seconds, as 30; here ${JSON.stringify(given)}`);
  return seconds * 1_000;
};

export const statusCommand = defineCommand({
  name: 'status',
  summary: 'Tells on one screen how the daemon on this node does.',
  description:
    'It asks the daemon on its admin socket and needs no right but to connect there. Healthy and synced means that the source has ' +
    'told what there is, that the kernel was brought up to date with it, and that no sync has been outstanding for too long: as ' +
    '/livez says. `!` stands before what somebody should look at.',
  options: {
    quiet: booleanOption('nothing but what is wrong, on standard error', { short: 'q' }),
    wait: optionalStringOption(
      'seconds',
      `wait until it is healthy and synced, so long at most (${defaultWaitSeconds} where no number is given)`,
    ),
    output: outputOption(['text', 'json', 'yaml'], 'text'),
    color: colorOption,
    adminSocket: stringOption('path', adminSocketHelp, { completion: 'file' }),
  },
  examples: [
    ['kube-ipvs status'],
    ['kubectl -n kube-system exec ds/kube-ipvs -- kube-ipvs status', 'on a node, from afar'],
    ['kube-ipvs status --quiet', 'for a probe: exec: {command: [kube-ipvs, status, --quiet]}'],
    ['kube-ipvs status --wait=30 && kube-ipvs dump', 'once it serves'],
    ['kube-ipvs status -o json | jq .counts'],
  ],
  exitStatuses: [
    'healthy and synced',
    'not, and why',
    'no daemon answers, or another error; or called wrongly',
  ],
  run: async (_, { quiet, wait, output, color, adminSocket }) => {
    const asked = { quiet, output, color, adminSocket, waitMilliseconds: waitMilliseconds(wait) };
    const { status } = await import('../status/status.js');
    return status(asked);
  },
});
