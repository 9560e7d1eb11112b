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

/** The kernel sums its counters up every two seconds: more often there is nothing new to see. */
const defaultInterval = '2s';
const minimumIntervalMilliseconds = 100;

const intervalOf = (given: string): number => {
  const milliseconds = parseDuration(given);
  if (milliseconds === undefined || milliseconds < minimumIntervalMilliseconds)
    throw new UsageError(
      `--interval must be a duration of 100ms or more, as 2s; here ${JSON.stringify(given)}`,
    );
  return milliseconds;
};

const countOf = (given: string | undefined): number | undefined => {
  if (given === undefined) return undefined;
  const count = Number(given);
  if (!Number.isSafeInteger(count) || count < 1)
    throw new UsageError(`--iterations must be a whole number, 1 or more; here ${JSON.stringify(given)}`);
  return count;
};

export const topCommand = defineCommand({
  name: 'top',
  summary:
    'Shows live what flows: connections and bytes a second by Service, virtual server and real server.',
  description:
    'Fills the screen of a terminal, 80×24 or larger, until q. ↑↓ move, Enter opens a Service, its virtual servers and their real ' +
    'servers, ← goes back, Tab changes what a row stands for, s sorts, / filters, p pauses, ? helps. The rates are ' +
    "differences of the kernel's totals between two looks. Looking takes at most a fifth of the time: with a large table " +
    'there are fewer looks.',
  options: {
    interval: stringOption('duration', `from one look to the next (default: ${defaultInterval})`, {
      short: 'd',
    }),
    by: choiceOption('rows', groupings, 'service', 'what a row stands for'),
    sort: choiceOption('column', sortFields, 'connections', 'the largest first; name: from A on'),
    filter: stringOption('text', 'only rows with this text'),
    batch: booleanOption('print the rows at each look instead of filling the screen', { short: 'b' }),
    iterations: stringOption('count', 'end after so many looks', { short: 'n' }),
    output: outputOption(['table', 'json'], 'table'),
    color: colorOption,
    adminSocket: stringOption('path', "the daemon's admin socket, which tells names; empty: ask none", {
      completion: 'file',
    }),
  },
  examples: [
    ['kube-ipvs top'],
    ['kube-ipvs top --by real --sort active', 'real servers, those with the most open connections first'],
    ['kube-ipvs top --filter kube-system/', 'Services of one namespace'],
    ['kube-ipvs top --batch -n 1', 'what flows in two seconds, as text'],
    ['kube-ipvs top --batch -o json --by virtual', 'an object a line at each look, for programs'],
  ],
  requirements: 'Needs CAP_NET_ADMIN, as ipvsadm does.',
  exitStatuses: ['done', 'an error', 'called wrongly'],
  run: async (
    _,
    { interval = defaultInterval, by, sort, filter = '', batch, iterations, output, color, adminSocket },
  ) => {
    const options = { intervalMilliseconds: intervalOf(interval), iterations: countOf(iterations) };
    if (output === 'json' && !batch) throw new UsageError('-o json goes with --batch');
    const { top } = await import('../top/top.js');
    const { daemonNames } = await import('../top/daemon-names.js');
    const colours = paletteFor(process.stdout, process.env, color) !== plainPalette;
    return top({ ...options, grouping: by, sort, filter, batch, output, colours }, daemonNames(adminSocket));
  },
});
