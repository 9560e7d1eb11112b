import { serviceProxyNameOption } from '../admin/instance.js';
import { parseDuration } from '../../base/duration.js';
import { UsageError } from '../../config/parse-flags.js';
import {
  choiceOption,
  colorOption,
  defineCommand,
  booleanOption,
  outputOption,
  stringOption,
} from '../framework/command.js';
import { paletteFor, plainPalette } from '../output/palette.js';
import { groupings, sortFields } from '../top/rows.js';

/** The kernel updates its counters every two seconds. */
const defaultInterval = '2s';
const minimumIntervalMilliseconds = 100;

const intervalOf = (given: string): number => {
  const milliseconds = parseDuration(given);
  if (milliseconds === undefined || milliseconds < minimumIntervalMilliseconds)
    throw new UsageError(
      `--interval: ${JSON.stringify(given)} is not a valid duration (expected 100ms or more, for example 2s)`,
    );
  return milliseconds;
};

const countOf = (given: string | undefined): number | undefined => {
  if (given === undefined) return undefined;
  const count = Number(given);
  if (!Number.isSafeInteger(count) || count < 1)
    throw new UsageError(
      `--iterations: ${JSON.stringify(given)} is not a valid number (expected a whole number, 1 or more)`,
    );
  return count;
};

export const topCommand = defineCommand({
  name: 'top',
  summary: 'Show live traffic by Service, virtual server and real server',
  description:
    'Runs full-screen in a terminal of 80×24 or larger until you press q. ↑↓ move, Enter opens a Service, a virtual server or a ' +
    'real server, ← goes back, Tab groups the rows differently, s sorts, / filters, p pauses, ? shows help. Rates are the ' +
    "differences of the kernel's counters between two samples. Sampling takes at most a fifth of the time: a large table is sampled " +
    'less often.',
  options: {
    interval: stringOption('duration', `time between two samples (default: ${defaultInterval})`, {
      short: 'd',
    }),
    by: choiceOption('rows', groupings, 'service', 'what to group rows by'),
    sort: choiceOption(
      'column',
      sortFields,
      'connections',
      'sort by this column: numbers in descending order, names in ascending order',
    ),
    filter: stringOption('text', 'show only rows that contain this text'),
    batch: booleanOption('print the rows of each sample instead of running full-screen', { short: 'b' }),
    iterations: stringOption('count', 'exit after this many samples', { short: 'n' }),
    output: outputOption(['table', 'json'], 'table'),
    color: colorOption,
    serviceProxyName: serviceProxyNameOption,
    adminSocket: stringOption('path', "the daemon's admin socket, for names; empty: do not use it", {
      completion: 'file',
    }),
  },
  examples: [
    ['kube-ipvs top', 'all Services'],
    ['kube-ipvs top --by real --sort active', 'real servers by active connections'],
    ['kube-ipvs top --filter kube-system/', 'the Services of one namespace'],
    ['kube-ipvs top --batch -n 1', 'the traffic of two seconds, as text'],
    ['kube-ipvs top --batch -o json --by virtual', 'one JSON object per sample'],
  ],
  requirements: 'Needs CAP_NET_ADMIN, as ipvsadm does.',
  exitStatuses: ['success', 'error', 'invalid command line'],
  run: async (
    _,
    { interval = defaultInterval, by, sort, filter = '', batch, iterations, output, color, ...instance },
  ) => {
    const options = { intervalMilliseconds: intervalOf(interval), iterations: countOf(iterations) };
    if (output === 'json' && !batch) throw new UsageError('-o json requires --batch');
    const { top } = await import('../top/top.js');
    const { daemonNames } = await import('../top/daemon-names.js');
    const colours = paletteFor(process.stdout, process.env, color) !== plainPalette;
    return top({ ...options, grouping: by, sort, filter, batch, output, colours }, daemonNames(instance));
  },
});
